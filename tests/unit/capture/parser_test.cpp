// The parser: each of QEMU's formats into the right arguments, and nothing torn taken for whole.
// SPDX-License-Identifier: MIT
#include "capture/parser.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <vector>

#include "capture/formats.hpp"
#include "capture/line.hpp"
#include "capture/trace_events.hpp"

namespace pv::capture {
namespace {

using trace::Event;
using trace::Kind;

struct Fixture {
    std::vector<std::string> texts = {""};
    Parser parser{[this](std::string_view text) {
        texts.emplace_back(text);
        return static_cast<std::uint64_t>(texts.size() - 1);
    }};

    std::optional<Event> feed(std::string_view rest) {
        return parser.feed("812@1795231757.431279:" + std::string(rest));
    }

    std::string text(std::uint64_t id) const { return texts.at(id); }
};

using Args = std::array<std::uint64_t, 6>;

struct Sample {
    Kind kind;
    const char* line;
    Args args;
    std::int32_t cpu = -1;
};

/// A line of each event without texts, as QEMU 10.0.2 wrote it (or as its trace-events files say it does).
const std::vector<Sample> samples = {
    {Kind::dma_access,
     "address_space_map as:0x56530343caa8 addr 0xefe8900:100 write:1 attrs:0x0",
     {0x56530343caa8, 0xefe8900, 0x100, 1}},
    {Kind::nvme_admin_command,
     "pci_nvme_admin_cmd cid 1 sqid 0 opc 0x5 opname 'NVME_ADM_CMD_CREATE_CQ'",
     {1, 0, 5}},
    {Kind::nvme_io_command,
     "pci_nvme_io_cmd cid 65535 nsid 0x1 sqid 2 opc 0x2 opname 'NVME_NVM_CMD_READ'",
     {65535, 2, 2, 1}},
    {Kind::nvme_map_prp,
     "pci_nvme_map_prp trans_len 4096 len 4096 prp1 0xefdc000 prp2 0x0 num_prps 2",
     {4096, 4096, 0xefdc000, 0, 2}},
    {Kind::nvme_map_address, "pci_nvme_map_addr addr 0xefdc000 len 4096", {0xefdc000, 4096}},
    {Kind::nvme_completion,
     "pci_nvme_enqueue_req_completion cid 7 cqid 1 dw0 0x10 dw1 0x20 status 0x4007",
     {7, 1, 0x4007, 0x10, 0x20}},
    {Kind::nvme_create_sq,
     "pci_nvme_create_sq create submission queue, addr=0x2960000, sqid=1, cqid=2, qsize=1023, qflags=1",
     {0x2960000, 1, 2, 1023, 1}},
    {Kind::nvme_create_cq,
     "pci_nvme_create_cq create completion queue, addr=0x291c000, cqid=1, vector=9, qsize=1023, qflags=3, "
     "ien=1",
     {0x291c000, 1, 9, 1023, 3, 1}},
    {Kind::nvme_delete_sq, "pci_nvme_del_sq deleting submission queue sqid=1", {1}},
    {Kind::nvme_delete_cq, "pci_nvme_del_cq deleted completion queue, cqid=1", {1}},
    {Kind::nvme_doorbell_sq, "pci_nvme_mmio_doorbell_sq sqid 3 new_tail 9", {3, 9}},
    {Kind::nvme_doorbell_cq, "pci_nvme_mmio_doorbell_cq cqid 3 new_head 9", {3, 9}},
    {Kind::nvme_shadow_sq, "pci_nvme_update_sq_tail sqid 0 new_tail 8", {0, 8}},
    {Kind::nvme_shadow_cq, "pci_nvme_update_cq_head cqid 0 new_head 7", {0, 7}},
    {Kind::nvme_shadow_config,
     "pci_nvme_dbbuf_config dbs_addr=0x2912000 eis_addr=0x2913000",
     {0x2912000, 0x2913000}},
    {Kind::nvme_read, "pci_nvme_read cid 0 nsid 1 nlb 8 count 4096 lba 0x80", {0, 1, 8, 4096, 0x80}},
    {Kind::nvme_flush, "pci_nvme_flush_ns nsid 0xffffffff", {0xffffffff}},
    {Kind::nvme_configure, "pci_nvme_mmio_cfg wrote MMIO, config controller config=0x460001", {0x460001}},
    {Kind::nvme_enabled, "pci_nvme_mmio_start_success setting controller enable bit succeeded", {}},
    {Kind::nvme_disabled, "pci_nvme_mmio_stopped cleared controller enable bit", {}},
    {Kind::nvme_shutdown, "pci_nvme_mmio_shutdown_set shutdown bit set", {}},
    {Kind::nvme_admin_queue_sizes,
     "pci_nvme_mmio_aqattr wrote MMIO, admin queue attributes=0xff003f",
     {0xff003f}},
    {Kind::nvme_admin_sq_address,
     "pci_nvme_mmio_asqaddr wrote MMIO, admin submission queue address=0xffdb000",
     {0xffdb000}},
    {Kind::nvme_admin_sq_address,
     "pci_nvme_mmio_asqaddr_hi wrote MMIO, admin submission queue high half=0x1, new_address=0x1028fb000",
     {0x1028fb000}},
    {Kind::nvme_admin_cq_address,
     "pci_nvme_mmio_acqaddr wrote MMIO, admin completion queue address=0xffdc000",
     {0xffdc000}},
    {Kind::nvme_admin_cq_address,
     "pci_nvme_mmio_acqaddr_hi wrote MMIO, admin completion queue high half=0x0, new_address=0x28fa000",
     {0x28fa000}},
    {Kind::nvme_reset, "pci_nvme_pci_reset PCI Function Level Reset", {}},
    {Kind::virtio_status, "virtio_set_status vdev 0x5653034dbaa0 val 15", {0x5653034dbaa0, 15}},
    {Kind::virtio_kick,
     "virtio_queue_notify vdev 0x5653034dbaa0 n 2 vq 0x5653034e5c00",
     {0x5653034dbaa0, 2, 0x5653034e5c00}},
    {Kind::virtio_interrupt, "virtio_notify vdev 0x5653034dbaa0 vq (nil)", {0x5653034dbaa0, 0}},
    {Kind::virtio_interrupt, "virtio_notify_irqfd vdev 0x5653034dbaa0 vq 0x1", {0x5653034dbaa0, 1}},
    {Kind::virtqueue_pop,
     "virtqueue_pop vq 0x5653034e5c00 elem 0x5653029b2800 in_num 2 out_num 1",
     {0x5653034e5c00, 0x5653029b2800, 2, 1}},
    {Kind::virtqueue_fill,
     "virtqueue_fill vq 0x5653034e5c00 elem 0x5653029b2800 len 513 idx 4",
     {0x5653034e5c00, 0x5653029b2800, 513, 4}},
    {Kind::virtqueue_flush, "virtqueue_flush vq 0x5653034e5c00 count 1", {0x5653034e5c00, 1}},
    {Kind::virtio_blk_read,
     "virtio_blk_handle_read vdev 0x5653034dbaa0 req 0x5653029b2800 sector 18446744073709551615 nsectors 8",
     {0x5653034dbaa0, 0x5653029b2800, ~0ULL, 8}},
    {Kind::virtio_blk_write, "virtio_blk_handle_write vdev 0x1 req 0x2 sector 3 nsectors 4", {1, 2, 3, 4}},
    {Kind::virtio_blk_complete,
     "virtio_blk_req_complete vdev 0x1 req 0x2 status -5",
     {1, 2, static_cast<std::uint64_t>(-5)}},
    {Kind::block_read,
     "blk_co_preadv blk 0x1 bs (nil) offset 512 bytes 1024 flags 0x8",
     {1, 0, 512, 1024, 8}},
    {Kind::block_write,
     "blk_co_pwritev blk 0x1 bs 0x2 offset 65536 bytes 65536 flags 0x0",
     {1, 2, 65536, 65536}},
    {Kind::nbd_request,
     "nbd_send_request Sending request to server: { .from = 512, .len = 4096, .cookie = 3, .flags = 0x1, "
     ".type = 1 "
     "(write) }",
     {512, 4096, 3, 1, 1}},
    {Kind::iommu_translation,
     "vtd_dmar_translate dev 00:10.00 iova 0xfffff000 -> gpa 0x29d5000 mask 0xfff",
     {0x80, 0xfffff000, 0x29d5000, 0xfff}},
    {Kind::iommu_fault,
     "vtd_dmar_fault sid 0x88 fault 5 addr 0x7fffffff000 write 1",
     {0x88, 5, 0x7fffffff000, 1}},
    {Kind::iommu_cached,
     "vtd_iotlb_page_update IOTLB page update sid 0x80 iova 0xfffff000 slpte 0x29d5003 domain 0x1",
     {0x80, 0xfffff000, 0x29d5003, 1}},
    {Kind::iommu_invalidate_pages,
     "vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x1 addr 0xfffff000 mask 0x2",
     {1, 0xfffff000, 2}},
    {Kind::iommu_invalidate_domain, "vtd_inv_desc_iotlb_domain iotlb invalidate whole domain 0x2", {2}},
    {Kind::iommu_invalidate_all, "vtd_inv_desc_iotlb_global iotlb invalidate global", {}},
    {Kind::iommu_waited,
     "vtd_inv_desc_wait_sw wait invalidate status write addr 0x2920000 data 0x7",
     {0x2920000, 7}},
    {Kind::iommu_enabled, "vtd_dmar_enable enable 1", {1}},
    {Kind::iommu_device_translated,
     "vtd_switch_address_space Device 00:1f.3 switching address space (iommu enabled=1)",
     {0xfb, 1}},
    {Kind::interrupt_remapping_enabled, "vtd_ir_enable enable 0", {0}},
    {Kind::viommu_attach, "virtio_iommu_attach domain=1 endpoint=128", {1, 128}},
    {Kind::viommu_map,
     "virtio_iommu_map domain=1 virt_start=0x1000 virt_end=0x1fff phys_start=0x29d5000 flags=3",
     {1, 0x1000, 0x1fff, 0x29d5000, 3}},
    {Kind::viommu_unmap,
     "virtio_iommu_unmap domain=1 virt_start=0x1000 virt_end=0x1fff",
     {1, 0x1000, 0x1fff}},
    {Kind::viommu_translation,
     "virtio_iommu_translate_out 0x1000 -> 0x29d5000 for sid=128",
     {0x1000, 0x29d5000, 128}},
    {Kind::viommu_fault,
     "virtio_iommu_report_fault FAULT reason=2 flags=2 endpoint=128 address =0x7fffffff000",
     {2, 2, 128, 0x7fffffff000}},
    {Kind::plugin_hello, "paravane_plugin api_version 4 marker_version 0x10000 cpus 2", {4, 0x10000, 2}},
    {Kind::cpu_start, "paravane_cpu_start cpu 1 pc 0x0", {}, 1},
    {Kind::control_register,
     "paravane_control_register cpu 0 pc 0xffffffff80101234 number 3 value 0x1000",
     {3, 0x1000},
     0},
    {Kind::profile, "paravane_profile cpu 0 pc 0xffffffff8cc4ee41 slide 0x9c00000", {0x9c00000}, 0},
    {Kind::plugin_goodbye, "paravane_plugin_end markers 12 lost 0", {12, 0}},
    {Kind::ring_descriptor,
     "paravane_ring_descriptor cpu 0 pc 0x10 bdf 0x88 queue 0 chain 3 address 0x1000 length 512 "
     "device_writes 1",
     {0x88, 0, 3, 0x1000, 512, 1},
     0},
    {Kind::marker_dma_map,
     "paravane_marker cpu 0 pc 0xffffffff80101234 number 0x10 args 0x80 0x1 0x1000 0x1000 0x200 0x1",
     {0x80, 1, 0x1000, 0x1000, 0x200, 1},
     0},
    {Kind::marker_hello,
     "paravane_marker cpu 0 pc 0x10 number 0x1 args 0x10004 0x5 0xf4240 0x1 0x200000",
     {0x10004, 5, 1'000'000, 1, 0x200000},
     0},
    {Kind::marker_hello,  // of minor version 3
     "paravane_marker cpu 0 pc 0x10 number 0x1 args 0x10003 0x5 0xf4240 0x1",
     {0x10003, 5, 1'000'000, 1},
     0},
    {Kind::marker_goodbye, "paravane_marker cpu 3 pc 0x10 number 0x2 args 0x0", {}, 3},
};

TEST(Parser, reads_every_format_of_qemu_and_the_plugin) {
    for (const Sample& sample : samples) {
        Fixture fixture;
        const std::optional<Event> event = fixture.feed(sample.line);
        ASSERT_TRUE(event) << sample.line;
        EXPECT_EQ(event->kind, sample.kind) << sample.line;
        EXPECT_EQ(event->args, sample.args) << sample.line;
        EXPECT_EQ(event->cpu, sample.cpu) << sample.line;
        EXPECT_EQ(fixture.parser.statistics().events, 1U);
    }
}

TEST(Parser, has_a_sample_or_a_test_of_its_own_for_every_format) {
    std::map<std::string_view, int> seen = {
        {"memory_region_ops_read", 1}, {"memory_region_ops_write", 1}, {"pci_cfg_read", 1},
        {"pci_cfg_write", 1},          {"pci_update_mappings_add", 1}, {"pci_update_mappings_del", 1},
        {"pci_nvme_write", 1},         {"vtd_iotlb_reset", 1}};
    for (const Sample& sample : samples) {
        const std::string_view line = sample.line;
        ++seen[line.substr(0, line.find(' '))];
    }
    for (const Format& format : formats) {
        EXPECT_TRUE(seen.contains(format.name)) << format.name;
    }
}

TEST(Parser, has_a_format_for_every_event_qemu_is_asked_for) {
    for (const std::string& pattern : qemu_trace_patterns()) {
        if (pattern.ends_with('*')) {
            EXPECT_TRUE(std::ranges::any_of(families, [&](const Family& f) {
                return pattern == std::string(f.prefix) + "*";
            })) << pattern;
        } else {
            EXPECT_TRUE(std::ranges::any_of(formats, [&](const Format& f) { return pattern == f.name; }))
                << pattern;
        }
    }
}

TEST(Parser, reads_registers_with_cpu_region_and_name) {
    Fixture fixture;
    const auto event = fixture.feed(
        "memory_region_ops_write cpu -1 mr 0x5653029e39e0 addr 0xfee00000 value 0xffffffffffffffff size 4 "
        "name 'apic-msi'");
    ASSERT_TRUE(event);
    EXPECT_EQ(event->kind, Kind::mmio_write);
    EXPECT_EQ(event->cpu, -1);
    EXPECT_EQ(event->args[0], 0xfee00000);
    EXPECT_EQ(event->args[1], ~0ULL);
    EXPECT_EQ(event->args[2], 4U);
    EXPECT_EQ(event->args[3], 0x5653029e39e0U);
    EXPECT_EQ(fixture.text(event->args[4]), "apic-msi");
    const auto odd =
        fixture.feed("memory_region_ops_read cpu 7 mr (nil) addr 0x1 value 0x0 size 1 name 'it's 'odd''");
    ASSERT_TRUE(odd);
    EXPECT_EQ(odd->cpu, 7);
    EXPECT_EQ(fixture.text(odd->args[4]), "it's 'odd'");
}

TEST(Parser, reads_pci_configuration_and_mappings) {
    Fixture fixture;
    const auto write = fixture.feed("pci_cfg_write virtio-blk-pci 3a:1f.7 @0x90 <- 0x33333330");
    ASSERT_TRUE(write);
    EXPECT_EQ(write->args[0], 0x3affU);
    EXPECT_EQ(write->args[1], 0x90U);
    EXPECT_EQ(write->args[2], 0x33333330U);
    EXPECT_EQ(fixture.text(write->args[3]), "virtio-blk-pci");
    EXPECT_TRUE(fixture.feed("pci_cfg_read mch 00:00.0 @0x0 -> 0x8086"));
    const auto map = fixture.feed("pci_update_mappings_add nvme 00:10.0 0,0xfebf4000+0x4000");
    ASSERT_TRUE(map);
    EXPECT_EQ(map->kind, Kind::pci_bar_map);
    EXPECT_EQ(map->args[0], 0x80U);
    EXPECT_EQ(map->args[2], 0xfebf4000U);
    EXPECT_EQ(map->args[3], 0x4000U);
    EXPECT_TRUE(fixture.feed("pci_update_mappings_del nvme 00:10.0 5,0xfebf4000+0x4000"));
    EXPECT_FALSE(fixture.feed("pci_cfg_read mch 00:20.0 @0x0 -> 0x8086"));  // there is no device 0x20
    const auto nvme =
        fixture.feed("pci_nvme_write cid 2 opname 'NVME_NVM_CMD_WRITE' nsid 1 nlb 128 count 65536 lba 0x80");
    ASSERT_TRUE(nvme);
    EXPECT_EQ(nvme->args[4], 0x80U);
    EXPECT_EQ(fixture.text(nvme->args[5]), "NVME_NVM_CMD_WRITE");
}

TEST(Parser, keeps_why_an_iommu_dropped_its_cache) {
    Fixture fixture;
    const auto dropped = fixture.feed("vtd_iotlb_reset IOTLB reset (reason: iotlb exceeds size limit)");
    ASSERT_TRUE(dropped);
    EXPECT_EQ(dropped->kind, Kind::iommu_cache_dropped);
    EXPECT_EQ(fixture.text(dropped->args[0]), "iotlb exceeds size limit");
}

TEST(Parser, keeps_qemus_complaints_as_text) {
    Fixture fixture;
    const auto error = fixture.feed("pci_nvme_err_invalid_prp2_align PRP2 is not page aligned: 0x1001");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, Kind::nvme_error);
    EXPECT_EQ(fixture.text(error->args[0]), "pci_nvme_err_invalid_prp2_align");
    EXPECT_EQ(fixture.text(error->args[1]), "PRP2 is not page aligned: 0x1001");
    const auto misuse = fixture.feed(
        "pci_nvme_ub_db_wr_invalid_cq completion queue doorbell write for nonexistent queue, cqid=9, "
        "ignoring");
    ASSERT_TRUE(misuse);
    EXPECT_EQ(misuse->kind, Kind::nvme_misuse);
}

TEST(Parser, reads_guest_errors_which_have_no_header) {
    Fixture fixture;
    const auto access = fixture.parser.feed(
        "Invalid write at addr 0x1F0, size 8, region 'nvme's', reason: invalid size (min:4 max:4)");
    ASSERT_TRUE(access);
    EXPECT_EQ(access->kind, Kind::invalid_access);
    EXPECT_EQ(access->args[0], 0x1f0U);
    EXPECT_EQ(access->args[1], 8U);
    EXPECT_EQ(access->args[2], 1U);
    EXPECT_EQ(fixture.text(access->args[3]), "nvme's");
    EXPECT_EQ(fixture.text(access->args[4]), "invalid size (min:4 max:4)");
    const auto read =
        fixture.parser.feed("Invalid read at addr 0xFEBF0000, size 4, region '(null)', reason: rejected");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->args[2], 0U);
    const auto other = fixture.parser.feed("virtio_blk: zero sized buffers are not allowed");
    ASSERT_TRUE(other);
    EXPECT_EQ(other->kind, Kind::guest_error);
    EXPECT_EQ(fixture.text(other->args[0]), "virtio_blk: zero sized buffers are not allowed");
}

