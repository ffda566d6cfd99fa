/* lwIP as this kernel uses it: no operating system underneath, one thread, everything bounded (lwIP 2.1
 * and 2.2).
 * SPDX-License-Identifier: MIT */
#ifndef PV_NET_PORT_LWIPOPTS_H
#define PV_NET_PORT_LWIPOPTS_H

/* One thread, the network's (net/stack.hpp), calls lwIP; nothing is locked and nothing waits inside. */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_TIMERS 1

/* Packets come from the kernel's heap, as much as net/port/memory.cpp lets them; control blocks from pools of
 * a fixed size each, so that whoever sends cannot make one sort eat the memory of another. */
#if __has_include("lwip/acd.h") /* 2.2 */
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC pv_lwip_allocate
#define MEM_CUSTOM_CALLOC pv_lwip_allocate_zeroed
#define MEM_CUSTOM_FREE pv_lwip_free
#else
#define MEM_LIBC_MALLOC 1
#define mem_clib_malloc pv_lwip_allocate
#define mem_clib_calloc pv_lwip_allocate_zeroed
#define mem_clib_free pv_lwip_free
#endif
#define MEM_ALIGNMENT 16
#define MEMP_MEM_MALLOC 0
#define MEMP_NUM_TCP_PCB 512
#define MEMP_NUM_TCP_PCB_LISTEN 64
#define MEMP_NUM_TCP_SEG 4096
#define MEMP_NUM_PBUF 256
#define MEMP_NUM_UDP_PCB 256
#define MEMP_NUM_RAW_PCB 8
#define MEMP_NUM_REASSDATA 8
#define MEMP_NUM_FRAG_PBUF 64
#define MEMP_NUM_ARP_QUEUE 32
#define MEMP_NUM_ND6_QUEUE 32
#define PBUF_POOL_SIZE 8

/* IPv4 and IPv6, both with reassembly (bounded), neither forwarding. */
#define LWIP_ARP 1
#define LWIP_ETHERNET 1
#define LWIP_IPV4 1
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
#define IP_REASS_MAX_PBUFS 64
#define IP_FRAG 1
#define LWIP_ICMP 1
#define ICMP_TTL 64 /* of echo replies, as others send them */
#define LWIP_BROADCAST_PING 0
#define LWIP_MULTICAST_PING 0
#define LWIP_RAW 1
#define LWIP_DHCP 1
/* An address is used as soon as a server gives it: whether another has it already is the server's to know. */
#define DHCP_DOES_ARP_CHECK 0
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_ACD 0
#define LWIP_AUTOIP 0
#define LWIP_IGMP 0
/* Names are resolved by programs; only what DHCP says of servers is kept. */
#define LWIP_DNS 1
#define ARP_QUEUEING 1
#define ARP_TABLE_SIZE 32
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define LWIP_IPV6 1
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_MLD 1
#define LWIP_IPV6_FORWARD 0
#define LWIP_IPV6_DHCP6 0
#define LWIP_ICMP6 1
#define LWIP_ICMP6_HL 64
#define LWIP_IPV6_REASS 1
/* A pointer does not fit beside what lwIP otherwise keeps in the header itself. */
#define IPV6_FRAG_COPYHEADER 1
#define LWIP_ND6_QUEUEING 1
#define LWIP_ND6_NUM_NEIGHBORS 32
#define LWIP_ND6_NUM_DESTINATIONS 32

#define LWIP_UDP 1

/* TCP: windows large enough that a fast peer never waits for this side's timers. */
#define LWIP_TCP 1
#define TCP_MSS 1460
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 3
#define TCP_WND (256 * 1024)
#define TCP_SND_BUF (256 * 1024)
#define TCP_SND_QUEUELEN ((4 * TCP_SND_BUF) / TCP_MSS)
/* Its check of windows against pools: received packets are no pool's here. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
#define TCP_SNDLOWAT (32 * 1024)
#define TCP_SNDQUEUELOWAT (TCP_SND_QUEUELEN / 2)
/* Acknowledgements tell of the window as they go; one of its own is due only when much of it opened. Less
 * than half of what a peer without window scaling sees. */
#define TCP_WND_UPDATE_THRESHOLD (24 * 1024)
/* Programs decide (SO_REUSEADDR). */
#define SO_REUSE 1
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES TCP_WND
#define TCP_OOSEQ_MAX_PBUFS 256
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_KEEPALIVE 1
#define TCP_LISTEN_BACKLOG 1
#define TCP_DEFAULT_LISTEN_BACKLOG 32

/* A driver that leaves sums to its device says so for each interface. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1

#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_TX_SINGLE_PBUF 0
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPBACK_MAX_PBUFS 1024

#define LWIP_STATS 1
#define MIB2_STATS 1
#define LWIP_STATS_DISPLAY 0
#define LWIP_STATS_LARGE 1

#define LWIP_HOOK_FILENAME "net/port/hooks.h"

#endif
