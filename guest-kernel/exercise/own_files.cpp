// The texts, and which disks they are of.
// SPDX-License-Identifier: MIT
#include "exercise/own_files.hpp"

#include <array>
#include <string_view>

#include "base/log.hpp"
#include "base/status_lines.hpp"
#include "exercise/prompt.hpp"
#include "fs/proc.hpp"
#include "task/lock.hpp"

namespace pv::exercise {
namespace {

using namespace literals;

constinit task::SleepGuarded<Disks*, task::Rank::device_registry> shown_disks{nullptr};

/// Into a file's text.
class TextStatus final : public StatusLines {
  public:
    explicit TextStatus(fs::Text& text) : text_(text) {}

  private:
    void put(std::string_view line) override {
        text_.append(line);
        text_.append("\n");
    }

    fs::Text& text_;
};

Outcome<> write_commands(fs::Text& text) {
    TextStatus lines(text);
    const auto printed = shown_disks.with(Deadline::after(10_s), [&](Disks* disks) {
        if (disks != nullptr) {
            disks->print_status(lines);
        }
    });
    return printed ? Outcome<>() : fail(to_errno(printed.error()));
}

Outcome<> write_mappings(fs::Text& text) {
    TextStatus lines(text);
    print_mappings(lines);
    return {};
}

Outcome<> write_locks(fs::Text& text) {
    for (unsigned i = 0; i <= static_cast<unsigned>(task::Rank::console); ++i) {
        const auto rank = static_cast<task::Rank>(i);
        if (const std::string_view name = task::to_string(rank); name != "unknown") {
            text.add("{:2} {} {}\n", i, task::may_sleep_holding(rank) ? "sleeps" : "spins", name);
        }
    }
    return {};
}

constexpr fs::StaticEntry files[] = {
    {"commands", write_commands}, {"mappings", write_mappings}, {"locks", write_locks}};

}  // namespace

Result<> add_own_files() {
    for (const fs::StaticEntry& file : files) {
        if (!fs::add_own_file(file)) {
            return fail(Error::no_space);
        }
    }
    return {};
}

void show_commands_of(Disks* disks) {
    // Who reads writes a text and waits for nothing else: a few turns at most.
    while (!shown_disks.with(Deadline::after(10_s), [&](Disks*& shown) { shown = disks; })) {
        log::error("devices: somebody still reads of them");
    }
}

}  // namespace pv::exercise