TEST(Parser, reads_lines_of_the_tool_with_hostile_text) {
    Fixture fixture;
    const std::string detail = "stall 'disk0' \\ \x1b[31m\xff\n812@1.5:x";
    const auto event = fixture.parser.feed(format_line(
        "paravane_fault_begin", "disk 0 operation 1 offset 512 length 4096 detail " + quote(detail)));
    ASSERT_TRUE(event);
    EXPECT_EQ(event->kind, Kind::fault_begin);
    EXPECT_EQ(event->args[3], 4096U);
    EXPECT_EQ(fixture.text(event->args[4]), detail);
    EXPECT_TRUE(
        fixture.feed("paravane_fault_begin detail_text 'x' length 1 offset 2 operation 3 disk 4 newer 5"));
    EXPECT_FALSE(
        fixture.feed("paravane_fault_begin disk 0 operation 1 offset 512 length 4096"));  // detail is missing
    EXPECT_FALSE(fixture.feed("paravane_fault_begin disk 0 operation 1 offset 512 length 4096 detail 'torn"));
    EXPECT_FALSE(fixture.feed("paravane_fault_begin disk 'a' operation 1 offset 512 length 4096 detail 'x'"));
}

TEST(Parser, counts_what_the_writer_says_it_lost) {
    Fixture fixture;
    EXPECT_TRUE(fixture.feed("paravane_plugin_end markers 12 lost 3"));
    EXPECT_TRUE(fixture.feed("paravane_lost lines 5 bytes 100 reason 'x'"));
    EXPECT_EQ(fixture.parser.statistics().lost, 8U);
    EXPECT_FALSE(fixture.parser.statistics().is_complete());
}

