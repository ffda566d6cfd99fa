// How QEMU prints each of its trace events that a trace holds: its own format strings as patterns.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "paravane/trace_event.hpp"

namespace pv::capture {

/// What stands at one place of a line.
enum class Field : std::uint8_t {
    none,
    decimal,      ///< %u, %d: digits, perhaps a minus
    hexadecimal,  ///< 0x and digits
    bare_hex,     ///< hexadecimal digits without 0x
    pointer,      ///< %p: 0x and digits, or (nil)
    text,         ///< %s: up to the literal that follows; at the end of a line, up to its last character
    cpu,          ///< the vCPU's number, -1 for none
    bdf,          ///< bus:device.function, two, two and one hexadecimal digits (more for a wide bus number)
};

inline constexpr std::int8_t unused = -1;

struct Step {
    std::string_view literal;  ///< comes first
    Field field = Field::none;
    std::int8_t argument = unused;  ///< where the field goes in Event::args
};

inline constexpr std::size_t max_steps = 8;

struct Format {
    trace::Kind kind{};
    std::string_view name;  ///< the line's first word
    std::array<Step, max_steps> steps{};
    std::size_t count = 0;
};

/// Compiles "text %d0 text %x_": % and a letter (d, x, h, p, s, c, b as the fields above), then the
/// argument's number or `_` where the value is not kept.
consteval Format compile_format(trace::Kind kind, std::string_view name, std::string_view pattern) {
    Format format{kind, name, {}, 0};
    while (!pattern.empty()) {
        const std::size_t percent = pattern.find('%');
        Step step{.literal = pattern.substr(0, percent)};
        if (percent != std::string_view::npos) {
            constexpr std::string_view letters = " dxhpscb";
            step.field = static_cast<Field>(letters.find(pattern[percent + 1]));
            if (step.field != Field::cpu) {
                const char argument = pattern[percent + 2];
                step.argument = argument == '_' ? unused : static_cast<std::int8_t>(argument - '0');
                if (argument != '_' && (argument < '0' || argument > '5')) {
                    throw "no such argument";
                }
                pattern.remove_prefix(1);
            }
            pattern.remove_prefix(percent + 2);
        } else {
            pattern = {};
        }
        format.steps.at(format.count++) = step;
    }
    return format;
}

/// Each of QEMU's events that a trace holds, as QEMU 9.1 to 10.0 print it (their trace-events files: system/,
/// hw/pci/, hw/nvme/, hw/virtio/, hw/block/, block/, nbd/). A line that does not match to its last character
/// was torn, or comes from a QEMU that prints it another way: either way it is counted as not understood.
inline constexpr auto formats = [] {
    using enum trace::Kind;
    return std::to_array<Format>({
        compile_format(mmio_read, "memory_region_ops_read",
                       "cpu %c mr %p3 addr %x0 value %x1 size %d2 name '%s4'"),
        compile_format(mmio_write, "memory_region_ops_write",
                       "cpu %c mr %p3 addr %x0 value %x1 size %d2 name '%s4'"),
        compile_format(dma_access, "address_space_map", "as:%p0 addr %x1:%h2 write:%d3 attrs:%x_"),
        compile_format(pci_config_read, "pci_cfg_read", "%s3 %b0 @%x1 -> %x2"),
        compile_format(pci_config_write, "pci_cfg_write", "%s3 %b0 @%x1 <- %x2"),
        compile_format(pci_bar_map, "pci_update_mappings_add", "%s4 %b0 %d1,%x2+%x3"),
        compile_format(pci_bar_unmap, "pci_update_mappings_del", "%s4 %b0 %d1,%x2+%x3"),
        compile_format(nvme_admin_command, "pci_nvme_admin_cmd", "cid %d0 sqid %d1 opc %x2 opname '%s_'"),
        compile_format(nvme_io_command, "pci_nvme_io_cmd", "cid %d0 nsid %x3 sqid %d1 opc %x2 opname '%s_'"),
        compile_format(nvme_map_prp, "pci_nvme_map_prp",
                       "trans_len %d0 len %d1 prp1 %x2 prp2 %x3 num_prps %d4"),
        compile_format(nvme_map_address, "pci_nvme_map_addr", "addr %x0 len %d1"),
        compile_format(nvme_completion, "pci_nvme_enqueue_req_completion",
                       "cid %d0 cqid %d1 dw0 %x3 dw1 %x4 status %x2"),
        compile_format(nvme_create_sq, "pci_nvme_create_sq",
                       "create submission queue, addr=%x0, sqid=%d1, cqid=%d2, qsize=%d3, qflags=%d4"),
        compile_format(
            nvme_create_cq, "pci_nvme_create_cq",
            "create completion queue, addr=%x0, cqid=%d1, vector=%d2, qsize=%d3, qflags=%d4, ien=%d5"),
        compile_format(nvme_delete_sq, "pci_nvme_del_sq", "deleting submission queue sqid=%d0"),
        compile_format(nvme_delete_cq, "pci_nvme_del_cq", "deleted completion queue, cqid=%d0"),
        compile_format(nvme_doorbell_sq, "pci_nvme_mmio_doorbell_sq", "sqid %d0 new_tail %d1"),
        compile_format(nvme_doorbell_cq, "pci_nvme_mmio_doorbell_cq", "cqid %d0 new_head %d1"),
        compile_format(nvme_shadow_sq, "pci_nvme_update_sq_tail", "sqid %d0 new_tail %d1"),
        compile_format(nvme_shadow_cq, "pci_nvme_update_cq_head", "cqid %d0 new_head %d1"),
        compile_format(nvme_shadow_config, "pci_nvme_dbbuf_config", "dbs_addr=%x0 eis_addr=%x1"),
        compile_format(nvme_read, "pci_nvme_read", "cid %d0 nsid %d1 nlb %d2 count %d3 lba %x4"),
        compile_format(nvme_write, "pci_nvme_write",
                       "cid %d0 opname '%s5' nsid %d1 nlb %d2 count %d3 lba %x4"),
        compile_format(nvme_flush, "pci_nvme_flush_ns", "nsid %x0"),
        compile_format(nvme_configure, "pci_nvme_mmio_cfg", "wrote MMIO, config controller config=%x0"),
        compile_format(nvme_enabled, "pci_nvme_mmio_start_success",
                       "setting controller enable bit succeeded"),
        compile_format(nvme_disabled, "pci_nvme_mmio_stopped", "cleared controller enable bit"),
        compile_format(nvme_shutdown, "pci_nvme_mmio_shutdown_set", "shutdown bit set"),
        compile_format(nvme_admin_queue_sizes, "pci_nvme_mmio_aqattr",
                       "wrote MMIO, admin queue attributes=%x0"),
        compile_format(nvme_admin_sq_address, "pci_nvme_mmio_asqaddr",
                       "wrote MMIO, admin submission queue address=%x0"),
        compile_format(nvme_admin_sq_address, "pci_nvme_mmio_asqaddr_hi",
                       "wrote MMIO, admin submission queue high half=%x_, new_address=%x0"),
        compile_format(nvme_admin_cq_address, "pci_nvme_mmio_acqaddr",
                       "wrote MMIO, admin completion queue address=%x0"),
        compile_format(nvme_admin_cq_address, "pci_nvme_mmio_acqaddr_hi",
                       "wrote MMIO, admin completion queue high half=%x_, new_address=%x0"),
        compile_format(nvme_reset, "pci_nvme_pci_reset", "PCI Function Level Reset"),
        compile_format(virtio_status, "virtio_set_status", "vdev %p0 val %d1"),
        compile_format(virtio_kick, "virtio_queue_notify", "vdev %p0 n %d1 vq %p2"),
        compile_format(virtio_interrupt, "virtio_notify", "vdev %p0 vq %p1"),
        compile_format(virtio_interrupt, "virtio_notify_irqfd", "vdev %p0 vq %p1"),
        compile_format(virtqueue_pop, "virtqueue_pop", "vq %p0 elem %p1 in_num %d2 out_num %d3"),
        compile_format(virtqueue_fill, "virtqueue_fill", "vq %p0 elem %p1 len %d2 idx %d3"),
        compile_format(virtqueue_flush, "virtqueue_flush", "vq %p0 count %d1"),
        compile_format(virtio_blk_read, "virtio_blk_handle_read", "vdev %p0 req %p1 sector %d2 nsectors %d3"),
        compile_format(virtio_blk_write, "virtio_blk_handle_write",
                       "vdev %p0 req %p1 sector %d2 nsectors %d3"),
        compile_format(virtio_blk_complete, "virtio_blk_req_complete", "vdev %p0 req %p1 status %d2"),
        compile_format(block_read, "blk_co_preadv", "blk %p0 bs %p1 offset %d2 bytes %d3 flags %x4"),
        compile_format(block_write, "blk_co_pwritev", "blk %p0 bs %p1 offset %d2 bytes %d3 flags %x4"),
        compile_format(iommu_translation, "vtd_dmar_translate", "dev %b0 iova %x1 -> gpa %x2 mask %x3"),
        compile_format(iommu_fault, "vtd_dmar_fault", "sid %x0 fault %d1 addr %x2 write %d3"),
        compile_format(iommu_cached, "vtd_iotlb_page_update",
                       "IOTLB page update sid %x0 iova %x1 slpte %x2 domain %x3"),
        compile_format(iommu_invalidate_pages, "vtd_inv_desc_iotlb_pages",
                       "iotlb invalidate domain %x0 addr %x1 mask %x2"),
        compile_format(iommu_invalidate_domain, "vtd_inv_desc_iotlb_domain",
                       "iotlb invalidate whole domain %x0"),
        compile_format(iommu_invalidate_all, "vtd_inv_desc_iotlb_global", "iotlb invalidate global"),
        compile_format(iommu_cache_dropped, "vtd_iotlb_reset", "IOTLB reset (reason: %s0)"),
        compile_format(iommu_waited, "vtd_inv_desc_wait_sw",
                       "wait invalidate status write addr %x0 data %x1"),
        compile_format(iommu_enabled, "vtd_dmar_enable", "enable %d0"),
        compile_format(iommu_device_translated, "vtd_switch_address_space",
                       "Device %b0 switching address space (iommu enabled=%d1)"),
        compile_format(interrupt_remapping_enabled, "vtd_ir_enable", "enable %d0"),
        compile_format(viommu_attach, "virtio_iommu_attach", "domain=%d0 endpoint=%d1"),
        compile_format(viommu_map, "virtio_iommu_map",
                       "domain=%d0 virt_start=%x1 virt_end=%x2 phys_start=%x3 flags=%d4"),
        compile_format(viommu_unmap, "virtio_iommu_unmap", "domain=%d0 virt_start=%x1 virt_end=%x2"),
        compile_format(viommu_translation, "virtio_iommu_translate_out", "%x0 -> %x1 for sid=%d2"),
        compile_format(viommu_fault, "virtio_iommu_report_fault",
                       "FAULT reason=%d0 flags=%d1 endpoint=%d2 address =%x3"),
        compile_format(
            nbd_request, "nbd_send_request",
            "Sending request to server: { .from = %d0, .len = %d1, .cookie = %d2, .flags = %x3, .type = "
            "%d4 (%s_) }"),
    });
}();

/// Families of events that QEMU prints each in its own words: the name and the whole rest are kept as text.
struct Family {
    trace::Kind kind{};
    std::string_view prefix;
};

inline constexpr std::array<Family, 2> families = {{
    {trace::Kind::nvme_error, "pci_nvme_err_"},
    {trace::Kind::nvme_misuse, "pci_nvme_ub_"},
}};

}  // namespace pv::capture
