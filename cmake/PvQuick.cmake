# SPDX-License-Identifier: MIT
# PV_QUICK_BUILD: large headers are compiled once a target, and files together where that changes nothing of what they mean.
# For builds from nothing, such as ci/test: it hides a missing #include (house.tidy sees it in host tools and plugins), ccache
# finds less, and one line that changes compiles many files.
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

set(pv_tests kernel-device-test kernel-block-test unit-kernel unit-kernel-net report-tests store-tests capture-tests test_domain
  faults_test checks-test plugin_test unit-kernel-fs images_test translation_test)
foreach(tests IN LISTS pv_tests)
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

# Files together, as unity_groups.py finds that they can be. Alone stay two whose commands house.orders takes, and what keeps apart
# in the archives for the host what only the guest has: two that ask the machine's tables, and one that tests want without those.
find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)
set(pv_alone base/log.cpp hosted/runtime.cpp device/iommu/machine.cpp device/pci/machine.cpp exercise/prompt.cpp)
list(TRANSFORM pv_alone PREPEND "${PROJECT_SOURCE_DIR}/guest-kernel/")

# Sets `sources` to the C++ files of a target, by their whole paths.
function(pv_sources target)
  get_target_property(folder ${target} SOURCE_DIR)
  get_target_property(files ${target} SOURCES)
  list(FILTER files INCLUDE REGEX "[.]cpp$")
  set(sources "")
  foreach(file IN LISTS files)
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${folder}" NORMALIZE)
    list(APPEND sources "${file}")
  endforeach()
  set(sources "${sources}" PARENT_SCOPE)
endfunction()

function(pv_unite)
  set(all "")
  foreach(target IN LISTS ARGN)
    pv_sources(${target})
    list(APPEND all ${sources})
  endforeach()
  list(REMOVE_DUPLICATES all)
  list(REMOVE_ITEM all ${pv_alone})
  execute_process(COMMAND "${Python3_EXECUTABLE}" -B "${PROJECT_SOURCE_DIR}/cmake/unity_groups.py" ${all}
    OUTPUT_VARIABLE lines COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" lines "${lines}")
  list(TRANSFORM lines REPLACE " .*" "" OUTPUT_VARIABLE groups)
  list(TRANSFORM lines REPLACE "^[^ ]+ " "" OUTPUT_VARIABLE grouped)
  foreach(target IN LISTS ARGN)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    pv_sources(${target})
    foreach(source IN LISTS sources)
      list(FIND grouped "${source}" at)
      if(at GREATER_EQUAL 0)
        list(GET groups ${at} group)
        set_source_files_properties("${source}" TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP ${group})
      endif()
    endforeach()
  endforeach()
endfunction()

set(united pv_kernel_core pv_kernel_devices pv_kernel_devices_misbehaving pv_kernel_tests pv_kernel_hosted pv_kernel_devices_hosted
  pv_host_base pv_capture pv_checks pv_cli pv_domain pv_faults pv_faults_nbdkit nbdkit-paravane-plugin pv_images pv_profiles pv_report pv_store
  paravane-plugin pv_plugin_logic pv_ownership pv_translation ${pv_tests} iommu-test ownership_test profiles_test)
foreach(target IN LISTS united)
  if(NOT TARGET ${target})
    list(REMOVE_ITEM united ${target})
  endif()
endforeach()
pv_unite(${united})
