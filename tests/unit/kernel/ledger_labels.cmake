# SPDX-License-Identifier: MIT
# Read by CTest: adds the label `ledger` to the tests that hold a row of docs/ledger.md. (gtest_discover_tests
# cannot pass a list as a property's value.)
foreach(test IN LISTS kernel-block-test_TESTS kernel-device-test_TESTS bounce-test_TESTS iommu-test_TESTS)
  if(test MATCHES "^(SlotTable.Million|Splitter|CommandTableTest.Memory|CommandTableTest.Reset|CommandQueueTest.Timeout)"
     OR test MATCHES "^(Rtc|Scan|Window|MappingTest|QueuePairTest.Million|Geometry|VirtioGeometry|BlockDeviceTest.Splits|Rings.Virtio|PoolTest.GivesNothing|Seeds.VirtioChaos|RecoveryTest|NvmeTest|Seeds.NvmeChaos|SplitRingTest.Indexes)"
     OR test MATCHES "^(BounceTest|IommuMappingTest|IommuPageTable|InvalidationQueueTest)")
    set_tests_properties("${test}" PROPERTIES LABELS "unit;ledger")
  endif()
endforeach()
