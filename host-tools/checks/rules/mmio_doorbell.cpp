// mmio-doorbell: tail and head values move within the queue, never past the other end.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <set>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

class MmioDoorbell final : public Rule {
  public:
    using Rule::Rule;

    void on_doorbell(const Doorbell& bell) override {
        ++doorbells_;
        const std::string name = world().devices().name(bell.bdf);
        const std::string_view what = bell.completion ? "completion" : "submission";
        Draft draft;
        switch (bell.problem) {
            case DoorbellProblem::none:
                return;
            case DoorbellProblem::no_queue:
                draft.title = fmt::format("{}: doorbell of {} queue {}, which does not exist, set to {}",
                                          name, what, bell.queue, bell.value);
                break;
            case DoorbellProblem::out_of_range:
                draft.title = fmt::format("{}: {} of {} queue {} set to {}, the queue has {}", name,
                                          bell.completion ? "head" : "tail", what, bell.queue, bell.value,
                                          counted(bell.size, "entries"));
                break;
            case DoorbellProblem::past_other_end:
                draft.title = fmt::format("{}: {} of {} queue {} moved {} entries to {}, past the {} ({})",
                                          name, bell.completion ? "head" : "tail", what, bell.queue,
                                          bell.moved, bell.value, bell.completion ? "tail" : "head",
                                          bell.completion ? fmt::format("{} were posted", bell.room)
                                                          : fmt::format("{} were free", bell.room));
                break;
        }
        draft.at = bell.at;
        draft.bdf = bell.bdf;
        if (bell.address != 0) {
            draft.address = bell.address;
            draft.length = 4;
        }
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(bell.bdf)));
        draft.lines.push_back(fmt::format("doorbell: {}, {}",
                                          bell.address != 0 ? fmt::format("register {:#x}", bell.address)
                                                            : std::string("in memory (shadow doorbell)"),
                                          where(world(), bell.at)));
        draft.events.push_back({bell.at.sequence, "doorbell"});
        draft.cause =
            fmt::format("{}/{}/{}/{}", bell.bdf, bell.queue, bell.completion, static_cast<int>(bell.problem));
        report(std::move(draft));
    }

    void on_event(const trace::Event& event) override {
        switch (event.kind) {
            case Kind::marker_queue_create:
                if (event.args[1] == PV_QUEUE_VIRTIO_SPLIT && queues_.size() < 65'536) {
                    queues_.insert({event.args[0], event.args[2]});
                }
                break;
            case Kind::marker_doorbell:
                // A virtqueue's notification register is often handled without a trace event (ioeventfd).
                if (event.args[1] == PV_QUEUE_VIRTIO_SPLIT || event.args[1] == PV_QUEUE_VIRTIO_PACKED) {
                    ++doorbells_;
                }
                break;
            case Kind::mmio_write:
                notify(event);
                break;
            case Kind::ring_fault:
                if (trace::get<Kind::ring_fault, "fault">(event) ==
                    static_cast<std::uint64_t>(trace::RingFault::available_jump)) {
                    jump(event);
                }
                break;
            default:
                break;
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (doorbells_ == 0) {
            return {0, "no NVMe doorbell was written, and no virtqueue doorbell was marked"};
        }
        std::string note;
        if (!world().nvme().single()) {
            note = "several NVMe controllers: values are judged by range, not against the other end";
        }
        return {doorbells_, note};
    }

  private:
    void notify(const trace::Event& event) {
        if (world().devices().region(trace::get<Kind::mmio_write, "region_text">(event)) !=
            Region::virtio_notify) {
            return;
        }
        const Bar* bar = world().devices().find(event.args[0]);
        const DeviceState* device = bar == nullptr ? nullptr : world().devices().find_device(bar->bdf);
        if (device == nullptr || !device->announced || !world().guest().promises(PV_FEATURE_QUEUES)) {
            return;
        }
        ++doorbells_;
        const std::uint64_t queue = trace::get<Kind::mmio_write, "value">(event) & 0xffff;
        if (queues_.contains({bar->bdf, queue})) {
            return;
        }
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = bar->bdf;
        draft.address = event.args[0];
        draft.length = event.args[2];
        draft.title = fmt::format("{}: notification of virtqueue {}, which was never created",
                                  world().devices().name(bar->bdf), queue);
        draft.lines.push_back(
            fmt::format("doorbell: register {:#x}, {}", event.args[0], where(world(), draft.at)));
        draft.events.push_back({event.sequence, "doorbell"});
        draft.cause = fmt::format("{}/{}", bar->bdf, queue);
        report(std::move(draft));
    }

    void jump(const trace::Event& event) {
        const auto bdf = static_cast<Bdf>(trace::get<Kind::ring_fault, "bdf">(event));
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = bdf;
        draft.title =
            fmt::format("{}: available index of virtqueue {} moved to {}, by more than the queue's size",
                        world().devices().name(bdf), trace::get<Kind::ring_fault, "queue">(event),
                        trace::get<Kind::ring_fault, "value">(event));
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(bdf)));
        draft.lines.push_back(fmt::format("doorbell: {}", where(world(), draft.at)));
        draft.events.push_back({event.sequence, "doorbell"});
        draft.cause = fmt::format("jump/{}/{}", bdf, trace::get<Kind::ring_fault, "queue">(event));
        report(std::move(draft));
    }

    std::uint64_t doorbells_ = 0;
    std::set<std::pair<std::uint64_t, std::uint64_t>> queues_;  ///< virtqueues by device and number
};

}  // namespace

RuleInfo mmio_doorbell_rule() {
    return {.name = "mmio-doorbell",
            .summary = "Tail and head values move within the queue, never past the other end",
            .severity = store::Severity::error,
            .evidence = "E R",
            .unit = "doorbells",
            .needs_markers = false,
            .create = make_rule<MmioDoorbell>};
}

}  // namespace pv::checks
