// flush-order: what is acknowledged as durable was written and flushed before the acknowledgement.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

class FlushOrder final : public Rule {
  public:
    using Rule::Rule;

    void on_complete(const Command& command) override {
        Disk& disk = disks_[command.bdf];
        if (command.status != 0) {
            return;
        }
        if (is_write(command) && !command.submitted) {
            disk.written = later(disk.written, command.completed);
        } else if (command.operation == PV_OPERATION_FLUSH &&
                   command.taken.sequence > disk.flushed.sequence) {
            // It covers every write that the device had completed when it began with it.
            disk.flushed = command.taken;
        }
    }

    void on_acknowledge(const Command& command) override {
        // From here on a caller counts on it: what was acknowledged before a flush began must be covered.
        if (is_write(command) && command.completed && command.status == 0) {
            Disk& disk = disks_[command.bdf];
            disk.written = later(disk.written, command.completed);
        }
    }

    void on_event(const trace::Event& event) override {
        const auto bdf = static_cast<Bdf>(event.args[0]);
        const std::uint64_t request = event.args[1];
        if (event.kind == Kind::marker_durable_begin) {
            if (begun_.size() < 1'048'576) {
                begun_.insert_or_assign({bdf, request}, Begun{place_of(event), disks_[bdf].written});
            }
        } else if (event.kind == Kind::marker_durable_end) {
            const auto found = begun_.find({bdf, request});
            if (found == begun_.end()) {
                return;
            }
            const Begun begun = found->second;
            begun_.erase(found);
            if (trace::get<Kind::marker_durable_end, "status">(event) == 0) {
                ++acknowledged_;
                judge(event, bdf, begun);
            }
        }
    }

    [[nodiscard]] Observed observed() const override {
        const std::string why = missing(PV_FEATURE_DURABILITY, "durability");
        if (!why.empty() || acknowledged_ == 0) {
            return {0, why.empty() ? "nothing was acknowledged as durable" : why};
        }
        return {acknowledged_, {}};
    }

  private:
    struct Disk {
        Place written;  ///< completion of the last write that was acknowledged to its caller
        Place flushed;  ///< when the device took the newest flush that succeeded
    };

    struct Begun {
        Place at;
        Place written;
    };

    static bool is_write(const Command& command) {
        return command.operation == PV_OPERATION_WRITE || command.operation == PV_OPERATION_WRITE_ZEROES;
    }

    static Place later(const Place& a, const Place& b) { return a.sequence >= b.sequence ? a : b; }

    /// A device without a volatile cache needs no flush: a driver that did not accept VIRTIO_BLK_F_FLUSH
    /// (VIRTIO 1.2, section 5.2.3) gets write-through.
    bool has_cache(Bdf bdf) const {
        constexpr std::uint64_t feature_flush = std::uint64_t{1} << 9;
        const VirtioDevice* device = world().virtio().find(bdf);
        return device == nullptr || device->features == 0 || (device->features & feature_flush) != 0;
    }

    void judge(const trace::Event& event, Bdf bdf, const Begun& begun) {
        const Disk& disk = disks_[bdf];
        if (!begun.written || disk.flushed.sequence > begun.written.sequence || !has_cache(bdf)) {
            return;
        }
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = bdf;
        draft.title =
            fmt::format("{}: acknowledged as durable without a flush, the last write was completed {} before",
                        world().devices().name(bdf), duration(event.time - begun.written.time));
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(bdf)));
        draft.lines.push_back(fmt::format("written: {}", where(world(), begun.written)));
        draft.lines.push_back(fmt::format("asked: {}", where(world(), begun.at)));
        draft.lines.push_back(fmt::format("acknowledged: {}", where(world(), draft.at)));
        draft.lines.push_back(disk.flushed ? fmt::format("last flush: {}", where(world(), disk.flushed))
                                           : std::string("last flush: none"));
        draft.events = {{begun.written.sequence, "written"},
                        {begun.at.sequence, "asked"},
                        {event.sequence, "acknowledged"}};
        if (disk.flushed) {
            draft.events.push_back({disk.flushed.sequence, "flushed"});
        }
        draft.cause = fmt::format("{}/{:x}", bdf, event.pc);
        report(std::move(draft));
    }

    std::map<Bdf, Disk> disks_;
    std::map<std::pair<Bdf, std::uint64_t>, Begun> begun_;
    std::uint64_t acknowledged_ = 0;
};

}  // namespace

RuleInfo flush_order_rule() {
    return {.name = "flush-order",
            .summary = "What is acknowledged as durable was written and flushed before",
            .severity = store::Severity::error,
            .evidence = "E M",
            .unit = "acknowledgements",
            .needs_markers = true,
            .create = make_rule<FlushOrder>};
}

}  // namespace pv::checks
