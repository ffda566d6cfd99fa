# SPDX-License-Identifier: MIT
# PV_PRECOMPILE: the large headers of hosted code are compiled once a target. For builds from nothing, such as ci/test:
# it hides a missing #include (house.tidy sees it in host tools and plugins), and ccache finds less.
set(standard "${PV_UNBOUNDED}" <algorithm> <array> <chrono> <cstdint> <expected> <filesystem> <fstream> <functional> <map> <memory>
  <optional> <set> <span> <string> <string_view> <unordered_map> <utility> <vector>)

function(pv_precompile target)
  if(TARGET ${target})
    target_precompile_headers(${target} PRIVATE ${standard} ${ARGN})
  endif()
endfunction()

pv_precompile(pv_cli <fmt/format.h> <nlohmann/json.hpp> <CLI/CLI.hpp>)
foreach(part domain faults images profiles report)
  pv_precompile(pv_${part} <fmt/format.h> <nlohmann/json.hpp>)
endforeach()
foreach(part capture checks store)
  pv_precompile(pv_${part} <fmt/format.h>)
endforeach()

# Optimising is half of the work, and most of it for what waits for people and guests, never for the processor.
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  foreach(part cli domain faults images profiles report)
    target_compile_options(pv_${part} PRIVATE -O1)
  endforeach()
endif()

foreach(tests kernel-device-test kernel-block-test unit-kernel unit-kernel-net report-tests store-tests capture-tests test_domain
    faults_test checks-test plugin_test unit-kernel-fs images_test translation_test)
  pv_precompile(${tests} <gtest/gtest.h>)
endforeach()

# The kernel, for the guest and for the host.
foreach(part core devices devices_misbehaving tests hosted devices_hosted)
  if(TARGET pv_kernel_${part})
    target_precompile_headers(pv_kernel_${part} PRIVATE "${PV_UNBOUNDED}" <algorithm> <array> <atomic> <bit> <cstddef> <cstdint> <cstring>
      <expected> <memory> <new> <optional> <span> <string_view> <utility>
      "$<$<COMPILE_LANGUAGE:CXX>:${PROJECT_SOURCE_DIR}/guest-kernel/task/thread.hpp>")
  endif()
endforeach()
# What it would break: definitions of the C library's own functions, its values beside the kernel's interface, a symbol that may
# be absent.
foreach(target pv_kernel_core pv_kernel_hosted pv_kernel_devices pv_kernel_devices_misbehaving)
  if(TARGET ${target})
    foreach(source arch/x86_64/runtime arch/x86_64/back_trace fs/signal_values)
      set_source_files_properties(${PROJECT_SOURCE_DIR}/guest-kernel/${source}.cpp TARGET_DIRECTORY ${target}
        PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS "-include;${PV_UNBOUNDED}")
    endforeach()
  endif()
endforeach()
