// procfs: its root, and the directories that are always there.
// SPDX-License-Identifier: MIT
#include "fs/proc.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include "fs/message_trace.hpp"
#include "fs/proc_tree.hpp"
#include "task/lock.hpp"

namespace pv::fs {
namespace {

using proc::identity_of;

/// Files of other parts of the kernel, and the one that is always there.
struct OwnFiles {
    static constexpr std::size_t count_max = 16;

    std::array<const StaticEntry*, count_max> files{&message_trace_file};
    std::size_t count = 1;
};

constinit task::Guarded<OwnFiles, task::Rank::leaf> own_files;

/// /proc/paravane
class OwnDirectory final : public SyntheticDirectory {
  public:
    static constexpr std::string_view own_name = "paravane";

    explicit OwnDirectory(const SyntheticIdentity& identity) : SyntheticDirectory(identity) {}

    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        const StaticEntry* const file = own_files.with([&](const OwnFiles& all) -> const StaticEntry* {
            const auto files = std::span(all.files).first(all.count);
            const auto found = std::ranges::find(files, name, &StaticEntry::name);
            return found == files.end() ? nullptr : *found;
        });
        if (file == nullptr) {
            return fail(Errno::enoent);
        }
        return make_synthetic<StaticFile>(
            identity_of(identity().device, number_below(identity().number, name), file->mode), *file);
    }

  protected:
    bool next(std::uint64_t from, Found& found) override {
        return own_files.with([&](const OwnFiles& all) {
            if (from >= all.count) {
                return false;
            }
            const std::string_view name = all.files[from]->name;
            found = {Name(name), number_below(identity().number, name), NodeType::regular, from};
            return true;
        });
    }
};

/// "self" and "thread-self".
class SelfLink final : public SyntheticNode {
  public:
    SelfLink(const SyntheticIdentity& identity, bool thread)
        : SyntheticNode(NodeType::symbolic_link, identity), thread_(thread) {}

    Outcome<std::size_t> read_link(std::span<char> room) override {
        ProcessView& view = process_view();
        if (view.own_process() == 0) {
            return fail(Errno::enoent);
        }
        std::array<char, 40> text;
        return put_link(room, thread_ ? format::to(text, "{}/task/{}", view.own_process(), view.own_thread())
                                      : format::to(text, "{}", view.own_process()));
    }

  private:
    bool thread_;
};

class Root final : public StaticDirectory {
  public:
    explicit Root(std::uint64_t device)
        : StaticDirectory(identity_of(device, 1, 0555), proc::system_entries) {}

    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        const std::uint64_t device = identity().device;
        if (name == "self" || name == "thread-self") {
            return make_synthetic<SelfLink>(identity_of(device, number_below(1, name), 0777),
                                            name == "thread-self");
        }
        if (name == OwnDirectory::own_name) {
            return make_synthetic<OwnDirectory>(identity_of(device, number_below(1, name), 0555));
        }
        if (const int number = number_of_name(name); number > 0) {
            // A thread's number leads to it as well, though it is not listed.
            const int process = process_view().process_of(number);
            return process == 0 || process == number
                       ? proc::make_process_directory(identity(), {.process = number})
                       : proc::make_process_directory(identity(), {.process = process, .thread = number});
        }
        return StaticDirectory::find(name);
    }

  protected:
    bool next(std::uint64_t from, Found& found) override {
        if (StaticDirectory::next(from, found)) {
            return true;
        }

        struct Own {
            std::string_view name;
            NodeType type;
        };

        static constexpr std::array<Own, 3> own{{{"self", NodeType::symbolic_link},
                                                 {"thread-self", NodeType::symbolic_link},
                                                 {OwnDirectory::own_name, NodeType::directory}}};
        const std::uint64_t first_own = static_count();
        const std::uint64_t first_process = first_own + own.size();
        if (from < first_process) {
            const auto [name, type] = own[from - first_own];
            found = {Name(name), number_below(1, name), type, from};
            return true;
        }
        const std::uint64_t id = from - first_process;
        const int process = id > static_cast<std::uint64_t>(std::numeric_limits<int>::max())
                                ? -1
                                : process_view().next_process(static_cast<int>(id));
        if (process < 0) {
            return false;
        }
        std::array<char, 12> room;
        const std::string_view name = format::to(room, "{}", process);
        found = {Name(name), number_below(1, name), NodeType::directory,
                 first_process + static_cast<std::uint64_t>(process)};
        return true;
    }
};

}  // namespace

namespace proc {

SyntheticIdentity identity_of(std::uint64_t device, std::uint64_t number, Mode mode) {
    return {.device = device, .number = number, .mode = mode, .magic = PROC_SUPER_MAGIC};
}

}  // namespace proc

Outcome<> add_own_file(const StaticEntry& file) {
    return own_files.with([&](OwnFiles& all) -> Outcome<> {
        if (all.count == OwnFiles::count_max) {
            return fail(Errno::enospc);
        }
        all.files[all.count++] = &file;
        return {};
    });
}

Outcome<Ref<Node>> create_procfs() {
    return Ref<Node>(PV_TRY(make_synthetic<Root>(next_anonymous_device())));
}

}  // namespace pv::fs