TEST(Parser, ignores_events_nobody_uses_without_calling_them_lost) {
    Fixture fixture;
    EXPECT_FALSE(fixture.feed("pci_nvme_irq_msix raising MSI-X IRQ vector 0"));
    EXPECT_FALSE(fixture.feed("blk_root_attach child 0x1 blk 0x2 bs 0x3"));
    EXPECT_FALSE(fixture.feed("some_event_of_a_newer_qemu x"));
    EXPECT_FALSE(fixture.parser.feed(""));
    EXPECT_EQ(fixture.parser.statistics().ignored, 4U);
    EXPECT_TRUE(fixture.parser.statistics().is_complete());
}

/// Every beginning of every line is torn: none of them may pass for an event or for a line to ignore, except
/// where the cut leaves a shorter number (a line without its newline is refused by the session for that
/// reason).
TEST(Parser, understands_no_line_torn_inside_its_words) {
    for (const Sample& sample : samples) {
        const std::string line = sample.line;
        for (std::size_t length = 1; length < line.size(); ++length) {
            const char cut_after = line[length - 1];
            const char cut_before = line[length];
            const bool inside_number =
                std::isxdigit(static_cast<unsigned char>(cut_after)) != 0 &&
                (std::isxdigit(static_cast<unsigned char>(cut_before)) != 0 || cut_before == 'x');
            const bool whole_without = line.starts_with("paravane_marker ") ||
                                       line.substr(0, length).find("start cpu 1") != std::string::npos;
            if (inside_number || whole_without) {
                continue;
            }
            Fixture fixture;
            EXPECT_FALSE(fixture.feed(std::string_view(line).substr(0, length))) << line.substr(0, length);
            EXPECT_EQ(fixture.parser.statistics().ignored, 0U) << line.substr(0, length);
        }
    }
}

