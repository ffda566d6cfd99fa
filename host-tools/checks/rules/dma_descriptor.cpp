// dma-descriptor: what is handed to a device (PRP lists, virtqueue chains, tables, rings) is well-formed and
// lies in memory the device may use.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;
using trace::RingFault;

/// QEMU's complaints about the data pointers of a command, in the field's words.
struct Complaint {
    std::string_view name;
    std::string_view words;
};

constexpr std::array complaints = {
    Complaint{"invalid_prplist_ent", "an entry of its PRP list is not page aligned"},
    Complaint{"invalid_prp2_align", "its PRP2 is not page aligned"},
    Complaint{"invalid_dma", "its PRPs or SGL are too small for the transfer"},
    Complaint{"err_addr_read", "the device could not read its ring or PRP list"},
    Complaint{"err_addr_write", "the device could not write its completion ring"},
    Complaint{"invalid_sgld", "its SGL descriptor is not valid"},
    Complaint{"invalid_num_sgld", "its number of SGL descriptors is not valid"},
    Complaint{"invalid_sgl_excess", "its SGL is longer than the transfer"},
    Complaint{"too_many_mappings", "it has more PRP or SGL entries than the device takes"},
};

std::string_view fault_words(RingFault fault) {
    switch (fault) {
        case RingFault::index_out_of_range:
            return "names a descriptor beyond the table";
        case RingFault::loop:
            return "does not end (a loop)";
        case RingFault::outside_memory:
            return "points outside guest memory";
        case RingFault::indirect_size:
            return "has an indirect table whose length is not a multiple of 16";
        case RingFault::nested_indirect:
            return "has an indirect table inside an indirect table";
        case RingFault::readable_after_writable:
            return "has a device-readable descriptor after a device-writable one";
        case RingFault::none:
        case RingFault::available_jump:
            break;
    }
    return {};
}

class DmaDescriptor final : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) override {
        switch (event.kind) {
            case Kind::nvme_map_prp:
                ++lists_;
                prp(event);
                break;
            case Kind::nvme_error:
            case Kind::nvme_misuse:
                complaint(event);
                break;
            case Kind::ring_request:
                ++lists_;
                break;
            case Kind::ring_descriptor:
                if (trace::get<Kind::ring_descriptor, "length">(event) == 0) {
                    chain(event, "has a descriptor of length 0",
                          trace::get<Kind::ring_descriptor, "address">(event), std::nullopt);
                }
                break;
            case Kind::ring_indirect:
                table(event, trace::get<Kind::ring_indirect, "address">(event),
                      trace::get<Kind::ring_indirect, "length">(event), "indirect table");
                break;
            case Kind::ring_fault: {
                const auto words =
                    fault_words(static_cast<RingFault>(trace::get<Kind::ring_fault, "fault">(event)));
                if (!words.empty()) {
                    ++lists_;
                    chain(event, words, trace::get<Kind::ring_fault, "value">(event), std::nullopt);
                }
                break;
            }
            case Kind::ring_unseen:
                if (trace::get<Kind::ring_unseen, "reason">(event) ==
                    static_cast<std::uint64_t>(trace::RingUnseen::not_split)) {
                    ++packed_;
                }
                break;
            case Kind::marker_queue_create:
                ring(event);
                break;
            case Kind::marker_queue_areas:
                areas_[{event.args[0], event.args[1]}] = {event.args[2], event.args[3]};
                if (areas_.size() > 65'536) {
                    areas_.clear();
                }
                break;
            default:
                break;
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (lists_ == 0 && packed_ != 0) {
            return {0, "the guest's virtqueues are packed rings, whose descriptors are not read"};
        }
        if (lists_ == 0) {
            return {
                0, "no PRP was used, and no virtqueue was decoded (that needs the guest's doorbell markers)"};
        }
        if (packed_ != 0) {
            return {lists_,
                    fmt::format("without {}, whose descriptors are not read",
                                packed_ == 1 ? "1 packed ring" : fmt::format("{} packed rings", packed_))};
        }
        const std::string why = missing(PV_FEATURE_DMA, "DMA mappings");
        return {lists_, why.empty() ? "" : "form and alignment only: " + why};
    }

