/* A module that gives a page back while its processor may still reach it, or makes a processor deaf to
 * shootdowns.
 * SPDX-License-Identifier: MIT */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/uaccess.h>

static char* mistake = "none";
module_param(mistake, charp, 0);
MODULE_PARM_DESC(mistake,
                 "none, early (a page is given back without a flush), deaf (a processor is left out)");

static int cpu;
module_param(cpu, int, 0);
MODULE_PARM_DESC(cpu, "the deaf one");

static unsigned long address;
module_param(address, ulong, 0);
MODULE_PARM_DESC(address, "of pages that it looks at, and that are taken away one by one");

static int pages;
module_param(pages, int, 0);
MODULE_PARM_DESC(pages, "how many");

/* asm/tlbflush.h keeps it from modules: struct tlb_state_shared, whose first member is `is_lazy`. */
DECLARE_PER_CPU_SHARED_ALIGNED(bool, cpu_tlbstate_shared);

static pte_t* entry_of(unsigned long address) {
    pgd_t* pgd = pgd_offset(current->mm, address);
    p4d_t* p4d = p4d_offset(pgd, address);
    pud_t* pud = pud_offset(p4d, address);
    pmd_t* pmd = pmd_offset(pud, address);

    return pte_offset_kernel(pmd, address);
}

static void forget(unsigned long address) {
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* Another page stands for a moment where the program has one of its own. */
static int swap_page(bool flush) {
    unsigned long address =
        vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
    unsigned long __user* word = (unsigned long __user*)address;
    struct page* page = alloc_page(GFP_KERNEL);
    pte_t* entry;
    pte_t own;

    if (IS_ERR_VALUE(address) || page == NULL || put_user(1UL, word) != 0) {
        return -ENOMEM;
    }
    entry = entry_of(address);
    preempt_disable();
    own = *entry;
    WRITE_ONCE(*entry, pfn_pte(page_to_pfn(page), PAGE_SHARED));
    forget(address);
    pagefault_disable();
    put_user(2UL, word);
    pagefault_enable();
    WRITE_ONCE(*entry, own);
    if (flush) {
        forget(address);
    }
    __free_page(page);
    preempt_enable();
    return 0;
}

static int __init memory_init(void) {
    if (strcmp(mistake, "deaf") == 0) {
        int i;
        for (i = 0; i < pages; ++i) {
            /* As if it ran no program: flush_tlb_mm_range leaves it alone. Until it changes to another
             * thread. */
            WRITE_ONCE(per_cpu(cpu_tlbstate_shared, cpu), true);
            vm_munmap(address + i * PAGE_SIZE, PAGE_SIZE);
        }
        return 0;
    }
    return swap_page(strcmp(mistake, "early") != 0);
}

module_init(memory_init);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("breaks the rules of translation on purpose");
