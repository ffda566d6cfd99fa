# SPDX-License-Identifier: MIT
# Guest tests on 1, 2, 4 and 8 CPUs: guest.NAME_cpusN.
set(cpu_counts 1 2 4 8)

# pv_smp_test(NAME [LEDGER] [CPUS n...] [APPEND text] [STATUS n] [EXPECT regex...] [OPTIONS ...])
function(pv_smp_test name)
  cmake_parse_arguments(arg "LEDGER" "APPEND;STATUS" "CPUS;EXPECT;OPTIONS" ${ARGN})
  if(NOT arg_CPUS)
    set(arg_CPUS ${cpu_counts})
  endif()
  set(more "")
  foreach(word APPEND STATUS)
    if(DEFINED arg_${word})
      list(APPEND more ${word} ${arg_${word}})
    endif()
  endforeach()
  if(arg_LEDGER)
    list(APPEND more LEDGER)
  endif()
  foreach(count IN LISTS arg_CPUS)
    pv_guest_test(${name}_cpus${count} TEST ${name} ${more} EXPECT ${arg_EXPECT} OPTIONS ${arg_OPTIONS} QEMU -smp ${count})
  endforeach()
endfunction()

pv_smp_test(all_cpus_run EXPECT "scheduler: [0-9]+ CPU")
pv_smp_test(umip_is_on_when_offered CPUS 4 EXPECT "UMIP offered and on")
pv_guest_test(umip_is_left_alone TEST umip_is_on_when_offered EXPECT "UMIP not offered" QEMU -cpu max,-umip -smp 2)
pv_smp_test(trampoline_is_gone)
pv_smp_test(write_xor_execute CPUS 4 EXPECT "walked [0-9]+ pages")
pv_smp_test(locks_exclude_across_cpus LEDGER)
pv_smp_test(threads_spread EXPECT "busy threads ran on")
pv_smp_test(idle_cpu_takes_over CPUS 2 4)
pv_smp_test(woken_threads_come_to_their_waker CPUS 2 4)
pv_smp_test(woken_threads_do_not_wait_for_a_waker_that_goes_on CPUS 2 4)
pv_smp_test(wakers_are_known_by_what_they_do CPUS 2 4)
pv_smp_test(vectors_arrive_on_their_cpu)
pv_smp_test(wait_queue_stress LEDGER CPUS 2 4 8 EXPECT "no wake-up lost")
pv_smp_test(memory_stress_across_cpus LEDGER EXPECT "refills of stocks")
pv_smp_test(no_wake_up_is_lost_between_cpus LEDGER CPUS 2 4 8 EXPECT "none lost")
pv_smp_test(threads_come_and_go CPUS 4 8)
pv_smp_test(clock_is_one_across_cpus EXPECT "never went back")
pv_smp_test(shootdown_reaches_all_cpus LEDGER EXPECT " 0 stale reads")
pv_guest_test(shootdown_instructions LEDGER
  OPTIONS --plugin $<TARGET_FILE:paravane-plugin>
          --log-expect "paravane_invlpg cpu 1 pc 0x[0-9a-f]+ address 0xffffd23456789000"
          --log-expect "paravane_invlpg cpu 3 pc 0x[0-9a-f]+ address 0xffffd23456789000"
          # CR4 with SMEP and SMAP on and PGE, bit 7, off, then on.
          --log-expect "paravane_control_register cpu 1 pc 0x[0-9a-f]+ number 4 value 0x3[0-9a-f]+[0-7][0-9a-f]\\n"
          --log-expect "paravane_control_register cpu 3 pc 0x[0-9a-f]+ number 4 value 0x3[0-9a-f]+[0-7][0-9a-f]\\n"
  QEMU -smp 4)
pv_smp_test(wakes_across_cpus_at_once EXPECT "runs a woken thread")
pv_smp_test(shootdown_has_a_deadline LEDGER CPUS 2 4 EXPECT "error: shootdown: CPU 1 did not answer for 100")
pv_smp_test(shootdown_never_deadlocks LEDGER)
pv_smp_test(panic_shows_all_cpus LEDGER CPUS 2 4 STATUS 255
  EXPECT "panic: with another CPU busy" "CPU [0-9] in thread \"stuck\" at pv::"
         "#[0-9] pv::guest_test::\\(anonymous namespace\\)::hang\\(" "#[0-9]+ pv_thread_main")
pv_smp_test(watchdog_reports_a_silent_cpu CPUS 2 4 APPEND "test=watchdog_reports_a_silent_cpu watchdog=1s"
  EXPECT "error: watchdog: CPU [0-9] has not scheduled for [0-9.]+ s: thread \"silent\" at pv::"
         "#[0-9] pv::guest_test::\\(anonymous namespace\\)::hang\\(" "watchdog: CPU [0-9] schedules again"
  OPTIONS --forbid "thread \"idle\"")
