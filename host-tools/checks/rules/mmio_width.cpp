// mmio-width: registers are used with a width and at an alignment that their definition allows.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "checks/findings.hpp"
#include "checks/rules/register_rule.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

struct Field {
    std::uint64_t offset;
    std::uint64_t width;  ///< bytes
};

/// NVMe 2.0, section 3.1.3: the 64-bit properties; every other one has 32 bits.
constexpr std::array nvme_wide = {
    Field{0x00, 8},  // CAP
    Field{0x28, 8},  // ASQ
    Field{0x30, 8},  // ACQ
    Field{0x48, 8},  // BPMBL
    Field{0x50, 8},  // CMBMSC
};

/// VIRTIO 1.2, section 4.1.4.3; the last two came with 1.3.
constexpr std::array virtio_common = {
    Field{0x00, 4},  // device_feature_select
    Field{0x04, 4},  // device_feature
    Field{0x08, 4},  // driver_feature_select
    Field{0x0c, 4},  // driver_feature
    Field{0x10, 2},  // config_msix_vector
    Field{0x12, 2},  // num_queues
    Field{0x14, 1},  // device_status
    Field{0x15, 1},  // config_generation
    Field{0x16, 2},  // queue_select
    Field{0x18, 2},  // queue_size
    Field{0x1a, 2},  // queue_msix_vector
    Field{0x1c, 2},  // queue_enable
    Field{0x1e, 2},  // queue_notify_off
    Field{0x20, 8},  // queue_desc
    Field{0x28, 8},  // queue_driver
    Field{0x30, 8},  // queue_device
    Field{0x38, 2},  // queue_notif_config_data
    Field{0x3a, 2},  // queue_reset
    Field{0x3c, 2},  // admin_queue_index
    Field{0x3e, 2},  // admin_queue_num
};
/// VIRTIO_F_NOTIFICATION_DATA: notifications have 32 bits.
constexpr std::uint64_t notification_data = std::uint64_t{1} << 38;

class MmioWidth final : public RegisterRule {
  public:
    using RegisterRule::RegisterRule;

  private:
    void other(const trace::Event& event) override {
        if (event.kind == Kind::invalid_access) {
            refused(event);
        }
    }

    void used(const trace::Event& event, const RegisterUse& use) override {
        if (use.region != Region::nvme && use.region != Region::virtio_common &&
            use.region != Region::virtio_notify && use.region != Region::virtio_isr) {
            return;
        }
        count();
        const auto& [region, bar, write, offset, structure, value, size] = use;
        std::string why;
        switch (region) {
            case Region::nvme:
                why = nvme(offset, size);
                break;
            case Region::virtio_common:
                why = common(structure, size);
                break;
            case Region::virtio_notify:
                why = write ? notification(bar->bdf, size) : std::string();
                break;
            default:
                // VIRTIO 1.2, section 4.1.4.5: one byte.
                why = size == 1 ? std::string() : std::string("the ISR status has 8 bits");
                break;
        }
        if (why.empty()) {
            return;
        }
        Draft draft;
        draft.at = place_of(event);
        draft.address = event.args[0];
        draft.length = size;
        draft.bdf = bar->bdf;
        draft.title = fmt::format("{} of {} at {:#x} ({}, BAR {} + {:#x}): {}",
                                  event.kind == Kind::mmio_write ? "write" : "read", counted(size, "bytes"),
                                  event.args[0], world().devices().name(bar->bdf), bar->number, offset, why);
        draft.lines.push_back(fmt::format("access: {}", where(world(), draft.at)));
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(bar->bdf)));
        draft.events.push_back({event.sequence, "access"});
        draft.cause = fmt::format("{:#x}/{}/{}", event.args[0], size, event.kind == Kind::mmio_write);
        report(std::move(draft));
    }

    /// NVMe 2.0, section 3.1.3: in the property's native width, or as aligned 32 bits. "": right.
    static std::string nvme(std::uint64_t offset, std::uint64_t size) {
        if (size == 4 && offset % 4 == 0) {
            return {};
        }
        if (offset >= nvme_register::doorbells) {
            return "a doorbell has 32 bits";
        }
        const bool wide = std::ranges::any_of(
            nvme_wide, [&](const Field& field) { return field.offset == offset && field.width == size; });
        return wide ? std::string() : std::string("neither the register's own width nor aligned 32 bits");
    }

    /// VIRTIO 1.2, section 4.1.3.1: each field in its own width, 64-bit fields as two of 32 bits. "": right.
    static std::string common(std::uint64_t offset, std::uint64_t size) {
        if (offset >= virtio_register::common_end) {
            return {};  // mmio-unmapped's
        }
        const auto* const field = std::ranges::find_if(
            virtio_common, [&](const Field& f) { return offset >= f.offset && offset < f.offset + f.width; });
        if (field == virtio_common.end() || (field->width == 8 && size == 4 && offset % 4 == 0) ||
            (field->width != 8 && field->width == size && field->offset == offset)) {
            return {};
        }
        return field->width == 8
                   ? std::string("a field of 64 bits is used as two of 32")
                   : fmt::format("the field at {:#x} has {} bits", field->offset, field->width * 8);
    }

    /// VIRTIO 1.2, section 4.1.5.2. "": right.
    [[nodiscard]] std::string notification(Bdf bdf, std::uint64_t size) const {
        const VirtioDevice* device = world().virtio().find(bdf);
        if (device == nullptr || device->features == 0) {
            return size == 2 || size == 4 ? std::string() : std::string("a notification has 16 or 32 bits");
        }
        const std::uint64_t right = (device->features & notification_data) != 0 ? 4 : 2;
        return size == right ? std::string()
                             : fmt::format("this device's notifications have {} bits", right * 8);
    }

    /// What QEMU refused for its width or alignment. It does not say whose register it was, only the region.
    void refused(const trace::Event& event) {
        const Region region =
            world().devices().region(trace::get<Kind::invalid_access, "region_text">(event));
        const std::string reason =
            world().devices().text(trace::get<Kind::invalid_access, "reason_text">(event));
        if (region == Region::other || !refuses_width(reason)) {
            return;
        }
        count();
        Draft draft;
        draft.at = place_of(event);
        draft.address = trace::get<Kind::invalid_access, "address">(event);
        draft.length = trace::get<Kind::invalid_access, "size">(event);
        draft.title = fmt::format(
            "{} of {} at {:#x} of region {}, which the device refused: {}",
            trace::get<Kind::invalid_access, "write">(event) != 0 ? "write" : "read",
            counted(*draft.length, "bytes"), *draft.address,
            world().devices().text(trace::get<Kind::invalid_access, "region_text">(event)), reason);
        draft.lines.push_back(fmt::format("access: {}", where(world(), draft.at)));
        draft.events.push_back({event.sequence, "access"});
        draft.cause = fmt::format("refused/{:#x}/{}", *draft.address, *draft.length);
        report(std::move(draft));
    }
};

}  // namespace

bool refuses_width(std::string_view reason) {
    return reason.starts_with("unaligned") || reason.starts_with("invalid size");
}

RuleInfo mmio_width_rule() {
    return {.name = "mmio-width",
            .summary = "Registers are used with a width and alignment that they allow",
            .severity = store::Severity::error,
            .evidence = "E",
            .unit = "register accesses",
            .needs_markers = false,
            .create = make_rule<MmioWidth>};
}

}  // namespace pv::checks
