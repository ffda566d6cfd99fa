/* What lwIP calls of this kernel's; in C, because lwIP is. Implemented in net/port/port.cpp and
 * net/port/memory.cpp.
 * SPDX-License-Identifier: MIT */
#ifndef PV_NET_PORT_HOOKS_H
#define PV_NET_PORT_HOOKS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An invariant of lwIP's does not hold. Does not return into lwIP: the network stops, the machine goes on. */
__attribute__((noreturn)) void pv_lwip_assertion(const char* text, const char* file, int line);

/* 32 bits nobody outside can foretell. */
uint32_t pv_lwip_random(void);

/* The Internet checksum's one's complement sum of `length` bytes, folded to 16 bits, in memory order (RFC
 * 1071). */
uint16_t pv_lwip_sum(const void* bytes, int length);

/* Memory of packets, aligned to 16; NULL beyond the bound. */
void* pv_lwip_allocate(size_t bytes);
void* pv_lwip_allocate_zeroed(size_t count, size_t bytes);
void pv_lwip_free(void* memory);

/* First sequence number of a connection (RFC 9293, 3.4.1): a keyed hash of the four addresses plus a clock.
 */
struct ip4_addr;
uint32_t pv_lwip_first_sequence(const void* local, size_t local_size, uint16_t local_port, const void* remote,
                                size_t remote_size, uint16_t remote_port);

#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port)                                \
    pv_lwip_first_sequence((local), sizeof(*(local)), (local_port), (remote), sizeof(*(remote)), \
                           (remote_port))

#ifdef __cplusplus
}
#endif

#endif