  private:
    /// Says nothing when the guest does not promise its mappings.
    bool is_mapped(Bdf bdf, std::uint64_t address, std::uint64_t length) const {
        return !world().guest().promises(PV_FEATURE_DMA) || length == 0 ||
               world().mappings().covered_without(bdf, address, length, nullptr);
    }

    void prp(const trace::Event& event) {
        const NvmeController* controller = world().nvme().current_controller();
        const Command* command = world().ledger().find(world().nvme().current());
        if (controller == nullptr || command == nullptr) {
            return;
        }
        const std::uint64_t page = controller->page_size;
        const std::uint64_t length = trace::get<Kind::nvme_map_prp, "length">(event);
        const std::uint64_t prp1 = trace::get<Kind::nvme_map_prp, "prp1">(event);
        const std::uint64_t prp2 = trace::get<Kind::nvme_map_prp, "prp2">(event);
        // NVMe 2.0, section 4.1.1: PRP1's offset is dword aligned; a list's is qword aligned.
        if ((prp1 & 3) != 0) {
            nvme(event, *command, fmt::format("its PRP1 {:#x} is not dword aligned", prp1), prp1,
                 std::nullopt);
            return;
        }
        const std::uint64_t first = std::min(length, page - prp1 % page);
        const std::uint64_t rest = length - first;
        if (rest <= page) {
            return;
        }
        if ((prp2 & 7) != 0) {
            nvme(event, *command, fmt::format("its PRP list {:#x} is not qword aligned", prp2), prp2,
                 std::nullopt);
            return;
        }
        const std::uint64_t entries = (rest + page - 1) / page;
        const std::uint64_t bytes = std::min(entries, (page - prp2 % page) / 8) * 8;
        if (!command->ambiguous && !is_mapped(command->bdf, prp2, bytes)) {
            nvme(event, *command,
                 fmt::format("its PRP list, {} at {:#x}, is not mapped for the device",
                             counted(bytes, "bytes"), prp2),
                 prp2, bytes);
        }
    }

    void complaint(const trace::Event& event) {
        const std::string name =
            world().context().text ? world().context().text(event.args[0]) : std::string();
        const auto found = std::ranges::find_if(
            complaints, [&](const Complaint& c) { return name.find(c.name) != std::string::npos; });
        if (found == complaints.end()) {
            return;
        }
        const Command* command = world().ledger().find(world().nvme().current());
        if (command != nullptr) {
            nvme(event, *command, std::string(found->words), std::nullopt, std::nullopt);
            return;
        }
        Draft draft;
        draft.at = place_of(event);
        draft.title = fmt::format("an NVMe controller refused a command: {}", found->words);
        draft.events.push_back({event.sequence, "refused"});
        draft.cause = fmt::format("refused/{}", found->name);
        report(std::move(draft));
    }

