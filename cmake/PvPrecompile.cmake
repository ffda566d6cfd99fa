# SPDX-License-Identifier: MIT
# PV_PRECOMPILE: the large headers of hosted code are compiled once a target. For builds from nothing, such as ci/test:
# it hides a missing #include, and ccache finds less.
set(standard <algorithm> <array> <chrono> <cstdint> <expected> <filesystem> <fstream> <functional> <map> <memory>
  <optional> <set> <span> <string> <string_view> <unordered_map> <utility> <vector>)

function(pv_precompile target)
  if(TARGET ${target})
    target_precompile_headers(${target} PRIVATE ${standard} ${ARGN})
  endif()
endfunction()

pv_precompile(pv_cli <fmt/format.h> <CLI/CLI.hpp>)
foreach(part capture checks domain faults report store)
  pv_precompile(pv_${part} <fmt/format.h>)
endforeach()
foreach(tests kernel-device-test kernel-block-test unit-kernel unit-kernel-net report-tests store-tests capture-tests test_domain
    faults_test checks-test plugin_test)
  pv_precompile(${tests} <gtest/gtest.h>)
endforeach()