pv_smp_test(watchdog_reports_a_greedy_thread CPUS 1 APPEND "test=watchdog_reports_a_greedy_thread watchdog=1s"
  EXPECT "error: watchdog: thread \"main\" has waited for CPU 0 while thread \"greedy\" ran for [0-9.]+ s, at pv::"
         "#[0-9] pv::guest_test::.*watchdog_reports_a_greedy_thread")

# Without x2APIC, and with TSC deadline timers where the processor model has them.
pv_guest_test(all_cpus_run_xapic TEST all_cpus_run EXPECT "interrupts: xAPIC" "scheduler: 4 CPUs"
  QEMU -cpu max,-x2apic -smp 4)
pv_guest_test(shootdown_reaches_all_cpus_xapic LEDGER TEST shootdown_reaches_all_cpus EXPECT " 0 stale reads"
  QEMU -cpu qemu64,-x2apic -smp 4)
pv_guest_test(apic_ids_with_gaps TEST all_cpus_run EXPECT "scheduler: 6 CPUs" QEMU -smp 6,sockets=2,cores=3,threads=1)
pv_guest_test(more_cpus_than_are_used TEST trampoline_is_gone MEMORY 1G
  EXPECT "warning: CPUs: more than 256 are not used" "scheduler: 256 CPUs" QEMU -machine kernel-irqchip=off -smp 288)

# What the firmware may say.
pv_guest_test(processor_that_does_not_come LEDGER APPEND "test=all_cpus_run_but_one test_madt=add:77"
  EXPECT "error: CPUs: the processor with APIC id 77 does not run: .*going on without it" "scheduler: 3 CPUs"
  QEMU -smp 3)
pv_guest_test(unknown_apic_id LEDGER APPEND "test=all_cpus_run test_madt=rename:99" STATUS 255
  EXPECT "panic: this processor's APIC id 0 is not in the MADT")
pv_guest_test(apic_id_listed_twice LEDGER APPEND "test=all_cpus_run test_madt=add:1" STATUS 255
  EXPECT "panic: the MADT lists APIC id 1 twice" QEMU -smp 2)
pv_guest_test(apic_id_out_of_reach LEDGER APPEND "test=all_cpus_run test_madt=add:300" STATUS 255
  EXPECT "panic: the MADT lists APIC id 300, which cannot be in xAPIC mode" QEMU -cpu max,-x2apic -smp 2)
pv_guest_test(apic_id_255_is_everybody LEDGER APPEND "test=all_cpus_run test_madt=add:255" STATUS 255
  EXPECT "panic: the MADT lists APIC id 255, which cannot be in xAPIC mode" QEMU -cpu max,-x2apic -smp 2)

# Each allocation fails in turn (C19).
pv_guest_test(each_allocation_fails LEDGER EXPECT "threads: [1-9][0-9]* allocations")
pv_guest_test(each_allocation_for_a_cpu_fails LEDGER EXPECT "a CPU: [1-9][0-9]* allocations")
foreach(which every some)
  add_test(NAME guest.each_allocation_at_start_fails.${which} COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_SOURCE_DIR}/test_start.py
    ${PV_LIB_DIR}/paravane-kernel-test.elf ${which})
endforeach()
set_tests_properties(guest.each_allocation_at_start_fails.some PROPERTIES LABELS "guest;ledger" TIMEOUT 200)
set_tests_properties(guest.each_allocation_at_start_fails.every PROPERTIES LABELS nightly TIMEOUT 1800)
set(disks -drive if=none,id=disk0,file={disk0},format=raw -drive if=none,id=disk1,file={disk1},format=raw
  -device nvme,drive=disk0,serial=disk0)
pv_guest_test(each_allocation_of_a_driver_fails LEDGER EXPECT "2 drivers" OPTIONS --disk 64M --disk 64M
  QEMU ${disks} -device virtio-blk-pci,drive=disk1)
pv_guest_test(each_allocation_of_a_driver_fails_iommu LEDGER TEST each_allocation_of_a_driver_fails
  EXPECT "each in a domain of its own" "2 drivers" OPTIONS --disk 64M --disk 64M
  QEMU -smp 4 -machine kernel-irqchip=split -device intel-iommu,intremap=on ${disks}
       -device virtio-blk-pci,drive=disk1,iommu_platform=on,disable-legacy=on)

# Turns and priorities.
pv_smp_test(turns_are_kept CPUS 1 4 EXPECT "[0-9]+ and [0-9]+ rounds")
pv_smp_test(who_often_waits_has_its_share CPUS 1 4 EXPECT "the pair ran for")
pv_smp_test(real_time_comes_first CPUS 1 4 EXPECT "rounds of real time")
pv_smp_test(real_time_goes_where_it_may_run CPUS 2 EXPECT "on the other CPU after")
