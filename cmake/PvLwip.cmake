# SPDX-License-Identifier: MIT
# lwIP, the network stack: sources of Debian's source package, which ci/fetch-lwip unpacks, and our port's options.
find_path(PV_LWIP_DIR src/include/lwip/opt.h
  HINTS "${PROJECT_SOURCE_DIR}/build/deps/lwip" /usr/local/share/paravane/lwip
  DOC "The folder of lwIP's source, 2.1 or 2.2" NO_DEFAULT_PATH)
if(NOT PV_LWIP_DIR)
  message(FATAL_ERROR "lwIP's source is missing: run ci/fetch-lwip, or set PV_LWIP_DIR")
endif()

set(PV_LWIP_SOURCES "")
foreach(name core/def core/dns core/inet_chksum core/init core/ip core/mem core/memp core/netif core/pbuf core/raw core/stats
    core/sys core/tcp core/tcp_in core/tcp_out core/timeouts core/udp
    core/ipv4/dhcp core/ipv4/etharp core/ipv4/icmp core/ipv4/ip4 core/ipv4/ip4_addr core/ipv4/ip4_frag
    core/ipv6/ethip6 core/ipv6/icmp6 core/ipv6/inet6 core/ipv6/ip6 core/ipv6/ip6_addr core/ipv6/ip6_frag
    core/ipv6/mld6 core/ipv6/nd6 netif/ethernet)
  list(APPEND PV_LWIP_SOURCES "${PV_LWIP_DIR}/src/${name}.c")
endforeach()

# Where lwIP's headers and our options are, for whoever includes them.
add_library(pv_lwip_headers INTERFACE)
target_include_directories(pv_lwip_headers INTERFACE "${PROJECT_SOURCE_DIR}/guest-kernel/net/port")
target_include_directories(pv_lwip_headers SYSTEM INTERFACE "${PV_LWIP_DIR}/src/include")

# Others' code: its warnings are theirs.
add_library(pv_lwip_hosted STATIC EXCLUDE_FROM_ALL ${PV_LWIP_SOURCES})
target_link_libraries(pv_lwip_hosted PUBLIC pv_lwip_headers PRIVATE pv_hosted)
target_include_directories(pv_lwip_hosted PRIVATE "${PROJECT_SOURCE_DIR}/guest-kernel")
target_compile_definitions(pv_lwip_hosted PRIVATE PV_HOSTED=1)
target_compile_options(pv_lwip_hosted PRIVATE -w -Wno-error)
