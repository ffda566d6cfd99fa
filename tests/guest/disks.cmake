# SPDX-License-Identifier: MIT
# Disks of unusual shapes and places: the exercise writes, reads back and compares on each.
set(exercised "0 mismatches, 0 errors, 0 timeouts")

function(pv_disk_test name)
  cmake_parse_arguments(arg "NIGHTLY" "APPEND;MEMORY;STATUS;CACHE" "DISKS;EXPECT;OPTIONS;QEMU" ${ARGN})
  set(append "exercise")
  set(cache writeback)
  if(arg_CACHE)
    set(cache ${arg_CACHE})
  endif()
  if(arg_APPEND)
    set(append "${arg_APPEND}")
  endif()
  set(options ${arg_OPTIONS})
  set(drives)
  set(number 0)
  foreach(size IN LISTS arg_DISKS)
    list(APPEND options --disk ${size})
    list(APPEND drives -drive if=none,id=disk${number},file={disk${number}},format=raw,discard=unmap,cache=${cache})
    math(EXPR number "${number} + 1")
  endforeach()
  set(flags LEDGER)
  set(expected ${exercised})
  if(arg_STATUS)
    list(APPEND flags STATUS ${arg_STATUS})
    set(expected)
  endif()
  if(arg_NIGHTLY)
    list(APPEND flags NIGHTLY)
  endif()
  if(arg_MEMORY)
    list(APPEND flags MEMORY ${arg_MEMORY})
  endif()
  pv_guest_test(${name} ${flags} KERNEL paravane-kernel APPEND "${append}" EXPECT ${arg_EXPECT} ${expected}
    OPTIONS ${options} QEMU ${drives} ${arg_QEMU})
endfunction()

# Geometry comes from the device (C15).
pv_disk_test(disk_of_1_mib DISKS 1M EXPECT "nvme0n1: 2048 blocks of 512 bytes \\(1 MiB\\)"
  QEMU -device nvme,drive=disk0,serial=disk0)
pv_disk_test(disk_of_8_tib DISKS 8T EXPECT "nvme0n1: 17179869184 blocks of 512 bytes \\(8388608 MiB\\)"
  QEMU -device nvme,drive=disk0,serial=disk0)
pv_disk_test(disk_of_4_kib_sectors DISKS 64M EXPECT "nvme0n1: 16384 blocks of 4096 bytes \\(64 MiB\\)"
  QEMU -device nvme,drive=disk0,serial=disk0,logical_block_size=4096,physical_block_size=4096)
pv_disk_test(virtio_disk_of_1_mib DISKS 1M EXPECT "2048 blocks of 512 bytes \\(1 MiB\\)"
  QEMU -device virtio-blk-pci,drive=disk0)
pv_disk_test(virtio_disk_of_8_tib DISKS 8T EXPECT "17179869184 blocks of 512 bytes \\(8388608 MiB\\)"
  QEMU -device virtio-blk-pci,drive=disk0)

# Namespaces of one controller, of different shapes; transfer limits; a write cache that is off.
pv_disk_test(several_namespaces DISKS 64M 32M EXPECT "nvme0n1: 131072 blocks of 512 bytes" "nvme0n3: 8192 blocks of 4096 bytes"
  "exercise: nvme0n3: 0 mismatches"
  QEMU -device nvme,id=nvme0,serial=nvme0 -device nvme-ns,drive=disk0,bus=nvme0,nsid=1
    -device nvme-ns,drive=disk1,bus=nvme0,nsid=3,logical_block_size=4096,physical_block_size=4096)
pv_disk_test(disk_with_metadata DISKS 64M EXPECT "nvme0: namespace 1 is not used: not supported" "exercise: there is no disk"
  STATUS 4 QEMU -device nvme,id=nvme0,serial=nvme0 -device nvme-ns,drive=disk0,bus=nvme0,nsid=1,ms=8)
