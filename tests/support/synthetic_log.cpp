// Lines in the order in which QEMU 10 and the plugin write them.
// SPDX-License-Identifier: MIT
#include "support/synthetic_log.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <iterator>

#include "paravane/marker.h"

namespace pv::test {
namespace {

constexpr std::uint64_t nvme_bdf = 0x80;
constexpr std::uint64_t virtio_bdf = 0x88;
constexpr std::uint64_t nvme_registers = 0xfebf4000;
constexpr std::uint64_t virtio_registers = 0xfe000000;
constexpr std::uint64_t rings = 0x00100000;  // bus addresses of the queues' memory
constexpr std::uint64_t buffers = 0x01000000;
constexpr std::uint64_t queue_entries = 64;
constexpr std::uint64_t deadline = 2'000'000'000;
constexpr std::string_view nvme_region = "mr 0x565303455df0";
constexpr std::string_view nvme_space = "as:0x565303455468";
constexpr std::string_view virtio_space = "as:0x5652c3b99360";
constexpr std::string_view vdev = "vdev 0x5653034dbaa0";
constexpr std::string_view vq = "vq 0x5653034e5c00";

}  // namespace

std::uint64_t SyntheticLog::next_random() {
    random_ = random_ * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
    return random_ >> 33;
}

void SyntheticLog::line(std::string& out, std::string_view text) {
    microseconds_ += 1 + next_random() % 4;
    fmt::format_to(std::back_inserter(out), "812@{}.{:06}:{}\n", microseconds_ / 1'000'000,
                   microseconds_ % 1'000'000, text);
    ++lines_;
}

template <class... Args>
void SyntheticLog::marker(std::string& out, std::uint64_t number, Args... args) {
    std::string text = fmt::format("paravane_marker cpu {} pc {:#x} number {:#x} args", cpu_,
                                   0xffffffff80100000 + number * 64, number);
    ((text += fmt::format(" {:#x}", static_cast<std::uint64_t>(args))), ...);
    line(out, text);
}

/// The tail of submission queue `queue`, one further: marker, register write, what QEMU makes of it.
void SyntheticLog::doorbell(std::string& out, std::uint64_t queue) {
    std::uint64_t& tail = tail_[queue];
    tail = (tail + 1) % queue_entries;
    marker(out, PV_MARKER_doorbell, nvme_bdf, PV_QUEUE_NVME_SUBMISSION, queue, tail);
    line(out, fmt::format("memory_region_ops_write cpu {} {} addr {:#x} value {:#x} size 4 name 'nvme'", cpu_,
                          nvme_region, nvme_registers + 0x1000 + queue * 8, tail));
    line(out, fmt::format("pci_nvme_mmio_doorbell_sq sqid {} new_tail {}", queue, tail));
}

void SyntheticLog::completion_doorbell(std::string& out, std::uint64_t queue) {
    std::uint64_t& head = head_[queue];
    head = (head + 1) % queue_entries;
    marker(out, PV_MARKER_doorbell, nvme_bdf, PV_QUEUE_NVME_COMPLETION, queue, head);
    line(out, fmt::format("memory_region_ops_write cpu {} {} addr {:#x} value {:#x} size 4 name 'nvme'", cpu_,
                          nvme_region, nvme_registers + 0x1004 + queue * 8, head));
    line(out, fmt::format("pci_nvme_mmio_doorbell_cq cqid {} new_head {}", queue, head));
}

/// One admin command without data, from submission to completion; `effect` is the line that shows what it
/// did.
void SyntheticLog::admin(std::string& out, unsigned opcode, std::string_view name, std::string_view effect) {
    const std::uint64_t command = ++command_;
    const std::uint64_t id = command & 0xffff;
    marker(out, PV_MARKER_command_submit, nvme_bdf, 0, command, PV_OPERATION_ADMIN, deadline, 0);
    doorbell(out, 0);
    line(out, fmt::format("pci_nvme_admin_cmd cid {} sqid 0 opc {:#x} opname '{}'", id, opcode, name));
    line(out, effect);
    line(out, fmt::format("pci_nvme_enqueue_req_completion cid {} cqid 0 dw0 0x0 dw1 0x0 status 0x0", id));
    completion_doorbell(out, 0);
    marker(out, PV_MARKER_command_complete, nvme_bdf, 0, command, 0);
}

void SyntheticLog::begin(std::string& out) {
    line(out, fmt::format("paravane_plugin api_version 4 marker_version {:#x} cpus 2", PV_MARKER_VERSION));
    line(out, "pci_nvme_pci_reset PCI Function Level Reset");
    line(out, fmt::format("virtio_set_status {} val 0", vdev));
    line(out, "paravane_cpu_start cpu 0 pc 0x0");
    line(out, "memory_region_ops_write cpu 0 mr 0x56530306d690 addr 0x70 value 0x8f size 1 name 'rtc-index'");
    line(out, fmt::format("pci_update_mappings_add nvme 00:10.0 0,{:#x}+0x4000", nvme_registers));
    line(out, fmt::format("pci_update_mappings_add virtio-blk-pci 00:11.0 4,{:#x}+0x4000", virtio_registers));
    marker(out, PV_MARKER_hello, PV_MARKER_VERSION, 0x1f, 500'000'000, 2);
    line(out, "paravane_cpu_start cpu 1 pc 0x8000");

    marker(out, PV_MARKER_device, nvme_bdf, PV_DEVICE_NVME, nvme_registers, 0x4000);
    marker(out, PV_MARKER_device_reset, nvme_bdf, 0);
    const auto write_register = [&](std::uint64_t offset, std::uint64_t value) {
        line(out, fmt::format("memory_region_ops_write cpu 0 {} addr {:#x} value {:#x} size 4 name 'nvme'",
                              nvme_region, nvme_registers + offset, value));
    };
    for (std::uint64_t ring = 0; ring < 4; ++ring) {
        marker(out, PV_MARKER_dma_map, nvme_bdf, ++mapping_, rings + ring * 0x1000, rings + ring * 0x1000,
               0x1000, PV_DMA_BIDIRECTIONAL);
    }
    const std::uint64_t aqa = (queue_entries - 1) << 16 | (queue_entries - 1);
    write_register(0x24, aqa);
    line(out, fmt::format("pci_nvme_mmio_aqattr wrote MMIO, admin queue attributes={:#x}", aqa));
    write_register(0x28, rings);
    line(out, fmt::format("pci_nvme_mmio_asqaddr wrote MMIO, admin submission queue address={:#x}", rings));
    write_register(0x30, rings + 0x1000);
    line(out, fmt::format("pci_nvme_mmio_acqaddr wrote MMIO, admin completion queue address={:#x}",
                          rings + 0x1000));
    marker(out, PV_MARKER_queue_create, nvme_bdf, PV_QUEUE_NVME_COMPLETION, 0, queue_entries, rings + 0x1000);
    marker(out, PV_MARKER_queue_create, nvme_bdf, PV_QUEUE_NVME_SUBMISSION, 0, queue_entries, rings);
    write_register(0x14, 0x460001);
    line(out, "pci_nvme_mmio_cfg wrote MMIO, config controller config=0x460001");
    line(out, "pci_nvme_mmio_start_success setting controller enable bit succeeded");
    marker(out, PV_MARKER_wait_begin, 1, PV_WAIT_REGISTER, deadline, nvme_registers + 0x1c);
    line(out, fmt::format("memory_region_ops_read cpu 0 {} addr {:#x} value 0x1 size 4 name 'nvme'",
                          nvme_region, nvme_registers + 0x1c));
    marker(out, PV_MARKER_wait_end, 1, PV_WAIT_SATISFIED);
    marker(out, PV_MARKER_queue_create, nvme_bdf, PV_QUEUE_NVME_COMPLETION, 1, queue_entries, rings + 0x3000);
    admin(out, 5, "NVME_ADM_CMD_CREATE_CQ",
          fmt::format(
              "pci_nvme_create_cq create completion queue, addr={:#x}, cqid=1, vector=1, qsize={}, qflags=3, "
              "ien=1",
              rings + 0x3000, queue_entries - 1));
    marker(out, PV_MARKER_queue_create, nvme_bdf, PV_QUEUE_NVME_SUBMISSION, 1, queue_entries, rings + 0x2000);
    admin(out, 1, "NVME_ADM_CMD_CREATE_SQ",
          fmt::format(
              "pci_nvme_create_sq create submission queue, addr={:#x}, sqid=1, cqid=1, qsize={}, qflags=1",
              rings + 0x2000, queue_entries - 1));

    marker(out, PV_MARKER_device, virtio_bdf, PV_DEVICE_VIRTIO_BLK, virtio_registers, 0x4000);
    marker(out, PV_MARKER_device_reset, virtio_bdf, 0);
    line(out, fmt::format("memory_region_ops_write cpu 0 mr 0x5653034d4000 addr {:#x} value 0x0 size 1 name "
                          "'virtio-pci-common-virtio-blk'",
                          virtio_registers + 0x14));
    line(out, fmt::format("virtio_set_status {} val 0", vdev));
    marker(out, PV_MARKER_dma_map, virtio_bdf, ++mapping_, rings + 0x8000, rings + 0x8000, 0x4000,
           PV_DMA_BIDIRECTIONAL);
    marker(out, PV_MARKER_queue_areas, virtio_bdf, 0, rings + 0x9000, rings + 0xa000);
    marker(out, PV_MARKER_queue_create, virtio_bdf, PV_QUEUE_VIRTIO_SPLIT, 0, queue_entries, rings + 0x8000);
    line(out, fmt::format("memory_region_ops_write cpu 0 mr 0x5653034d4000 addr {:#x} value 0xf size 1 name "
                          "'virtio-pci-common-virtio-blk'",
                          virtio_registers + 0x14));
    line(out, fmt::format("virtio_set_status {} val 15", vdev));
}

void SyntheticLog::nvme(std::string& out, bool write) {
    const std::uint64_t command = ++command_;
    const std::uint64_t id = command & 0xffff;
    const std::uint64_t map = ++mapping_;
    const std::uint64_t address = buffers + (pages_++ % 4096) * 0x1000;
    const std::uint64_t lba = next_random() % 100'000;
    marker(out, PV_MARKER_dma_map, nvme_bdf, map, address, address, 0x1000,
           write ? PV_DMA_TO_DEVICE : PV_DMA_FROM_DEVICE);
    marker(out, PV_MARKER_command_submit, nvme_bdf, 1, command,
           write ? PV_OPERATION_WRITE : PV_OPERATION_READ, deadline, ++request_);
    doorbell(out, 1);
    line(out, fmt::format("pci_nvme_io_cmd cid {} nsid 0x1 sqid 1 opc {:#x} opname '{}'", id, write ? 1 : 2,
                          write ? "NVME_NVM_CMD_WRITE" : "NVME_NVM_CMD_READ"));
    line(out, write
                  ? fmt::format(
                        "pci_nvme_write cid {} opname 'NVME_NVM_CMD_WRITE' nsid 1 nlb 8 count 4096 lba {:#x}",
                        id, lba)
                  : fmt::format("pci_nvme_read cid {} nsid 1 nlb 8 count 4096 lba {:#x}", id, lba));
    line(out,
         fmt::format("pci_nvme_map_prp trans_len 4096 len 4096 prp1 {:#x} prp2 0x0 num_prps 2", address));
    line(out, fmt::format("pci_nvme_map_addr addr {:#x} len 4096", address));
    line(out, fmt::format("address_space_map {} addr {:#x}:1000 write:{} attrs:0x0", nvme_space, address,
                          write ? 0 : 1));
    line(out, fmt::format("{} blk 0x565302a71f20 bs 0x565302a653d0 offset {} bytes 4096 flags 0x0",
                          write ? "blk_co_pwritev" : "blk_co_preadv", lba * 512));
    line(out, fmt::format("pci_nvme_enqueue_req_completion cid {} cqid 1 dw0 0x0 dw1 0x0 status 0x0", id));
    completion_doorbell(out, 1);
    marker(out, PV_MARKER_command_complete, nvme_bdf, 1, command, 0);
    marker(out, PV_MARKER_dma_unmap, nvme_bdf, map, address, 0x1000);
}

void SyntheticLog::virtio(std::string& out, bool write) {
    const std::uint64_t map = mapping_ += 2;
    const std::uint64_t address = buffers + (pages_++ % 4096) * 0x1000;
    const std::uint64_t header = buffers + 0x2000000 + (pages_ % 64) * 0x20;
    const std::uint64_t sector = next_random() % 100'000 * 8;
    const std::uint64_t chain = available_ % queue_entries;
    const std::uint64_t element = 0x5653029b2800 + chain * 256;
    // A virtqueue has no command id: the driver's is the chain's head, its generation above.
    const std::uint64_t command = (available_ / queue_entries) << 16 | chain;
    marker(out, PV_MARKER_dma_map, virtio_bdf, map - 1, header, header, 0x20, PV_DMA_BIDIRECTIONAL);
    marker(out, PV_MARKER_dma_map, virtio_bdf, map, address, address, 0x1000,
           write ? PV_DMA_TO_DEVICE : PV_DMA_FROM_DEVICE);
    marker(out, PV_MARKER_command_submit, virtio_bdf, 0, command,
           write ? PV_OPERATION_WRITE : PV_OPERATION_READ, deadline, ++request_);
    available_ = (available_ + 1) & 0xffff;
    marker(out, PV_MARKER_doorbell, virtio_bdf, PV_QUEUE_VIRTIO_SPLIT, 0, available_);
    const auto ring = [&](std::uint64_t where, std::uint64_t length, bool device_writes) {
        line(out,
             fmt::format(
                 "paravane_ring_descriptor cpu {} pc 0xffffffff80102000 bdf {:#x} queue 0 chain {} address "
                 "{:#x} length {} device_writes {}",
                 cpu_, virtio_bdf, chain, where, length, device_writes ? 1 : 0));
    };
    ring(header, 16, false);
    ring(address, 4096, !write);
    ring(header + 16, 1, true);
    line(out,
         fmt::format(
             "paravane_ring_request cpu {} pc 0xffffffff80102000 bdf {:#x} queue 0 chain {} operation {} "
             "sector {} descriptors 3",
             cpu_, virtio_bdf, chain, static_cast<int>(write ? PV_OPERATION_WRITE : PV_OPERATION_READ),
             sector));
    line(out, fmt::format("memory_region_ops_write cpu {} mr 0x5653034d4300 addr {:#x} value 0x0 size 2 name "
                          "'virtio-pci-notify-virtio-blk'",
                          cpu_, virtio_registers + 0x3000));
    line(out, fmt::format("virtio_queue_notify {} n 0 {}", vdev, vq));
    line(out, fmt::format("address_space_map {} addr {:#x}:10 write:0 attrs:0x0", virtio_space, header));
    line(out, fmt::format("address_space_map {} addr {:#x}:1000 write:{} attrs:0x0", virtio_space, address,
                          write ? 0 : 1));
    line(out, fmt::format("address_space_map {} addr {:#x}:1 write:1 attrs:0x0", virtio_space, header + 16));
    line(out, fmt::format("virtqueue_pop {} elem {:#x} in_num {} out_num {}", vq, element, write ? 1 : 2,
                          write ? 2 : 1));
    line(out, fmt::format("virtio_blk_handle_{} {} req {:#x} sector {} nsectors 8", write ? "write" : "read",
                          vdev, element, sector));
    line(out, fmt::format("virtio_blk_req_complete {} req {:#x} status 0", vdev, element));
    line(out, fmt::format("virtqueue_fill {} elem {:#x} len {} idx 0", vq, element, write ? 1 : 4097));
    line(out, fmt::format("virtqueue_flush {} count 1", vq));
    line(out, fmt::format("virtio_notify {} {}", vdev, vq));
    marker(out, PV_MARKER_command_complete, virtio_bdf, 0, command, 0);
    marker(out, PV_MARKER_dma_unmap, virtio_bdf, map, address, 0x1000);
    marker(out, PV_MARKER_dma_unmap, virtio_bdf, map - 1, header, 0x20);
}

void SyntheticLog::flush(std::string& out) {
    const std::uint64_t command = ++command_;
    const std::uint64_t id = command & 0xffff;
    const std::uint64_t caller = ++request_;
    marker(out, PV_MARKER_durable_begin, nvme_bdf, caller);
    marker(out, PV_MARKER_command_submit, nvme_bdf, 1, command, PV_OPERATION_FLUSH, deadline, caller);
    doorbell(out, 1);
    line(out, fmt::format("pci_nvme_io_cmd cid {} nsid 0x1 sqid 1 opc 0x0 opname 'NVME_NVM_CMD_FLUSH'", id));
    line(out, "pci_nvme_flush_ns nsid 0x1");
    line(out, fmt::format("pci_nvme_enqueue_req_completion cid {} cqid 1 dw0 0x0 dw1 0x0 status 0x0", id));
    completion_doorbell(out, 1);
    marker(out, PV_MARKER_command_complete, nvme_bdf, 1, command, 0);
    marker(out, PV_MARKER_durable_end, nvme_bdf, caller, 0);
}

void SyntheticLog::request(std::string& out) {
    cpu_ = static_cast<int>(next_random() % 2);
    const std::uint64_t choice = next_random() % 64;
    if (choice == 0) {
        flush(out);
    } else if (choice % 2 == 0) {
        nvme(out, (choice & 2) != 0);
    } else {
        virtio(out, (choice & 2) != 0);
    }
}

void SyntheticLog::end(std::string& out) {
    cpu_ = 0;
    flush(out);
    admin(out, 0, "NVME_ADM_CMD_DELETE_SQ", "pci_nvme_del_sq deleting submission queue sqid=1");
    marker(out, PV_MARKER_queue_delete, nvme_bdf, PV_QUEUE_NVME_SUBMISSION, 1);
    admin(out, 4, "NVME_ADM_CMD_DELETE_CQ", "pci_nvme_del_cq deleted completion queue, cqid=1");
    marker(out, PV_MARKER_queue_delete, nvme_bdf, PV_QUEUE_NVME_COMPLETION, 1);
    marker(out, PV_MARKER_device_reset, nvme_bdf, 2);
    line(out, fmt::format("memory_region_ops_write cpu 0 {} addr {:#x} value 0x460000 size 4 name 'nvme'",
                          nvme_region, nvme_registers + 0x14));
    line(out, "pci_nvme_mmio_cfg wrote MMIO, config controller config=0x460000");
    line(out, "pci_nvme_mmio_stopped cleared controller enable bit");
    marker(out, PV_MARKER_queue_delete, nvme_bdf, PV_QUEUE_NVME_SUBMISSION, 0);
    marker(out, PV_MARKER_queue_delete, nvme_bdf, PV_QUEUE_NVME_COMPLETION, 0);
    for (std::uint64_t ring = 0; ring < 4; ++ring) {
        marker(out, PV_MARKER_dma_unmap, nvme_bdf, ring + 1, rings + ring * 0x1000, 0x1000);
    }
    marker(out, PV_MARKER_device_release, nvme_bdf);
    marker(out, PV_MARKER_device_reset, virtio_bdf, 2);
    line(out, fmt::format("memory_region_ops_write cpu 0 mr 0x5653034d4000 addr {:#x} value 0x0 size 1 name "
                          "'virtio-pci-common-virtio-blk'",
                          virtio_registers + 0x14));
    line(out, fmt::format("virtio_set_status {} val 0", vdev));
    marker(out, PV_MARKER_queue_delete, virtio_bdf, PV_QUEUE_VIRTIO_SPLIT, 0);
    marker(out, PV_MARKER_dma_unmap, virtio_bdf, 5, rings + 0x8000, 0x4000);
    marker(out, PV_MARKER_device_release, virtio_bdf);
    marker(out, PV_MARKER_goodbye, 0);
    line(out, "paravane_plugin_end markers 1 lost 0");
}

std::string synthetic_log(std::uint64_t lines, std::uint64_t seed) {
    std::string text;
    SyntheticLog log(seed);
    log.begin(text);
    while (log.lines() + 60 < lines) {
        log.request(text);
    }
    log.end(text);
    return text;
}

std::uint64_t write_synthetic_log(const std::string& path, std::uint64_t lines, std::uint64_t seed) {
    std::FILE* file = std::fopen(path.c_str(), "we");
    if (file == nullptr) {
        return 0;
    }
    SyntheticLog log(seed);
    std::string text;
    bool good = true;
    const auto put = [&] {
        good = good && std::fwrite(text.data(), 1, text.size(), file) == text.size();
        text.clear();
    };
    log.begin(text);
    while (good && log.lines() + 60 < lines) {
        log.request(text);
        if (text.size() > (1U << 20)) {
            put();
        }
    }
    log.end(text);
    put();
    return std::fclose(file) == 0 && good ? log.lines() : 0;
}

}  // namespace pv::test