TEST(Parser, understands_no_two_lines_run_into_one) {
    const std::string second = "812@1795231757.431280:pci_nvme_flush_ns nsid 0x1";
    for (const Sample& sample : samples) {
        Fixture fixture;
        EXPECT_FALSE(fixture.feed(sample.line + second)) << sample.line;
        EXPECT_EQ(fixture.parser.statistics().not_understood, 1U) << sample.line;
    }
    Fixture fixture;
    EXPECT_FALSE(fixture.feed("memory_region_ops_read cpu 7 mr 0x1 addr 0x1 value 0x0 size 1 name 'rt" +
                              second + " x 'y'"));
    EXPECT_FALSE(fixture.feed("pci_nvme_irq_pin pulsing" + second));
    EXPECT_FALSE(fixture.feed("pci_nvme_err_cfs controller" + second));
    EXPECT_FALSE(fixture.parser.feed("virtio: zero sized" + second));
    EXPECT_EQ(fixture.parser.statistics().not_understood, 4U);
}

TEST(Parser, survives_hostile_lines_and_says_so) {
    const std::vector<std::string> hostile = {
        "812@1795231757.431279:pci_nvme_flush_ns nsid 0x10000000000000000",           // 65 bits
        "812@1795231757.431279:pci_nvme_map_addr addr 0x1 len 18446744073709551616",  // 65 bits
        "812@1795231757.431279:pci_nvme_map_addr addr 0x1 len 99999999999999999999999",
        "812@1795231757.431279:pci_nvme_map_addr addr 0x1 len -9223372036854775809",
        "812@1795231757.431279:pci_nvme_map_addr addr 0x-1 len 1",
        "812@1795231757.431279:pci_nvme_map_addr addr 0x1 len +1",
        "812@1795231757.431279:pci_nvme_map_addr addr  0x1 len 1",
        "812@1795231757.431279:pci_nvme_map_addr addr 0x1 len 1 ",
        "812@1795231757.9999999:pci_nvme_flush_ns nsid 0x1",
        "812@99999999999999999999.431279:pci_nvme_flush_ns nsid 0x1",
        "812@-1.431279:pci_nvme_flush_ns nsid 0x1",
        "812@1795231757:pci_nvme_flush_ns nsid 0x1",
        "812@",
        "812",
        "@",
        ":",
        " ",
        "0",
        "812@1.1:",
        "812@1.1: ",
        "\xff\xfe",
        std::string(1, '\0'),
        std::string("abc\0def", 7),
        "Invalid \xff",
        "812@1795231757.431279:memory_region_ops_read cpu -2 mr 0x1 addr 0x1 value 0x0 size 1 name 'x'",
        "812@1795231757.431279:memory_region_ops_read cpu 99999999 mr 0x1 addr 0x1 value 0x0 size 1 name 'x'",
        "812@1795231757.431279:paravane_marker cpu 0 pc 0x1 number 0x10 args 0x80 0x1",      // too few
        "812@1795231757.431279:paravane_marker cpu 0 pc 0x1 number 0x2 args 1 2 3 4 5 6 7",  // too many
        "812@1795231757.431279:paravane_marker cpu 0 pc 0x1 number 0x10000 args 0x80",
        "812@1795231757.431279:paravane_of_a_newer_plugin x 1",
        "812@1795231757.431279:memory_region_ops_rea",
        "812@1795231757.431279:pci_nvme_er",
        std::string(Parser::max_line + 1, 'a'),
    };
    Fixture fixture;
    for (const std::string& line : hostile) {
        EXPECT_FALSE(fixture.parser.feed(line)) << line;
    }
    const Statistics& counts = fixture.parser.statistics();
    EXPECT_EQ(counts.not_understood, hostile.size());
    EXPECT_EQ(counts.lines, hostile.size());
    EXPECT_EQ(counts.samples.size(), Parser::max_samples);
}

