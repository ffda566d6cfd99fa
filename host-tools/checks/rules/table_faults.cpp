// pt-write-exec, pt-user-reaches-kernel, pt-reserved-bits: what an entry of a page table must never say.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <string>

#include "checks/rules/rules.hpp"
#include "checks/rules/translation.hpp"

namespace pv::checks {
namespace {

using trace::Kind;
using trace::TableFault;

struct Entry {
    TableFault fault;
    std::uint64_t address, entry, level, other;
};

/// `Words::title` says what is wrong with an entry; "" when that is another rule's.
template <class Words>
class TableFaults final : public TranslationRule {
  public:
    using TranslationRule::TranslationRule;

    [[nodiscard]] Observed observed() const override {
        return observed_of(seen().entries, "no entry of a table changed");
    }

  protected:
    void judge(const trace::Event& event) override {
        if (event.kind != Kind::table_entry) {
            return;
        }
        const Entry entry{.fault = static_cast<TableFault>(trace::get<Kind::table_entry, "fault">(event)),
                          .address = trace::get<Kind::table_entry, "address">(event),
                          .entry = trace::get<Kind::table_entry, "entry">(event),
                          .level = trace::get<Kind::table_entry, "level">(event),
                          .other = trace::get<Kind::table_entry, "other">(event)};
        std::string title = Words::title(entry);
        if (title.empty()) {
            return;
        }
        Draft draft = begin_finding(event, entry.address, "stored");
        draft.title = std::move(title);
        draft.lines.push_back(
            fmt::format("entry: {:#x}, for {}", entry.entry, what_entry(entry.entry, entry.level)));
        draft.cause = fmt::format("{:x}/{}", event.pc, static_cast<int>(entry.fault));
        report(std::move(draft));
    }
};

struct WriteExec {
    static std::string title(const Entry& entry) {
        switch (entry.fault) {
            case TableFault::write_execute:
                return fmt::format("the page at {:#x} is writable and executable", entry.address);
            case TableFault::alias_execute:
                return fmt::format(
                    "the page at {:#x} makes code writable, which lies at physical address {:#x}",
                    entry.address, entry.other);
            default:
                return {};
        }
    }
};

struct UserReachesKernel {
    static std::string title(const Entry& entry) {
        switch (entry.fault) {
            case TableFault::user_to_table:
                return fmt::format("programs can reach the page table at {:#x} through {:#x}", entry.other,
                                   entry.address);
            case TableFault::user_to_kernel:
                return fmt::format("programs can reach the kernel's code through {:#x}", entry.address);
            default:
                return {};
        }
    }
};

struct ReservedBits {
    static std::string title(const Entry& entry) {
        switch (entry.fault) {
            case TableFault::reserved:
                return fmt::format("the entry of level {} for {:#x} has reserved bits set: {:#x}",
                                   entry.level, entry.address, entry.other);
            case TableFault::two_levels:
                return fmt::format(
                    "the entry of level {} for {:#x} leads to a table that is used at level {}", entry.level,
                    entry.address, entry.other);
            default:
                return {};
        }
    }
};

template <class Words>
RuleInfo info(std::string_view name, std::string_view summary) {
    return {.name = name,
            .summary = summary,
            .severity = store::Severity::error,
            .evidence = "P",
            .unit = "entries of tables",
            .needs_markers = false,
            .create = make_rule<TableFaults<Words>>};
}

}  // namespace

RuleInfo pt_write_exec_rule() {
    return info<WriteExec>("pt-write-exec",
                           "No page is writable and executable, nor code writable through another");
}

RuleInfo pt_user_reaches_kernel_rule() {
    return info<UserReachesKernel>(
        "pt-user-reaches-kernel",
        "No page that programs may use lies over a page table or the kernel's code");
}

RuleInfo pt_reserved_bits_rule() {
    return info<ReservedBits>("pt-reserved-bits",
                              "No entry has reserved bits set or leads to a table of another level");
}

}  // namespace pv::checks
