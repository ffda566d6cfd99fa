/* A module that takes memory back from an NVMe disk while the disk is still to write it.
 * SPDX-License-Identifier: MIT */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/version.h>

static const char disk[] = "/dev/nvme0n1";

static struct block_device* open_disk(void) {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
    struct file* file = bdev_file_open_by_path(disk, BLK_OPEN_READ, NULL, NULL);

    return IS_ERR(file) ? ERR_CAST(file) : file_bdev(file);
#else
    return blkdev_get_by_path(disk, FMODE_READ, NULL);
#endif
}

static void ended(struct bio* bio) {
    complete(bio->bi_private);
}

static int __init early_init(void) {
    DECLARE_COMPLETION_ONSTACK(done);
    struct block_device* device = open_disk();
    struct pci_dev* function = pci_get_class(PCI_CLASS_STORAGE_EXPRESS, NULL);
    struct page* page = alloc_page(GFP_KERNEL);
    struct bio* bio;

    if (IS_ERR(device) || function == NULL || page == NULL) {
        return -ENODEV;
    }
    bio = bio_alloc(device, 1, REQ_OP_READ, GFP_KERNEL);
    bio->bi_private = &done;
    bio->bi_end_io = ended;
    __bio_add_page(bio, page, PAGE_SIZE, 0);
    submit_bio(bio);
    /* By now the driver mapped it, and the disk, which is slow, has not answered. Without an IOMMU bus
     * addresses are physical ones. */
    msleep(100);
    dma_unmap_page(&function->dev, page_to_phys(page), PAGE_SIZE, DMA_FROM_DEVICE);
    wait_for_completion(&done);
    pr_info("early: memory was taken back before the disk was done\n");
    return 0;
}

module_init(early_init);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("takes memory back too early");