pv_disk_test(transfers_of_8_kib DISKS 64M EXPECT "transfers up to 8 KiB" "nvme0n1: .*, 16 blocks a command"
  QEMU -device nvme,drive=disk0,serial=disk0,mdts=1)
# The most that every QEMU accepts; newer ones refuse to be without a limit (`mdts=0`), which unit tests hold.
pv_disk_test(transfers_of_2_mib DISKS 64M EXPECT "transfers up to 2048 KiB" "nvme0n1: .*, 4096 blocks a command"
  QEMU -device nvme,drive=disk0,serial=disk0,mdts=9)
pv_disk_test(write_cache_off DISKS 64M CACHE writethrough EXPECT "nvme0: volatile write cache is off: no flush is sent"
  QEMU -device nvme,drive=disk0,serial=disk0)
pv_disk_test(write_zeroes DISKS 64M APPEND "exercise=zeroes:100" EXPECT "[0-9]+ writes, [0-9]+ reads"
  QEMU -device nvme,drive=disk0,serial=disk0)

# A queue pair for each CPU, or as many as the controller has.
pv_disk_test(queue_for_each_cpu DISKS 64M EXPECT "nvme0: 4 queue pairs of 256 entries for 4 CPUs, 5 vectors"
  QEMU -smp 4 -device nvme,drive=disk0,serial=disk0)
pv_disk_test(fewer_queues_than_cpus DISKS 64M EXPECT "nvme0: 2 queue pairs of 256 entries for 4 CPUs"
  QEMU -smp 4 -device nvme,drive=disk0,serial=disk0,max_ioqpairs=2,msix_qsize=5)
pv_disk_test(one_vector_for_all DISKS 64M EXPECT "nvme0: 1 queue pairs of 256 entries for 4 CPUs, 1 vectors"
  QEMU -smp 4 -device nvme,drive=disk0,serial=disk0,msix_qsize=1)

pv_disk_test(doorbells_in_memory DISKS 64M APPEND "exercise=commands:5000 nvme-doorbells=memory"
  EXPECT "nvme0: 4 queue pairs of 256 entries for 4 CPUs, 5 vectors, doorbells in memory"
  QEMU -smp 4 -device nvme,drive=disk0,serial=disk0)

# A line typed on the console is answered while the exercise runs.
pv_disk_test(status_on_the_console DISKS 64M APPEND "exercise=commands:30000,threads:2"
  EXPECT "status: nvme0: queue 1: [0-9]+ of 255 commands outstanding, [0-9]+ owed by the device, 0 overdue"
    "status: nvme0: queue 1: latencies( <[0-9]+us:[0-9]+)+, longest" "status: dma: [0-9]+ mappings made, [0-9]+ live, 0 in quarantine"
    "status: nvme0: in service. 0 recoveries"
  OPTIONS --type status QEMU -device nvme,drive=disk0,serial=disk0)

# Where on the bus it sits does not matter (H9).
pv_disk_test(disk_behind_a_root_port DISKS 64M EXPECT "pci: [0-9]+ functions on [2-9] buses" "nvme0n1: 131072 blocks"
  QEMU -device pcie-root-port,id=port0,chassis=1,slot=1 -device nvme,drive=disk0,serial=disk0,bus=port0)
pv_disk_test(disk_as_function_1 DISKS 64M EXPECT "nvme0n1: 131072 blocks"
  QEMU -device virtio-rng-pci,addr=0x5.0x0,multifunction=on -device nvme,drive=disk0,serial=disk0,addr=0x5.0x1)

# One call, any length (H3); one queue, any number of commands (C15b).
pv_disk_test(one_request_of_1_gib MEMORY 4G DISKS 2G APPEND "exercise=threads:1,blocks:8,large:1G,deadline:120s"
  EXPECT "1 threads, [0-9]+ writes, [0-9]+ reads, [0-9]+ flushes, (20971[0-9][0-9]|209[7-9][0-9][0-9][0-9]) KiB in"
  OPTIONS --deadline 110 QEMU -device nvme,drive=disk0,serial=disk0)
