# SPDX-License-Identifier: MIT
# Devices behind an IOMMU. The engine is QEMU's teaching device, which copies from and to whatever address it is told.
set(engine -device edu,dma_mask=0xffffffffffffffff,addr=0x8)
set(vtd -machine kernel-irqchip=split -device intel-iommu,intremap=on)

set(refused "IOMMU: device 00:08.0 may not write 0x[0-9a-f]+: not mapped for writing \\(reason 0x5\\)"
  "IOMMU: device 00:08.0 is cut off from memory")
pv_guest_test(iommu_device_reaches_what_it_was_given LEDGER EXPECT "VT-d: 3 devices, each in a domain of its own"
  OPTIONS --forbid "error:" QEMU ${vtd} ${engine})
foreach(from what_it_was_not_given what_another_was_given what_was_taken_back writing_what_it_may_read)
  pv_guest_test(iommu_device_is_kept_from_${from} LEDGER EXPECT ${refused} QEMU ${vtd} ${engine})
endforeach()
pv_guest_test(iommu_addresses_come_back LEDGER OPTIONS --forbid "error:" QEMU ${vtd} ${engine})
# Without an IOMMU the same access goes through, and the test says so: it can fail.
pv_guest_test(iommu_absent_is_noticed TEST iommu_device_is_kept_from_what_it_was_not_given STATUS 1
  EXPECT "no IOMMU: DMA is not confined" "expected all\\(target, untouched\\)" QEMU ${engine})
# Caching mode: the unit remembers what was not there, so entries that appear are invalidated, too.
pv_guest_test(iommu_caching_mode TEST iommu_device_reaches_what_it_was_given LEDGER OPTIONS --forbid "error:"
  QEMU -machine kernel-irqchip=split -device intel-iommu,intremap=on,caching-mode=on ${engine})
# Memory that firmware reserves for the engine; what is RAM of that is refused.
pv_guest_test(iommu_reserved_memory_is_kept LEDGER APPEND "test=iommu_reserved_memory_is_kept test_rmrr=1"
  EXPECT "IOMMU: memory 0xf0000 to 0xfffff is kept for device 0x40" "reserves 0x2000000 to 0x200ffff for device 0x40, which is RAM: refused"
    "device 00:08.0 may not write 0x2000000" QEMU ${vtd} ${engine})
# 48-bit addresses, and no remapping of interrupts.
pv_guest_test(iommu_without_interrupt_remapping TEST iommu_device_is_kept_from_what_was_taken_back LEDGER
  EXPECT "interrupts not remapped" ${refused} QEMU -device intel-iommu,intremap=off ${engine})

# The second kind of unit: the same tests, the same outcome. It says less of why.
set(viommu -device virtio-iommu-pci,addr=0x1e)
set(viommu_refused "IOMMU: device 00:08.0 may not (write|use) 0x[0-9a-f]+: not mapped for that \\(reason 0x2\\)"
  "IOMMU: device 00:08.0 is cut off from memory")
pv_guest_test(virtio_iommu_device_reaches_what_it_was_given TEST iommu_device_reaches_what_it_was_given LEDGER
  EXPECT "virtio-iommu: 3 devices, each in a domain of its own" OPTIONS --forbid "error:" QEMU ${viommu} ${engine})
foreach(from what_it_was_not_given what_another_was_given what_was_taken_back writing_what_it_may_read)
  pv_guest_test(virtio_iommu_device_is_kept_from_${from} TEST iommu_device_is_kept_from_${from} LEDGER
    EXPECT ${viommu_refused} QEMU ${viommu} ${engine})
endforeach()
pv_guest_test(virtio_iommu_addresses_come_back TEST iommu_addresses_come_back LEDGER OPTIONS --forbid "error:"
  QEMU ${viommu} ${engine})

# A DMAR without what it must have: one line, no IOMMU, and the machine does its work.
pv_disk_test(iommu_table_is_malformed DISKS 16M
  EXPECT "error: ACPI: DMAR: shorter than its fixed part; the IOMMU is left off" "no IOMMU: DMA is not confined"
  QEMU -acpitable sig=DMAR,data=/dev/null -device nvme,drive=disk0,serial=disk0)
# Four CPUs map, unmap and wait for the same unit.
foreach(unit vtd viommu)
  pv_disk_test(iommu_with_four_cpus_${unit} APPEND "exercise=threads:8,blocks:256" DISKS 16M 16M
    EXPECT "3 devices, each in a domain of its own|4 devices, each in a domain of its own" "0 live, 0 in quarantine, 0 abandoned"
    OPTIONS --forbid "error:"
    QEMU ${${unit}} -smp 4 -device nvme,drive=disk0,serial=disk0
      -device virtio-blk-pci,drive=disk1,iommu_platform=on,disable-legacy=on)
endforeach()
