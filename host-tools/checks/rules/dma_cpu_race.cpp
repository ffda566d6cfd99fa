// dma-cpu-race: a processor leaves a buffer alone while a device owns it. dma-unstable-data: advice, where a
// kernel may do so.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <map>
#include <optional>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::BufferAccess;
using trace::BufferRole;
using trace::Kind;

/// What the device does with the bytes, for "disk0 ...".
std::string_view purpose(BufferRole role) {
    switch (role) {
        case BufferRole::from_device:
            return "data that it writes";
        case BufferRole::to_device:
            return "data that it reads";
        case BufferRole::descriptor:
            return "the descriptor of its command";
        case BufferRole::list:
            return "the list of its command's pages";
        default:
            return "memory of its command";
    }
}

std::string_view why_unseen(std::uint64_t reason) {
    switch (static_cast<trace::OwnershipUnseen>(reason)) {
        case trace::OwnershipUnseen::no_memory:
            return "the guest's memory is not a shared memfd";
        case trace::OwnershipUnseen::unknown_layout:
            return "it is not known where the guest's memory lies";
        case trace::OwnershipUnseen::translated:
            return "it is behind an IOMMU, and no marker tells what is mapped for it";
        case trace::OwnershipUnseen::ring:
            return "its rings are of a form that is not followed";
        case trace::OwnershipUnseen::no_values:
            return "this QEMU does not tell what is written to registers";
        default:
            return "the probe says that it does not follow it";
    }
}

/// What a kernel without a promise may do, and what only a program does: a file's page written anew while it
/// is on its way to the disk (Linux asks for stable pages only where the device does), or a buffer of its own
/// that a program uses while the kernel reads into it.
bool is_only_unstable(const World& world, const trace::Event& event, const BufferAccess& access) {
    constexpr std::uint64_t kernel_half = std::uint64_t{1} << 63;
    return !world.guest().promises(PV_FEATURE_OWNERSHIP) &&
           ((access.is_store && access.role == BufferRole::to_device) || event.pc < kernel_half);
}

class BufferRule : public Rule {
  public:
    BufferRule(const RuleContext& context, bool about_unstable)
        : Rule(context), about_unstable_(about_unstable) {}

    void on_event(const trace::Event& event) final {
        switch (event.kind) {
            case Kind::buffer_command:
                if (commands_.size() < most_commands) {
                    commands_.insert_or_assign(
                        trace::get<Kind::buffer_command, "command">(event),
                        Given{.told = place_of(event),
                              .registers = trace::get<Kind::buffer_command, "registers">(event),
                              .queue = trace::get<Kind::buffer_command, "queue">(event),
                              .id = trace::get<Kind::buffer_command, "id">(event),
                              .age = trace::get<Kind::buffer_command, "age">(event)});
                }
                break;
            case Kind::buffer_race:
                judge(event);
                break;
            case Kind::ownership:
                is_on_ = true;
                seen_ = trace::get<Kind::ownership, "commands">(event);
                skipped_ = trace::get<Kind::ownership, "skipped">(event);
                break;
            case Kind::ownership_unseen:
                is_on_ = true;
                note_unseen(event);
                break;
            default:
                break;
        }
    }

    [[nodiscard]] Observed observed() const final {
        if (!is_on_) {
            return {0, "the probe is off (--probe ownership)", true};
        }
        std::string note = unseen_;
        if (skipped_ != 0 && note.empty()) {
            note =
                fmt::format("{} were too many, or lay where nothing is known", counted(skipped_, "buffers"));
        }
        const std::uint64_t count = seen_ + findings_;
        // A device that is there, and was not followed, is no reason to say that there is nothing to judge.
        return {count, count == 0 && note.empty() ? "no device was given memory" : note,
                count == 0 && unseen_.empty()};
    }

  private:
    static constexpr std::size_t most_commands = 4'096;

    struct Given {
        Place told;  ///< the line; cpu and pc are the giving instruction's
        std::uint64_t registers = 0;
        std::uint64_t queue = 0;
        std::uint64_t id = 0;
        std::uint64_t age = 0;  ///< microseconds from the giving to the line
    };

    [[nodiscard]] Bdf device_at(std::uint64_t registers) const {
        const Bar* bar = world().devices().find(registers);
        return bar == nullptr ? no_device : bar->bdf;
    }

    void note_unseen(const trace::Event& event) {
        const std::uint64_t registers = trace::get<Kind::ownership_unseen, "registers">(event);
        const std::uint64_t reason = trace::get<Kind::ownership_unseen, "reason">(event);
        if (unseen_.empty()) {
            unseen_ = registers == 0
                          ? std::string(why_unseen(reason))
                          : fmt::format("{} was not followed: {}",
                                        world().devices().name(device_at(registers)), why_unseen(reason));
        }
    }

