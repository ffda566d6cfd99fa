# SPDX-License-Identifier: MIT
# The kernel images: their own flags, objects compiled once where the flags are the same, two links each (the
# second embeds the symbol table that the first one's symbols give).

add_library(pv_kernel_flags INTERFACE)
target_link_libraries(pv_kernel_flags INTERFACE pv_warnings pv_abi Boost::headers)
target_include_directories(pv_kernel_flags INTERFACE "${PROJECT_SOURCE_DIR}/guest-kernel")
target_compile_definitions(pv_kernel_flags INTERFACE PV_HOSTED=0 PV_VERSION="${PROJECT_VERSION}"
  _GLIBCXX_ASSERTIONS=1 BOOST_NO_EXCEPTIONS BOOST_NO_RTTI)
# -g in every build: guest.globals reads what is known of variables. The image runs where chance puts it
# (docs/decisions/0010-the-kernel-is-position-independent.md): no address in an instruction, and those in data as
# relative relocations, packed.
target_compile_options(pv_kernel_flags INTERFACE
  $<$<CONFIG:RelWithDebInfo>:-g> -O2 -fpie -mno-red-zone -mgeneral-regs-only -fno-stack-protector -fcf-protection=none
  -Ulinux -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-shrink-wrap
  -fno-optimize-sibling-calls -fno-strict-aliasing
  -fno-delete-null-pointer-checks -fno-builtin -fno-tree-loop-distribute-patterns -U_FORTIFY_SOURCE
  -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit>)

