// mmio-poll-unbounded: a loop that reads one register without change ends within its deadline.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <limits>
#include <map>
#include <unordered_map>

#include "checks/findings.hpp"
#include "checks/limits.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

class MmioPollUnbounded final : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) override {
        switch (event.kind) {
            case Kind::mmio_read:
                read(event);
                break;
            case Kind::mmio_write:
                if (const Bar* bar = world().devices().find(event.args[0])) {
                    loops_.erase(bar->address);
                }
                break;
            case Kind::marker_wait_begin:
                begin(event);
                break;
            case Kind::marker_wait_end:
                end(event);
                break;
            default:
                break;
        }
    }

    void finish(bool) override {
        for (auto& [id, wait] : waits_) {
            if (!wait.reported && world().now().time > wait.due) {
                overrun(wait, wait.last_read ? wait.last_read : world().now());
            }
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (reads_ == 0) {
            return {0, "no device register was read"};
        }
        return {reads_, stated_ == 0
                            ? fmt::format("no stated waits: loops were judged by the default limit of {}",
                                          duration(limits().poll))
                            : fmt::format("{} with a stated deadline", counted(stated_, "waits"))};
    }

  private:
    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

    /// A run of reads of one register that all gave the same.
    struct Loop {
        std::uint64_t address = 0;
        std::uint64_t value = 0;
        Place first;
        Place last;
        std::uint64_t reads = 0;
        bool reported = false;
    };

    /// A wait that the guest announced.
    struct Wait {
        std::uint64_t address = 0;
        std::uint64_t deadline = 0;  ///< nanoseconds
        std::int64_t due = never;    ///< microseconds in the trace, slack and tolerance included
        Place begun;
        Place last_read;
        std::uint64_t reads = 0;
        std::uint64_t value = 0;
        bool reported = false;
    };

    void read(const trace::Event& event) {
        const std::uint64_t address = event.args[0];
        const Bar* bar = world().devices().find(address);
        Wait* wait = nullptr;
        if (const auto id = polled_.find(address); id != polled_.end()) {
            wait = &waits_.at(id->second);
        }
        if (bar == nullptr && wait == nullptr) {
            return;  // timers, serial ports, firmware's devices: no driver waits for them without end
        }
        ++reads_;
        if (wait != nullptr) {
            wait->last_read = place_of(event);
            wait->value = event.args[1];
            ++wait->reads;
            if (!wait->reported && event.time > wait->due) {
                overrun(*wait, wait->last_read);
            }
            if (wait->due != never) {
                return;
            }
        }
        if (bar == nullptr) {
            return;
        }
        // Reading clears it: equal values are separate interrupts (VIRTIO 1.2, section 4.1.4.5).
        if (world().devices().region(trace::get<Kind::mmio_read, "region_text">(event)) ==
            Region::virtio_isr) {
            return;
        }
        constexpr std::size_t most = 65'536;
        if (loops_.size() >= most && !loops_.contains(bar->address)) {
            return;
        }
        Loop& loop = loops_[bar->address];
        if (loop.reads == 0 || loop.address != address || loop.value != event.args[1] ||
            event.time - loop.last.time > limits().poll_gap) {
            loop = {address, event.args[1], place_of(event), place_of(event), 1, false};
            return;
        }
        ++loop.reads;
        loop.last = place_of(event);
        if (!loop.reported && loop.last.time - loop.first.time > limits().poll) {
            loop.reported = true;
            Draft draft = drafted(*bar, address, loop.first, loop.last, loop.reads, loop.value);
            draft.lines.push_back(
                fmt::format("limit: {}, the default where no wait is stated", duration(limits().poll)));
            report(std::move(draft));
        }
    }

    void begin(const trace::Event& event) {
        constexpr std::size_t most = 65'536;
        if (trace::get<Kind::marker_wait_begin, "kind">(event) != PV_WAIT_REGISTER || waits_.size() >= most) {
            return;
        }
        ++stated_;
        Wait wait;
        wait.address = trace::get<Kind::marker_wait_begin, "object">(event);
        wait.deadline = trace::get<Kind::marker_wait_begin, "deadline">(event);
        wait.begun = place_of(event);
        if (wait.deadline <= longest_deadline) {
            wait.due = event.time + world().guest().allowed(wait.deadline) + limits().clock_tolerance;
        }
        const std::uint64_t id = trace::get<Kind::marker_wait_begin, "wait">(event);
        forget(id);
        waits_.emplace(id, wait);
        polled_.insert_or_assign(wait.address, id);
    }

    void end(const trace::Event& event) {
        const auto found = waits_.find(trace::get<Kind::marker_wait_end, "wait">(event));
        if (found == waits_.end()) {
            return;
        }
        if (!found->second.reported && event.time > found->second.due) {
            overrun(found->second, place_of(event));
        }
        forget(found->first);
    }

    void forget(std::uint64_t id) {
        const auto found = waits_.find(id);
        if (found == waits_.end()) {
            return;
        }
        const auto polled = polled_.find(found->second.address);
        if (polled != polled_.end() && polled->second == id) {
            polled_.erase(polled);
        }
        waits_.erase(found);
    }

    Draft drafted(const Bar& bar, std::uint64_t address, const Place& first, const Place& last,
                  std::uint64_t reads, std::uint64_t value) {
        Draft draft;
        draft.at = last;
        draft.bdf = bar.bdf;
        draft.address = address;
        draft.title = fmt::format("{}: register {:#x} read {} times for {} without change (value {:#x})",
                                  world().devices().name(bar.bdf), address - bar.address, grouped(reads),
                                  duration(last.time - first.time), value);
        draft.lines.push_back(fmt::format("device: {}, BAR {} at {:#x}", world().devices().long_name(bar.bdf),
                                          bar.number, bar.address));
        draft.lines.push_back(fmt::format("first read: {}", where(world(), first)));
        draft.lines.push_back(fmt::format("last read: {}", where(world(), last)));
        draft.events = {{first.sequence, "begun"}, {last.sequence, "access"}};
        draft.cause = fmt::format("{:#x}", address);
        return draft;
    }

    void overrun(Wait& wait, const Place& at) {
        wait.reported = true;
        const Bar* bar = world().devices().find(wait.address);
        Draft draft;
        draft.at = at;
        draft.address = wait.address;
        draft.bdf = bar == nullptr ? no_device : bar->bdf;
        draft.title = fmt::format(
            "{}: register {:#x} still polled after {}, the wait's deadline was {} (value {:#x}, {} reads)",
            bar == nullptr ? "a device" : world().devices().name(bar->bdf),
            bar == nullptr ? wait.address : wait.address - bar->address, duration(at.time - wait.begun.time),
            duration_of(wait.deadline), wait.value, grouped(wait.reads));
        draft.lines.push_back(fmt::format("begun: {}", where(world(), wait.begun)));
        draft.lines.push_back(fmt::format("seen: {}", where(world(), at)));
        draft.lines.push_back(slack_text(world(), limits().clock_tolerance));
        draft.events = {{wait.begun.sequence, "begun"}, {at.sequence, "access"}};
        draft.cause = fmt::format("{:#x}", wait.address);
        report(std::move(draft));
    }

    std::unordered_map<std::uint64_t, Loop> loops_;  ///< the running one of each BAR, by its address
    std::unordered_map<std::uint64_t, Wait> waits_;  ///< by the guest's id
    std::unordered_map<std::uint64_t, std::uint64_t> polled_;  ///< the newest wait for each register
    std::uint64_t reads_ = 0;
    std::uint64_t stated_ = 0;
};

}  // namespace

RuleInfo mmio_poll_unbounded_rule() {
    return {.name = "mmio-poll-unbounded",
            .summary = "A loop reading one register without change ends within its deadline",
            .severity = store::Severity::error,
            .evidence = "E M",
            .unit = "register reads",
            .needs_markers = false,
            .create = make_rule<MmioPollUnbounded>};
}

}  // namespace pv::checks