    void judge(const trace::Event& event) {
        const auto access = BufferAccess::unpack(trace::get<Kind::buffer_race, "access">(event));
        if (is_only_unstable(world(), event, access) != about_unstable_) {
            return;
        }
        ++findings_;
        const std::uint64_t number = trace::get<Kind::buffer_race, "command">(event);
        const auto found = commands_.find(number);
        const Given given = found == commands_.end() ? Given{} : found->second;
        const std::uint64_t physical = trace::get<Kind::buffer_race, "physical">(event);
        const std::int64_t age =
            static_cast<std::int64_t>(given.age) + (given.told ? event.time - given.told.time : 0);

        Draft draft;
        draft.at = place_of(event);
        draft.bdf = device_at(given.registers);
        draft.address = physical;
        draft.length = access.size;
        draft.title =
            fmt::format("cpu {} {} {} of {} owns: {}, {} after they were given to it", event.cpu,
                        access.is_store ? "wrote" : "read", counted(access.size, "bytes"),
                        "what " + world().devices().name(draft.bdf), purpose(access.role), duration(age));
        draft.lines.push_back(fmt::format("access: {} of {} at {:#x} (physical {:#x}), {}",
                                          access.is_store ? "store" : "load", counted(access.size, "bytes"),
                                          trace::get<Kind::buffer_race, "address">(event), physical,
                                          where(world(), draft.at)));
        draft.lines.push_back(fmt::format("buffer: {} at physical {:#x}, {}",
                                          counted(trace::get<Kind::buffer_race, "length">(event), "bytes"),
                                          trace::get<Kind::buffer_race, "buffer">(event),
                                          purpose(access.role)));
        draft.events.push_back({event.sequence, "access"});
        if (given.told) {
            add_giver(draft, given, age);
        }
        draft.part_of = fmt::format("{} {} {}", number, access.is_store, static_cast<int>(access.role));
        draft.cause = fmt::format("{:x} {} {}", event.pc, access.is_store, static_cast<int>(access.role));
        report(std::move(draft));
    }

    /// Who gave it to the device, and for what.
    void add_giver(Draft& draft, const Given& given, std::int64_t age) const {
        const std::string symbol = world().context().symbol
                                       ? world().context().symbol(given.told.pc, given.told.sequence)
                                       : std::string();
        draft.lines.push_back(fmt::format("owned: since {} before, given to {} by cpu {} at {}",
                                          duration(age), world().devices().long_name(draft.bdf),
                                          given.told.cpu,
                                          symbol.empty() ? fmt::format("{:#x}", given.told.pc)
                                                         : fmt::format("{} ({:#x})", symbol, given.told.pc)));
        draft.events.push_back({given.told.sequence, "owner"});
        const auto commands = world().ledger().with_id(draft.bdf, static_cast<std::uint32_t>(given.queue),
                                                       static_cast<std::uint16_t>(given.id));
        if (commands.empty()) {
            draft.lines.push_back(fmt::format("command: id {} on queue {}", given.id, given.queue));
            return;
        }
        const Command& command = *commands.back();
        draft.lines.push_back("command: " + describe(command));
        draft.events.push_back({command.begun().sequence, "submitted"});
        if (command.timed_out || command.aborted) {
            draft.lines.push_back(fmt::format(
                "given up: {}", where(world(), command.timed_out ? command.timed_out : command.aborted)));
        }
    }

    bool about_unstable_;
    bool is_on_ = false;
    std::uint64_t seen_ = 0;
    std::uint64_t skipped_ = 0;
    std::uint64_t findings_ = 0;
    std::string unseen_;
    std::map<std::uint64_t, Given> commands_;
};

class DmaCpuRace final : public BufferRule {
  public:
    explicit DmaCpuRace(const RuleContext& context) : BufferRule(context, false) {}
};

class DmaUnstableData final : public BufferRule {
  public:
    explicit DmaUnstableData(const RuleContext& context) : BufferRule(context, true) {}
};

}  // namespace

RuleInfo dma_cpu_race_rule() {
    return {.name = "dma-cpu-race",
            .summary = "No processor writes what a device owns, nor reads data before the device wrote them",
            .severity = store::Severity::error,
            .evidence = "P R",
            .unit = "commands",
            .needs_markers = false,
            .create = make_rule<DmaCpuRace>};
}

RuleInfo dma_unstable_data_rule() {
    return {.name = "dma-unstable-data",
            .summary = "Advice: data on their way to a device stay as they are",
            .severity = store::Severity::advice,
            .evidence = "P R",
            .unit = "commands",
            .needs_markers = false,
            .create = make_rule<DmaUnstableData>};
}

}  // namespace pv::checks
