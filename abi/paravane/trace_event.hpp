// The kinds of event a trace holds, and what each argument means. The one place that says so: the capture,
// the store's views, the checks and the report are all generated from or typed by this table.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "paravane/marker.h"

namespace pv::trace {

/// Version of the event table and of the SQL schema (abi/trace/schema.sql). A reader refuses another major
/// version; a minor version only adds kinds, columns with defaults, and views.
inline constexpr int schema_major = 1;
inline constexpr int schema_minor = 1;

/// PV_TRACE_EVENTS(E): E(number, name, log_name, a0, a1, a2, a3, a4, a5), `_` where there is no argument.
///
/// `log_name` is the word that begins the line in QEMU's log: QEMU's own trace event, or what the plugin
/// writes in the same form ("PID@SECONDS.MICROSECONDS:log_name ..."). Arguments named `*_text` are ids of
/// interned strings; all others are integers. `bdf` is segment << 16 | bus << 8 | device << 3 | function.
/// Numbers 4096 and up are markers: 4096 + the marker's number, arguments as in PV_MARKERS.
#define PV_TRACE_EVENTS(E)                                                                                  \
    /* Registers: memory-mapped and port I/O. region = QEMU's object, distinguishes devices of one sort. */ \
    E(1, mmio_read, "memory_region_ops_read", address, value, size, region, region_text, _)                 \
    E(2, mmio_write, "memory_region_ops_write", address, value, size, region, region_text, _)               \
    /* An access no device claims, or of a width it rejects (-d invalid_mem); write: 1 or 0. address counts \
       from the region's start; from 0 of the address space where no device claims it (region "(null)") */  \
    E(3, invalid_access, "guest_error", address, size, write, region_text, reason_text, _)                  \
    E(4, guest_error, "guest_error", line_text, _, _, _, _, _)                                              \
    /* DMA through the generic layer; space = one per device; device_writes: 1 or 0 */                      \
    E(10, dma_access, "address_space_map", space, address, length, device_writes, _, _)                     \
    /* PCI */                                                                                               \
    E(20, pci_config_read, "pci_cfg_read", bdf, offset, value, device_text, _, _)                           \
    E(21, pci_config_write, "pci_cfg_write", bdf, offset, value, device_text, _, _)                         \
    E(22, pci_bar_map, "pci_update_mappings_add", bdf, bar, address, size, device_text, _)                  \
    E(23, pci_bar_unmap, "pci_update_mappings_del", bdf, bar, address, size, device_text, _)                \
    /* NVMe. QEMU does not say which controller: see docs/trace.md for how events are attributed. */        \
    E(30, nvme_admin_command, "pci_nvme_admin_cmd", command, queue, opcode, _, _, _)                        \
    E(31, nvme_io_command, "pci_nvme_io_cmd", command, queue, opcode, nsid, _, _)                           \
    E(32, nvme_map_prp, "pci_nvme_map_prp", transfer_length, length, prp1, prp2, prps, _)                   \
    E(33, nvme_map_address, "pci_nvme_map_addr", address, length, _, _, _, _)                               \
    E(34, nvme_completion, "pci_nvme_enqueue_req_completion", command, queue, status, dw0, dw1, _)          \
    E(35, nvme_create_sq, "pci_nvme_create_sq", address, queue, completion_queue, last_entry, flags, _)     \
    E(36, nvme_create_cq, "pci_nvme_create_cq", address, queue, vector, last_entry, flags, interrupts)      \
    E(37, nvme_delete_sq, "pci_nvme_del_sq", queue, _, _, _, _, _)                                          \
    E(38, nvme_delete_cq, "pci_nvme_del_cq", queue, _, _, _, _, _)                                          \
    E(39, nvme_doorbell_sq, "pci_nvme_mmio_doorbell_sq", queue, tail, _, _, _, _)                           \
    E(40, nvme_doorbell_cq, "pci_nvme_mmio_doorbell_cq", queue, head, _, _, _, _)                           \
    E(41, nvme_shadow_sq, "pci_nvme_update_sq_tail", queue, tail, _, _, _, _)                               \
    E(42, nvme_shadow_cq, "pci_nvme_update_cq_head", queue, head, _, _, _, _)                               \
    E(43, nvme_shadow_config, "pci_nvme_dbbuf_config", doorbells, event_indexes, _, _, _, _)                \
    E(44, nvme_read, "pci_nvme_read", command, nsid, blocks, bytes, lba, _)                                 \
    E(45, nvme_write, "pci_nvme_write", command, nsid, blocks, bytes, lba, operation_text)                  \
    E(46, nvme_flush, "pci_nvme_flush_ns", nsid, _, _, _, _, _)                                             \
    E(47, nvme_configure, "pci_nvme_mmio_cfg", value, _, _, _, _, _)                                        \
    E(48, nvme_enabled, "pci_nvme_mmio_start_success", _, _, _, _, _, _)                                    \
    E(49, nvme_disabled, "pci_nvme_mmio_stopped", _, _, _, _, _, _)                                         \
    E(50, nvme_shutdown, "pci_nvme_mmio_shutdown_set", _, _, _, _, _, _)                                    \
    E(51, nvme_admin_queue_sizes, "pci_nvme_mmio_aqattr", value, _, _, _, _, _)                             \
    E(52, nvme_admin_sq_address, "pci_nvme_mmio_asqaddr", value, _, _, _, _, _)                             \
    E(53, nvme_admin_cq_address, "pci_nvme_mmio_acqaddr", value, _, _, _, _, _)                             \
    E(54, nvme_reset, "pci_nvme_pci_reset", _, _, _, _, _, _)                                               \
    /* QEMU's own complaints: pci_nvme_err_* (a request refused) and pci_nvme_ub_* (a driver's misuse) */   \
    E(55, nvme_error, "pci_nvme_err_", name_text, line_text, _, _, _, _)                                    \
    E(56, nvme_misuse, "pci_nvme_ub_", name_text, line_text, _, _, _, _)                                    \
    /* virtio; device, queue and element are QEMU's objects */                                              \
    E(70, virtio_status, "virtio_set_status", device, value, _, _, _, _)                                    \
    E(71, virtio_kick, "virtio_queue_notify", device, index, queue, _, _, _)                                \
    E(72, virtio_interrupt, "virtio_notify", device, queue, _, _, _, _)                                     \
    E(73, virtqueue_pop, "virtqueue_pop", queue, element, in_count, out_count, _, _)                        \
    E(74, virtqueue_fill, "virtqueue_fill", queue, element, length, index, _, _)                            \
    E(75, virtqueue_flush, "virtqueue_flush", queue, count, _, _, _, _)                                     \
    E(76, virtio_blk_read, "virtio_blk_handle_read", device, element, sector, sectors, _, _)                \
    E(77, virtio_blk_write, "virtio_blk_handle_write", device, element, sector, sectors, _, _)              \
    E(78, virtio_blk_complete, "virtio_blk_req_complete", device, element, status, _, _, _)                 \
    /* Block layer and its NBD client */                                                                    \
    E(90, block_read, "blk_co_preadv", backend, node, offset, bytes, flags, _)                              \
    E(91, block_write, "blk_co_pwritev", backend, node, offset, bytes, flags, _)                            \
    E(92, nbd_request, "nbd_send_request", offset, length, cookie, flags, type, _)                          \
    /* VT-d. iova: what the device asked for, page by page; address: what it got; mask: page size - 1.      \
       iommu_cached: a translation the unit read from the tables and now keeps until an invalidation.       \
       order: log2 of the number of pages; write: 1 or 0. On a fault reason is VT-d's (spec. table 7-1). */ \
    E(100, iommu_translation, "vtd_dmar_translate", bdf, iova, address, mask, _, _)                         \
    E(101, iommu_fault, "vtd_dmar_fault", bdf, reason, iova, write, _, _)                                   \
    E(102, iommu_cached, "vtd_iotlb_page_update", bdf, iova, entry, domain, _, _)                           \
    E(103, iommu_invalidate_pages, "vtd_inv_desc_iotlb_pages", domain, iova, order, _, _, _)                \
    E(104, iommu_invalidate_domain, "vtd_inv_desc_iotlb_domain", domain, _, _, _, _, _)                     \
    E(105, iommu_invalidate_all, "vtd_inv_desc_iotlb_global", _, _, _, _, _, _)                             \
    E(106, iommu_cache_dropped, "vtd_iotlb_reset", reason_text, _, _, _, _, _)                              \
    E(107, iommu_waited, "vtd_inv_desc_wait_sw", address, data, _, _, _, _)                                 \
    E(108, iommu_enabled, "vtd_dmar_enable", on, _, _, _, _, _)                                             \
    E(109, iommu_device_translated, "vtd_switch_address_space", bdf, on, _, _, _, _)                        \
    E(110, interrupt_remapping_enabled, "vtd_ir_enable", on, _, _, _, _, _)                                 \
    /* virtio-iommu. endpoint and stream are the bdf of a device; first..last: inclusive */                 \
    E(111, viommu_attach, "virtio_iommu_attach", domain, endpoint, _, _, _, _)                              \
    E(112, viommu_map, "virtio_iommu_map", domain, first, last, physical, flags, _)                         \
    E(113, viommu_unmap, "virtio_iommu_unmap", domain, first, last, _, _, _)                                \
    E(114, viommu_translation, "virtio_iommu_translate_out", iova, address, stream, _, _, _)                \
    E(115, viommu_fault, "virtio_iommu_report_fault", reason, flags, endpoint, iova, _, _)                  \
    /* The plugin. pc of the instruction is in the event's own column. */                                   \
    E(120, plugin_hello, "paravane_plugin", api_version, marker_version, cpus, _, _, _)                     \
    E(121, cpu_start, "paravane_cpu_start", _, _, _, _, _, _)                                               \
    E(122, control_register, "paravane_control_register", number, value, _, _, _, _)                        \
    E(123, invlpg, "paravane_invlpg", address, _, _, _, _, _)                                               \
    E(124, marker_refused, "paravane_marker_refused", version, _, _, _, _, _)                               \
    E(125, plugin_goodbye, "paravane_plugin_end", markers, lost, _, _, _, _)                                \
    /* At the end, a vCPU: guest instructions in the blocks it began (probe `instructions`) */              \
    E(126, instructions, "paravane_instructions", count, _, _, _, _, _)                                     \
    /* From here on the mappings of a kernel without markers are told by its profile (docs/profiles.md);    \
       slide: how far it moved itself from where it was linked (KASLR). */                                  \
    E(127, profile, "paravane_profile", slide, _, _, _, _, _)                                               \
    /* Rings as the plugin decoded them from guest memory at a doorbell marker. chain = head descriptor;    \
       position counts from 0; flags as in the descriptor; device_writes: 1 or 0. indirect: address and     \
       length of the table. fault: why a chain could not be followed (RingFault), value = the bad number.   \
       unseen: why a queue's chains were not decoded from here on (RingUnseen). */                          \
    E(130, ring_descriptor, "paravane_ring_descriptor", bdf, queue, chain, address, length, device_writes)  \
    E(131, ring_indirect, "paravane_ring_indirect", bdf, queue, chain, address, length, _)                  \
    E(132, ring_request, "paravane_ring_request", bdf, queue, chain, operation, sector, descriptors)        \
    E(133, ring_fault, "paravane_ring_fault", bdf, queue, chain, fault, value, _)                           \
    E(134, ring_unseen, "paravane_ring_unseen", bdf, queue, reason, _, _, _)                                \
    /* Translation (probe tlb; docs/translation.md). change: number of a store that took a translation      \
       away. table_change tells of it right before the first line that names it: old_entry and new_entry =  \
       what stood in the table and what stands there now, level 1 (4 KiB) to 5, age in microseconds.        \
       address: linear. tlb_stale_use: used = physical address of the access; access = TlbAccess bits.      \
       tlb_missed, tlb_freed: cpu and pc are the marker's, or of the call that a profile tells of; holder = \
       the vCPU that may still use the old translation; structure: 1 for a table, 0 for a page; use = the   \
       holder's instruction by which it is held to what a profile told, 0 with a marker. tlb_global_kept:   \
       cpu and pc of the write to CR3, which keeps global entries. table_entry: fault = TableFault; other = \
       what it is about. translation_profile: what a profile told so far: frames given back that some       \
       processor could reach, shootdowns that ended, obligations looked at because of them. */              \
    E(140, table_change, "paravane_table_change", change, address, old_entry, new_entry, level, age)        \
    E(141, tlb_stale_use, "paravane_tlb_stale_use", change, address, used, access, _, _)                    \
    E(142, tlb_missed, "paravane_tlb_missed", change, address, holder, shootdown, structure, use)           \
    E(143, tlb_freed, "paravane_tlb_freed", change, address, holder, physical, structure, use)              \
    E(144, tlb_global_kept, "paravane_tlb_global_kept", change, address, shootdown, _, _, _)                \
    E(145, table_entry, "paravane_table_entry", fault, address, entry, level, other, _)                     \
    E(146, translation, "paravane_translation", changes, taken, checked, shootdowns, entries, skipped)      \
    E(147, translation_unseen, "paravane_translation_unseen", reason, _, _, _, _, _)                        \
    E(148, tlb_flushes, "paravane_tlb_flushes", pages, whole, needless, _, _, _)                            \
    E(149, translation_profile, "paravane_translation_profile", frames, shootdowns, held, _, _, _)          \
    /* Buffers that devices own (probe ownership; docs/ownership.md). buffer_command tells of a command     \
       before the first line that names it: cpu and pc gave it to the device whose registers begin there,   \
       age microseconds ago; id = as the device sees it. buffer_race: an access of the processor's to bytes \
       of [buffer, buffer + length), by linear and physical address; access = BufferAccess. */              \
    E(160, buffer_command, "paravane_buffer_command", command, registers, queue, id, age, _)                \
    E(161, buffer_race, "paravane_buffer_race", command, address, physical, buffer, length, access)         \
    E(162, ownership, "paravane_ownership", commands, buffers, checked, races, skipped, _)                  \
    E(163, ownership_unseen, "paravane_ownership_unseen", registers, reason, _, _, _, _)                    \
    /* The tool itself: injected faults as they begin and end, the guest's life, what was lost */           \
    E(150, fault_begin, "paravane_fault_begin", disk, operation, offset, length, detail_text, _)            \
    E(151, fault_end, "paravane_fault_end", disk, operation, offset, length, detail_text, _)                \
    E(152, lifecycle, "paravane_lifecycle", state_text, detail_text, _, _, _, _)                            \
    E(153, lost, "paravane_lost", lines, bytes, reason_text, _, _, _)

/// Why the plugin stopped following a descriptor chain (ring_fault.fault).
enum class RingFault : std::uint8_t {
    none = 0,
    index_out_of_range = 1,  ///< head or next beyond the table; value = the index
    loop = 2,                ///< more descriptors than the table holds; value = the head
    outside_memory = 3,      ///< ring, table or header outside guest memory; value = the address
    indirect_size = 4,       ///< indirect table length not a multiple of 16, or zero; value = the length
    nested_indirect = 5,     ///< an indirect table inside an indirect table; value = the head
    available_jump = 6,      ///< available index moved by more than the queue's size; value = the index
    readable_after_writable =
        7,  ///< device-readable descriptor after a device-writable one; value = the head
};

/// Why the plugin did not decode a queue (ring_unseen.reason). Said once a queue; no rule may take the
/// silence that follows for good behaviour.
enum class RingUnseen : std::uint8_t {
    none = 0,
    no_memory = 1,        ///< guest memory was not found: the machine has no shared memfd backend
    unknown_layout = 2,   ///< guest memory was found, but not at which physical addresses it lies
    translated = 3,       ///< the device is behind an IOMMU: its bus addresses are not physical ones
    not_split = 4,        ///< a packed virtqueue
    bad_size = 5,         ///< entries is not a power of two up to 32,768
    no_areas = 6,         ///< queue_create without queue_areas before it
    too_many_queues = 7,  ///< more queues than the plugin has room for
    too_much = 8,         ///< one doorbell announced more descriptors than are followed; the rest was skipped
};

/// Bits of tlb_stale_use.access.
enum TlbAccess : std::uint8_t {
    tlb_access_write = 1,
    tlb_access_observed = 2,  ///< it went through the old translation; else a processor might have used it
    tlb_access_grace = 4,     ///< judged by the grace time, as the guest does not mark shootdowns
};

/// What is wrong with an entry of a page table (table_entry.fault).
enum class TableFault : std::uint8_t {
    none = 0,
    write_execute = 1,   ///< a page both writable and executable
    alias_execute = 2,   ///< writable through one address, executable through `other`
    user_to_table = 3,   ///< a user page over a page table; other = the table
    reserved = 4,        ///< a reserved bit is set; other = the bits
    two_levels = 5,      ///< a table used at two levels; other = the level it had
    user_to_kernel = 6,  ///< a user page in memory the guest protects; other = its pv_protection
};

/// Why translation was not followed (translation_unseen.reason).
enum class TranslationUnseen : std::uint8_t {
    none = 0,
    no_memory = 1,       ///< guest memory was not found: the machine has no shared memfd backend
    unknown_layout = 2,  ///< guest memory was found, but not at which physical addresses it lies
    not_long_mode = 3,   ///< paging of 32-bit code; said once a run, nothing of it is judged
};

/// What a device has some bytes for.
enum class BufferRole : std::uint8_t {
    none = 0,
    from_device = 1,  ///< data that the device writes
    to_device = 2,    ///< data that it reads
    descriptor = 3,   ///< an entry of a submission queue, or of a virtqueue's table
    list = 4,         ///< a PRP list, an SGL segment, an indirect table
};

/// buffer_race.access: whether it was a store, the buffer's role, how many bytes were accessed.
struct BufferAccess {
    bool is_store = false;
    BufferRole role = BufferRole::none;
    std::uint8_t size = 0;