TEST(Parser, shows_samples_as_printable_ascii) {
    Fixture fixture;
    EXPECT_FALSE(fixture.parser.feed("\x1b[2J\xff" + std::string(1'000, '!')));
    ASSERT_EQ(fixture.parser.statistics().samples.size(), 1U);
    EXPECT_TRUE(fixture.parser.statistics().samples[0].starts_with("\\x1b[2J\\xff!!!"));
    EXPECT_LE(fixture.parser.statistics().samples[0].size(), 200U);
}

std::int64_t time_of(Parser& parser, const char* stamp) {
    const auto event = parser.feed(std::string("1@") + stamp + ":pci_nvme_flush_ns nsid 0x1");
    EXPECT_TRUE(event) << stamp;
    return event ? event->time : -1;
}

TEST(Parser, counts_time_from_the_first_event_and_never_backwards) {
    Fixture fixture;
    EXPECT_EQ(time_of(fixture.parser, "100.000500"), 0);
    EXPECT_EQ(time_of(fixture.parser, "100.000700"), 200);
    EXPECT_EQ(time_of(fixture.parser, "100.000650"), 200);  // another thread's clock was read before
    EXPECT_EQ(time_of(fixture.parser, "100.000800"), 300);
    EXPECT_EQ(time_of(fixture.parser, "101.000500"), 1'000'000);
    EXPECT_EQ(time_of(fixture.parser, "50.000000"), 1'000'000);  // the host's clock was set back
    EXPECT_EQ(time_of(fixture.parser, "50.000100"), 1'000'100);
    EXPECT_EQ(fixture.parser.statistics().time_reversals, 2U);
    const auto plain = fixture.parser.feed("virtio: bad");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->time, 1'000'100);
}

}  // namespace
}  // namespace pv::capture