set(PV_KERNEL_DIR "${PROJECT_SOURCE_DIR}/guest-kernel")
set(PV_KERNEL_SCRIPT "${PV_KERNEL_DIR}/arch/x86_64/kernel.ld")
file(GLOB PV_KERNEL_MACHINE CONFIGURE_DEPENDS ${PV_KERNEL_DIR}/arch/x86_64/*.cpp ${PV_KERNEL_DIR}/arch/x86_64/*.S
  ${PV_KERNEL_DIR}/boot/*.cpp ${PV_KERNEL_DIR}/device/serial/*.cpp)
# Page tables and the shootdown can be made to misbehave: they are compiled with the devices.
set(PV_KERNEL_TABLES tlb.cpp page_table.cpp user_tables.cpp misbehave_tables.cpp)
list(TRANSFORM PV_KERNEL_TABLES PREPEND ${PV_KERNEL_DIR}/arch/x86_64/)
list(REMOVE_ITEM PV_KERNEL_MACHINE ${PV_KERNEL_DIR}/boot/options.cpp ${PV_KERNEL_TABLES})

# The vdso: a shared object of its own that runs in user mode, put into the kernel image stripped. Debuggers find the
# sections' table at its end. No debug information: its build id does not depend on the folder.
set(PV_VDSO_SCRIPT "${PV_KERNEL_DIR}/vdso/vdso.ld")
set(PV_VDSO_FILE "${CMAKE_CURRENT_BINARY_DIR}/vdso/vdso.so")
add_library(pv-vdso MODULE ${PV_KERNEL_DIR}/vdso/functions.cpp)
target_link_libraries(pv-vdso PRIVATE pv_warnings)
target_include_directories(pv-vdso PRIVATE ${PV_KERNEL_DIR})
target_compile_options(pv-vdso PRIVATE -O2 -mgeneral-regs-only -fPIC -fvisibility=hidden -fno-exceptions -fno-rtti
  -fno-stack-protector -fcf-protection=none -fno-builtin -fasynchronous-unwind-tables -fno-strict-aliasing
  -U_FORTIFY_SOURCE -Ulinux -g0)
target_link_options(pv-vdso PRIVATE -nostdlib -Wl,-T,${PV_VDSO_SCRIPT} -Wl,-soname,linux-vdso.so.1 -Wl,-Bsymbolic
  -Wl,--hash-style=both -Wl,--build-id=sha1 -Wl,--eh-frame-hdr -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack
  -Wl,-z,norelro -Wl,--no-undefined -Wl,--fatal-warnings)
set_target_properties(pv-vdso PROPERTIES LINK_DEPENDS ${PV_VDSO_SCRIPT} PREFIX "" OUTPUT_NAME vdso-debug
  LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/vdso")
add_custom_command(OUTPUT ${PV_VDSO_FILE}
  COMMAND ${CMAKE_OBJCOPY} --strip-all $<TARGET_FILE:pv-vdso> ${PV_VDSO_FILE}
  DEPENDS pv-vdso COMMENT "Stripping the vdso" VERBATIM)
set_source_files_properties(${PV_KERNEL_DIR}/vdso/image.S PROPERTIES OBJECT_DEPENDS ${PV_VDSO_FILE}
  COMPILE_OPTIONS -Wa,-I${CMAKE_CURRENT_BINARY_DIR}/vdso)

find_library(PV_LIBELF elf REQUIRED)
add_executable(pv_embed_symbols ${PV_KERNEL_DIR}/tools/embed_symbols.cpp)
target_include_directories(pv_embed_symbols PRIVATE ${PV_KERNEL_DIR})
target_link_libraries(pv_embed_symbols PRIVATE pv_warnings ${PV_LIBELF})
set_target_properties(pv_embed_symbols PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tools")

add_library(pv_kernel_core OBJECT ${PV_KERNEL_COMMON} ${PV_KERNEL_MACHINE} ${PV_KERNEL_PROGRAMS}
  ${PV_KERNEL_DIR}/vdso/image.S)
target_link_libraries(pv_kernel_core PRIVATE pv_kernel_flags)
add_library(pv_kernel_lwip OBJECT ${PV_LWIP_SOURCES})
target_link_libraries(pv_kernel_lwip PRIVATE pv_kernel_flags pv_lwip_headers)
# It copies addresses of a few bytes with memcpy: in place, where the compiler may.
# What nobody calls of it does not get linked, nor does what that would need of the C library.
target_compile_options(pv_kernel_lwip PRIVATE -w -Wno-error -fbuiltin -ffunction-sections -fdata-sections)
add_library(pv_kernel_devices OBJECT ${PV_KERNEL_DEVICES} ${PV_KERNEL_TABLES})
target_link_libraries(pv_kernel_devices PRIVATE pv_kernel_flags pv_lwip_headers)
target_compile_definitions(pv_kernel_devices PRIVATE PV_MISBEHAVE=0)
add_library(pv_kernel_devices_misbehaving OBJECT ${PV_KERNEL_DEVICES} ${PV_KERNEL_TABLES})
target_link_libraries(pv_kernel_devices_misbehaving PRIVATE pv_kernel_flags pv_lwip_headers)
target_compile_definitions(pv_kernel_devices_misbehaving PRIVATE PV_MISBEHAVE=1)
file(GLOB PV_KERNEL_TESTS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/guest/*.cpp)
if(PV_KERNEL_TESTS)
  add_library(pv_kernel_tests OBJECT ${PV_KERNEL_TESTS})
  target_link_libraries(pv_kernel_tests PRIVATE pv_kernel_flags)
  target_include_directories(pv_kernel_tests PRIVATE "${PROJECT_SOURCE_DIR}/tests/guest")
  target_compile_definitions(pv_kernel_tests PRIVATE PV_MISBEHAVE=0)
endif()

# pv_kernel(NAME OBJECT_LIBRARY...): lib/paravane/NAME.elf
function(pv_kernel name)
  set(objects "")
  foreach(library IN LISTS ARGN)
    list(APPEND objects $<TARGET_OBJECTS:${library}>)
  endforeach()
  add_executable(${name}-first ${objects})
  add_executable(${name} ${objects} ${CMAKE_CURRENT_BINARY_DIR}/${name}-symbols.S)
  add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}-symbols.S
    COMMAND pv_embed_symbols $<TARGET_FILE:${name}-first> ${CMAKE_CURRENT_BINARY_DIR}/${name}-symbols.S
    DEPENDS pv_embed_symbols ${name}-first
    COMMENT "Embedding the symbols of ${name}" VERBATIM)
  foreach(target ${name}-first ${name})
    target_link_options(${target} PRIVATE -static-pie -nostdlib -Wl,-T,${PV_KERNEL_SCRIPT}
      -Wl,-z,text -Wl,-z,norelro -Wl,-z,pack-relative-relocs -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack
      -Wl,--build-id=none -Wl,--fatal-warnings -Wl,--gc-sections)
    set_target_properties(${target} PROPERTIES LINK_DEPENDS ${PV_KERNEL_SCRIPT} SUFFIX .elf)
  endforeach()
  set_target_properties(${name}-first PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/first")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PV_LIB_DIR}")
endfunction()

pv_kernel(paravane-kernel pv_kernel_core pv_kernel_devices pv_kernel_lwip)
pv_kernel(paravane-kernel-misbehave pv_kernel_core pv_kernel_devices_misbehaving pv_kernel_lwip)
if(PV_KERNEL_TESTS)
  pv_kernel(paravane-kernel-test pv_kernel_core pv_kernel_devices pv_kernel_lwip pv_kernel_tests)
endif()
