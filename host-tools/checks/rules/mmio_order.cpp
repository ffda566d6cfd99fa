// mmio-order: registers are written in the state of the device that their definition asks for.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "checks/findings.hpp"
#include "checks/rules/register_rule.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

// VIRTIO 1.2, section 2.1: bits of the device status.
constexpr std::uint64_t status_driver_ok = 4;
constexpr std::uint64_t status_features_ok = 8;
/// VIRTIO_F_RING_RESET: a queue may be set up again while the device runs (section 2.6.1).
constexpr std::uint64_t ring_reset = std::uint64_t{1} << 40;

class MmioOrder final : public RegisterRule {
  public:
    using RegisterRule::RegisterRule;

  private:
    enum class Known : std::uint8_t { unknown, no, yes };

    /// What the driver made of a device so far.
    struct State {
        Known enabled = Known::unknown;  ///< NVMe: CC.EN
        bool ready = false;              ///< CSTS.RDY was read as 1 since it was enabled
        bool stopped = true;             ///< CSTS.RDY was read as 0 since it was disabled, or never disabled
        Known status_known = Known::unknown;
        std::uint64_t status = 0;  ///< virtio: as written
        Place changed;             ///< the last write of CC, or of the status
    };

    [[nodiscard]] std::string_view subject() const override { return "written"; }

    void other(const trace::Event& event) override {
        // A notification is often handled without an event of its register (ioeventfd).
        if (event.kind == Kind::marker_doorbell &&
            (event.args[1] == PV_QUEUE_VIRTIO_SPLIT || event.args[1] == PV_QUEUE_VIRTIO_PACKED)) {
            notified(event, static_cast<Bdf>(event.args[0]), nullptr);
        }
    }

    void used(const trace::Event& event, const RegisterUse& use) override {
        if (use.region != Region::nvme && use.region != Region::virtio_common &&
            use.region != Region::virtio_notify) {
            return;
        }
        const auto& [region, bar, write, offset, structure, value, size] = use;
        if (write) {
            count();
        }
        if (region == Region::nvme) {
            State& state = devices_[bar->bdf];
            if (write) {
                nvme_write(event, *bar, state, offset);
            } else if (offset == nvme_register::csts) {
                state.ready = state.ready || (state.enabled == Known::yes && (value & 1) != 0);
                state.stopped = state.stopped || (value & 1) == 0;
            }
        } else if (write && region == Region::virtio_notify) {
            notified(event, bar->bdf, bar);
        } else if (write) {
            common_write(event, *bar, devices_[bar->bdf], structure);
        }
    }

    void nvme_write(const trace::Event& event, const Bar& bar, State& state, std::uint64_t offset) {
        if (offset == nvme_register::cc) {
            const bool enable = (event.args[1] & 1) != 0;
            if (enable && state.enabled == Known::no && !state.stopped) {
                add(event, bar.bdf, &bar, state,
                    "the controller is enabled before CSTS.RDY was seen as 0 after it was disabled");
            }
            if (!enable && state.enabled == Known::yes) {
                state.stopped = false;
            }
            if (enable != (state.enabled == Known::yes)) {
                state.ready = false;
                state.changed = place_of(event);
            }
            state.enabled = enable ? Known::yes : Known::no;
        } else if (offset >= nvme_register::aqa && offset < nvme_register::acq_end &&
                   state.enabled == Known::yes) {
            add(event, bar.bdf, &bar, state,
                "the admin queues' registers are written while the controller is enabled");
        } else if (offset >= nvme_register::doorbells && state.enabled == Known::no) {
            add(event, bar.bdf, &bar, state, "a doorbell is written while the controller is disabled");
        } else if (offset >= nvme_register::doorbells && state.enabled == Known::yes && !state.ready) {
            add(event, bar.bdf, &bar, state, "a doorbell is written before CSTS.RDY was seen as 1");
        }
    }

    void common_write(const trace::Event& event, const Bar& bar, State& state, std::uint64_t offset) {
        const std::uint64_t value = event.args[1];
        if (offset == virtio_register::device_status) {
            status(event, bar, state, value & 0xff);
            return;
        }
        if (state.status_known != Known::yes) {
            return;
        }
        if (offset == virtio_register::driver_feature && (state.status & status_features_ok) != 0) {
            add(event, bar.bdf, &bar, state, "features are written after FEATURES_OK");
            return;
        }
        const bool sets_up =
            offset == virtio_register::queue_size ||
            (offset == virtio_register::queue_enable && value == 1) ||
            (offset >= virtio_register::queue_desc && offset < virtio_register::queue_device_end);
        const VirtioDevice* device = world().virtio().find(bar.bdf);
        const bool may_reset = device != nullptr && (device->features & ring_reset) != 0;
        if (sets_up && (state.status & status_driver_ok) != 0 && !may_reset) {
            add(event, bar.bdf, &bar, state, "a queue is set up after DRIVER_OK");
        }
    }

    void status(const trace::Event& event, const Bar& bar, State& state, std::uint64_t value) {
        if (state.status_known == Known::yes && value != 0) {
            if ((state.status & ~value) != 0) {
                add(event, bar.bdf, &bar, state,
                    fmt::format("the device status loses bits without a reset ({:#x} after {:#x})", value,
                                state.status));
            } else if ((value & status_driver_ok) != 0 && (value & status_features_ok) == 0) {
                add(event, bar.bdf, &bar, state, "DRIVER_OK is set without FEATURES_OK");
            }
        }
        // Until the first reset that is seen, what the firmware left is not known.
        if (value == 0 || state.status_known == Known::yes) {
            state.status_known = Known::yes;
            state.status = value;
        }
        state.changed = place_of(event);
    }

    /// `bar` is null where only the marker tells of it.
    void notified(const trace::Event& event, Bdf bdf, const Bar* bar) {
        const auto found = devices_.find(bdf);
        if (found == devices_.end() || found->second.status_known != Known::yes ||
            (found->second.status & status_driver_ok) != 0) {
            return;
        }
        add(event, bdf, bar, found->second, "a queue is notified before DRIVER_OK");
    }

    void add(const trace::Event& event, Bdf bdf, const Bar* bar, const State& state, std::string_view why) {
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = bdf;
        if (bar != nullptr) {
            draft.address = event.args[0];
            draft.length = event.args[2];
        }
        draft.title = fmt::format("{}: {}", world().devices().name(bdf), why);
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(bdf)));
        draft.lines.push_back(bar == nullptr
                                  ? fmt::format("doorbell: {}", where(world(), draft.at))
                                  : fmt::format("write: {:#x} to register {:#x}, {}", event.args[1],
                                                event.args[0] - bar->address, where(world(), draft.at)));
        draft.events.push_back({event.sequence, bar == nullptr ? "doorbell" : "access"});
        if (state.changed) {
            draft.lines.push_back(fmt::format("state since: {}", where(world(), state.changed)));
            draft.events.push_back({state.changed.sequence, "state"});
        }
        // A notification is told by its marker and by its register.
        draft.part_of = fmt::format("{}/{}/{}", bdf, why, event.time / 1000);
        draft.cause = fmt::format("{}/{}", bdf, why);
        report(std::move(draft));
    }

    std::unordered_map<Bdf, State> devices_;  ///< of devices with a BAR
};

}  // namespace

RuleInfo mmio_order_rule() {
    return {.name = "mmio-order",
            .summary = "Registers are written in the state of the device that they ask for",
            .severity = store::Severity::error,
            .evidence = "E",
            .unit = "register writes",
            .needs_markers = false,
            .create = make_rule<MmioOrder>};
}

}  // namespace pv::checks
