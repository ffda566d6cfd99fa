# SPDX-License-Identifier: MIT
# Read by CTest: the label `ledger` for unit-kernel-net's tests that hold a row of docs/ledger.md.
foreach(test IN LISTS unit-kernel-net_TESTS)
  if(test MATCHES "Ledger")
    set_tests_properties("${test}" PROPERTIES LABELS "unit;ledger")
  endif()
endforeach()
