# SPDX-License-Identifier: MIT
# What every target shares: warnings for all C++ here, hardening and sanitizers for what runs on the host.

add_library(pv_warnings INTERFACE)
target_compile_options(pv_warnings INTERFACE
  -Werror -Wall -Wextra
  # Of files compiled together, what one has for itself is in nobody's way.
  $<IF:$<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>,$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>,-Wshadow>
  -Wundef -Wcast-qual -Wconversion -Wsign-conversion -Wformat=2 -Wvla
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi>)

# GCC 12 at -O3 sees overlaps in std::string that are not there (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(pv_warnings INTERFACE $<$<CONFIG:Release>:-Wno-restrict>)
endif()

# Hosted code: plugin, tools, hosted builds of kernel parts, tests.
add_library(pv_hosted INTERFACE)
target_link_libraries(pv_hosted INTERFACE pv_warnings)
target_compile_options(pv_hosted INTERFACE -fstack-protector-strong -fPIC)
if(PV_SANITIZE)
  target_compile_options(pv_hosted INTERFACE -fsanitize=${PV_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(pv_hosted INTERFACE -fsanitize=${PV_SANITIZE})
  if(PV_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Fences here order what a device sees; between threads there are locks, which ThreadSanitizer knows.
    target_compile_options(pv_hosted INTERFACE -Wno-tsan)
  endif()
  if(PV_FUZZ)
    # Coverage in the libraries too, without which the fuzzer explores blindly.
    target_compile_options(pv_hosted INTERFACE -fsanitize=fuzzer-no-link)
  endif()
else()
  target_compile_options(pv_hosted INTERFACE $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
endif()
target_link_options(pv_hosted INTERFACE -Wl,-z,relro,-z,now)