set_tests_properties(guest.one_request_of_1_gib PROPERTIES COST 100)  # long: begun early
pv_disk_test(million_commands NIGHTLY MEMORY 512M DISKS 64M APPEND "exercise=commands:1000000,limit:1200s"
  EXPECT " (1[0-9][0-9][0-9][0-9][0-9][0-9]) reads," OPTIONS --deadline 1500
  QEMU -device nvme,drive=disk0,serial=disk0)

# virtio-blk: rings of both kinds, events with and without indexes, a queue for each CPU or as many as there are.
pv_disk_test(virtio_queue_for_each_cpu DISKS 64M APPEND "exercise=zeroes:50"
  EXPECT "virtio-blk0: .*, write cache, write zeroes, discard" "virtio-blk0: 4 split queues of 256 entries for 4 CPUs, 5 vectors, event indexes"
  QEMU -smp 4 -device virtio-blk-pci,drive=disk0)
pv_disk_test(virtio_packed_ring DISKS 64M APPEND "exercise=zeroes:50"
  EXPECT "virtio-blk0: 4 packed queues of 256 entries for 4 CPUs, 5 vectors, event indexes"
  QEMU -smp 4 -device virtio-blk-pci,drive=disk0,packed=on)
pv_disk_test(virtio_packed_ring_refused DISKS 64M APPEND "exercise virtio-ring=split virtio-events=flags"
  EXPECT "virtio-blk0: 2 split queues of 256 entries for 2 CPUs, 3 vectors$"
  QEMU -smp 2 -device virtio-blk-pci,drive=disk0,packed=on)
pv_disk_test(virtio_packed_ring_direct DISKS 64M EXPECT "virtio-blk0: 1 packed queues of 128 entries for 1 CPUs, 2 vectors$"
  QEMU -device virtio-blk-pci,drive=disk0,packed=on,indirect_desc=off,event_idx=off,queue-size=128)
pv_disk_test(virtio_one_vector_for_all DISKS 64M EXPECT "virtio-blk0: 1 split queues of 256 entries for 4 CPUs, 1 vectors, event indexes"
  QEMU -smp 4 -device virtio-blk-pci,drive=disk0,vectors=1)
pv_disk_test(virtio_fewer_queues_than_cpus DISKS 64M EXPECT "virtio-blk0: 2 split queues of 256 entries for 4 CPUs, 3 vectors"
  QEMU -smp 4 -device virtio-blk-pci,drive=disk0,num-queues=2)
pv_disk_test(virtio_packed_ring_behind_vtd DISKS 64M
  EXPECT "virtio-blk0: .*, platform access" "virtio-blk0: 4 packed queues" "VT-d: [0-9]+ devices?, each in a domain of its own"
  QEMU -smp 4 -machine kernel-irqchip=split -device intel-iommu,intremap=on
    -device virtio-blk-pci,drive=disk0,packed=on,iommu_platform=on,disable-legacy=on)

# A source of entropy, and the pool's word about it.
pv_disk_test(virtio_rng DISKS 64M EXPECT "random: [0-9]{3,} bits of credit, seeded" "virtio-rng0: at rest"
  QEMU -device virtio-rng-pci -device virtio-blk-pci,drive=disk0)
pv_disk_test(virtio_rng_without_processor DISKS 64M EXPECT "random: 512 bits of credit, seeded"
  QEMU -cpu max,-rdrand,-rdseed -device virtio-rng-pci -device virtio-blk-pci,drive=disk0)

# A second console says what the log says, to the end of its own service.
pv_disk_test(virtio_console DISKS 64M EXPECT "virtio-console0: mirrors the log" "virtio-console0: at rest"
  OPTIONS --mirror-expect "exercise: virtio-blk0: 0 mismatches" --mirror-expect "virtio-blk0: 131072 blocks"
  QEMU -chardev file,id=mirror,path={mirror} -device virtio-serial-pci,max_ports=1 -device virtconsole,chardev=mirror
    -device virtio-blk-pci,drive=disk0)