    [[nodiscard]] constexpr std::uint64_t pack() const {
        return (is_store ? 1U : 0U) | static_cast<std::uint64_t>(role) << 4 | std::uint64_t{size} << 8;
    }

    static constexpr BufferAccess unpack(std::uint64_t packed) {
        return {(packed & 1) != 0, static_cast<BufferRole>(packed >> 4 & 15),
                static_cast<std::uint8_t>(packed >> 8)};
    }
};

/// Why the buffers of a device are not followed (ownership_unseen.reason); said once a device.
enum class OwnershipUnseen : std::uint8_t {
    none = 0,
    no_memory = 1,       ///< guest memory was not found: the machine has no shared memfd backend
    unknown_layout = 2,  ///< guest memory was found, but not at which physical addresses it lies
    translated = 3,      ///< the device is behind an IOMMU, and no marker tells what is mapped for it
    ring = 4,            ///< a packed virtqueue, one used in order, or one of an impossible size
    no_values = 5,       ///< this QEMU does not tell what is written to registers (before 9.2)
};

inline constexpr int marker_base = 4096;

#define PV_TRACE_ENUMERATOR(number, name, log_name, a0, a1, a2, a3, a4, a5) name = (number),
#define PV_TRACE_MARKER_ENUMERATOR(number, name, a0, a1, a2, a3, a4, a5) \
    marker_##name = marker_base + (number),
enum class Kind : std::int32_t {
    PV_TRACE_EVENTS(PV_TRACE_ENUMERATOR) PV_MARKERS(PV_TRACE_MARKER_ENUMERATOR)
};
#undef PV_TRACE_ENUMERATOR
#undef PV_TRACE_MARKER_ENUMERATOR

/// One thing that happened. Plain data: what a row of the table `event` holds.
struct Event {
    std::int64_t sequence = 0;  ///< position in the log, from 1, without gaps: the one total order
    std::int64_t time = 0;      ///< microseconds since the first event, host clock
    Kind kind{};
    std::int32_t cpu = -1;  ///< vCPU, -1 where a device or the main loop acted
    std::uint64_t pc = 0;   ///< guest instruction's virtual address, 0 where not known
    std::array<std::uint64_t, 6> args{};
};

struct KindInfo {
    Kind kind;
    std::string_view name;
    std::string_view log_name;             ///< empty for markers
    std::array<std::string_view, 6> args;  ///< "_" where there is none
};

#define PV_TRACE_INFO(number, name, log_name, a0, a1, a2, a3, a4, a5) \
    KindInfo{Kind::name, #name, log_name, {#a0, #a1, #a2, #a3, #a4, #a5}},
#define PV_TRACE_MARKER_INFO(number, name, a0, a1, a2, a3, a4, a5) \
    KindInfo{Kind::marker_##name, "marker_" #name, "", {#a0, #a1, #a2, #a3, #a4, #a5}},
inline constexpr auto kinds =
    std::to_array<KindInfo>({PV_TRACE_EVENTS(PV_TRACE_INFO) PV_MARKERS(PV_TRACE_MARKER_INFO)});
#undef PV_TRACE_INFO
#undef PV_TRACE_MARKER_INFO

/// What is known of `kind`; nullptr for a number this version does not know (a trace may be newer).
constexpr const KindInfo* find(Kind kind) {
    for (const KindInfo& info : kinds) {
        if (info.kind == kind) {
            return &info;
        }
    }
    return nullptr;
}

/// argument_count's table: kinds below 256, then markers. Made at compile time because it is asked for every
/// event.
inline constexpr auto argument_counts = [] {
    std::array<std::uint8_t, 512> table{};
    table.fill(6);
    for (const KindInfo& info : kinds) {
        const auto number = static_cast<std::size_t>(info.kind);
        std::uint8_t count = 0;
        while (count < 6 && info.args[count] != "_") {
            ++count;
        }
        table.at(number < marker_base ? number : 256 + (number - marker_base)) = count;
    }
    return table;
}();

/// How many arguments `kind` has; all six for a kind this version does not know.
constexpr std::size_t argument_count(Kind kind) {
    const auto number = static_cast<std::uint32_t>(kind);
    const std::uint32_t marker = number - std::uint32_t{marker_base};  // wraps for kinds that are no markers
    return number < 256 ? argument_counts[number] : marker < 256 ? argument_counts[256 + marker] : 6;
}

constexpr bool is_marker(Kind kind) {
    return static_cast<std::int32_t>(kind) >= marker_base;
}

/// Position of the argument called `name` in `kind`, for `event.args[argument(Kind::x, "y")]`. Compile time
/// only: a name that does not exist does not compile.
consteval std::size_t argument(Kind kind, std::string_view name) {
    // Not through find(): under -fsanitize=undefined GCC takes no comparison of pointers for a constant.
    for (const KindInfo& info : kinds) {
        for (std::size_t i = 0; info.kind == kind && i < info.args.size(); ++i) {
            if (info.args[i] == name) {
                return i;
            }
        }
    }
    throw "no such argument";
}

/// The argument of `event` called `name`, e.g. `get<Kind::mmio_read, "address">(event)`.
template <std::size_t N>
struct Name {
    char text[N]{};

    consteval Name(const char (&source)[N]) {  // NOLINT(google-explicit-constructor): a literal is the name
        for (std::size_t i = 0; i < N; ++i) {
            text[i] = source[i];
        }
    }

    [[nodiscard]] constexpr std::string_view view() const { return {text, N - 1}; }
};

template <Kind kind, Name name>
constexpr std::uint64_t get(const Event& event) {
    return event.args[argument(kind, name.view())];
}

}  // namespace pv::trace