    void nvme(const trace::Event& event, const Command& command, const std::string& words,
              std::optional<std::uint64_t> address, std::optional<std::uint64_t> length) {
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = command.bdf;
        draft.address = address;
        draft.length = length;
        draft.title = fmt::format("{} was given a {}: {}", world().devices().name(command.bdf),
                                  describe(command), words);
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(command.bdf)));
        draft.lines.push_back(
            fmt::format("command: {}, {}", describe(command), where(world(), command.begun())));
        draft.events = {{command.begun().sequence, "submitted"}, {event.sequence, "access"}};
        draft.part_of = fmt::format("nvme/{}", command.serial);
        draft.cause = fmt::format("{}/{}", command.bdf, words.substr(0, 12));
        report(std::move(draft));
    }

    void chain(const trace::Event& event, std::string_view words, std::uint64_t value,
               std::optional<std::uint64_t> length) {
        static_assert(trace::argument(Kind::ring_fault, "chain") == 2);
        const auto bdf = static_cast<Bdf>(event.args[0]);
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = bdf;
        draft.address = value;
        draft.length = length;
        draft.title = fmt::format("{} was given a chain on queue {} (head {}) that {}",
                                  world().devices().name(bdf), event.args[1], event.args[2], words);
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(bdf)));
        draft.lines.push_back(fmt::format("value: {:#x}", value));
        draft.lines.push_back(fmt::format("seen: at the doorbell, {}", where(world(), draft.at)));
        draft.events.push_back({event.sequence, "access"});
        // The command announced for this chain, if there is one.
        for (const Command* command : world().ledger().with_id(bdf, static_cast<std::uint32_t>(event.args[1]),
                                                               static_cast<std::uint16_t>(event.args[2]))) {
            if (command != nullptr && command->submitted && command->outstanding()) {
                draft.lines.push_back(
                    fmt::format("command: {}, {}", describe(*command), where(world(), command->submitted)));
                draft.events.push_back({command->submitted.sequence, "submitted"});
                draft.part_of = fmt::format("chain/{}", command->serial);
            }
        }
        draft.cause = fmt::format("{}/{}", bdf, words.substr(0, 16));
        report(std::move(draft));
    }

    void table(const trace::Event& event, std::uint64_t address, std::uint64_t length,
               std::string_view what) {
        const auto bdf = static_cast<Bdf>(event.args[0]);
        if (!is_mapped(bdf, address, length)) {
            chain(event,
                  fmt::format("has an {} of {} at {:#x} that is not mapped for the device", what,
                              counted(length, "bytes"), address),
                  address, length);
        }
    }

    void ring(const trace::Event& event) {
        const auto bdf = static_cast<Bdf>(trace::get<Kind::marker_queue_create, "device">(event));
        const std::uint64_t kind = trace::get<Kind::marker_queue_create, "kind">(event);
        const std::uint64_t queue = trace::get<Kind::marker_queue_create, "queue">(event);
        const std::uint64_t entries =
            std::min<std::uint64_t>(trace::get<Kind::marker_queue_create, "entries">(event), 65'536);
        const std::uint64_t ring = trace::get<Kind::marker_queue_create, "ring">(event);
        // Sizes: NVMe 2.0, sections 3.3.3.1 and 3.3.3.2; VIRTIO 1.2, sections 2.7 and 2.8.
        if (kind == PV_QUEUE_NVME_SUBMISSION) {
            area(event, bdf, queue, "submission queue", ring, entries * 64);
        } else if (kind == PV_QUEUE_NVME_COMPLETION) {
            area(event, bdf, queue, "completion queue", ring, entries * 16);
        } else if (kind == PV_QUEUE_VIRTIO_SPLIT) {
            area(event, bdf, queue, "descriptor table", ring, entries * 16);
            const auto found = areas_.find({event.args[0], queue});
            if (found != areas_.end()) {
                area(event, bdf, queue, "available ring", found->second.first, 6 + 2 * entries);
                area(event, bdf, queue, "used ring", found->second.second, 6 + 8 * entries);
            }
        } else if (kind == PV_QUEUE_VIRTIO_PACKED) {
            area(event, bdf, queue, "descriptor ring", ring, entries * 16);
            const auto found = areas_.find({event.args[0], queue});
            if (found != areas_.end()) {
                area(event, bdf, queue, "driver's event suppression", found->second.first, 4);
                area(event, bdf, queue, "device's event suppression", found->second.second, 4);
            }
        }
    }

    void area(const trace::Event& event, Bdf bdf, std::uint64_t queue, std::string_view what,
              std::uint64_t address, std::uint64_t length) {
        if (is_mapped(bdf, address, length)) {
            return;
        }
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = bdf;
        draft.address = address;
        draft.length = length;
        draft.title =
            fmt::format("{}'s {} of queue {}, {} at {:#x}, is not mapped for the device",
                        world().devices().name(bdf), what, queue, counted(length, "bytes"), address);
        draft.lines.push_back(fmt::format("created: {}", where(world(), draft.at)));
        draft.events.push_back({event.sequence, "created"});
        draft.part_of = fmt::format("ring/{}/{}", bdf, event.sequence);
        draft.cause = fmt::format("ring/{}", bdf);
        report(std::move(draft));
    }

    std::uint64_t lists_ = 0;
    std::uint64_t packed_ = 0;  ///< virtqueues that the plugin does not read
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::pair<std::uint64_t, std::uint64_t>> areas_;
};

}  // namespace

RuleInfo dma_descriptor_rule() {
    return {.name = "dma-descriptor",
            .summary =
                "PRP lists, virtqueue chains, tables and rings are well-formed and mapped for their device",
            .severity = store::Severity::error,
            .evidence = "E R M",
            .unit = "descriptor lists",
            .needs_markers = false,
            .create = make_rule<DmaDescriptor>};
}

}  // namespace pv::checks
