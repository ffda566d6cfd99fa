/* Compiler and platform for lwIP.
 * SPDX-License-Identifier: MIT */
#ifndef PV_NET_PORT_ARCH_CC_H
#define PV_NET_PORT_ARCH_CC_H

#include "net/port/hooks.h"

#define LWIP_NO_INTTYPES_H 0
#define LWIP_NO_CTYPE_H 1
#define LWIP_NO_UNISTD_H 0
#define LWIP_ERR_T int8_t
#define BYTE_ORDER LITTLE_ENDIAN

/* One instruction each; lwIP's own are calls. */
#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_ntohs(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)
#define lwip_ntohl(x) __builtin_bswap32(x)

#define LWIP_PLATFORM_DIAG(arguments) ((void)0)
#define LWIP_PLATFORM_ASSERT(text) pv_lwip_assertion((text), __FILE__, __LINE__)
#define LWIP_RAND() pv_lwip_random()
#define LWIP_CHKSUM pv_lwip_sum

#define PACK_STRUCT_STRUCT __attribute__((packed))

#endif
