// /proc/PID and /proc/PID/task/TID: directories.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <limits>

#include "fs/proc_tree.hpp"

namespace pv::fs::proc {
namespace {

class ProcessFile final : public TextNode {
  public:
    ProcessFile(const SyntheticIdentity& identity, Subject subject, const ProcessEntry& entry)
        : TextNode(identity), subject_(subject), entry_(entry) {}

    Outcome<> write_text(Text& text) override { return entry_.write(subject_, text); }

    Outcome<> take_text(std::string_view text) override {
        return entry_.take == nullptr ? fail(Errno::eio) : entry_.take(subject_, text);
    }

  private:
    const Subject subject_;
    const ProcessEntry& entry_;
};

/// What a process's directory has beside the files.
struct Other {
    std::string_view name;
    NodeType type;
    Mode mode;
};

constexpr std::array<Other, 7> others{{{"fd", NodeType::directory, 0500},
                                       {"fdinfo", NodeType::directory, 0555},
                                       {"mem", NodeType::regular, 0600},
                                       {"exe", NodeType::symbolic_link, 0777},
                                       {"cwd", NodeType::symbolic_link, 0777},
                                       {"root", NodeType::symbolic_link, 0777},
                                       {"task", NodeType::directory, 0555}}};

/// /proc/PID/task
class TaskDirectory final : public SyntheticDirectory {
  public:
    TaskDirectory(const SyntheticIdentity& identity, int process)
        : SyntheticDirectory(identity), process_(process) {}

    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        const int thread = number_of_name(name);
        if (thread <= 0 || process_view().next_thread(process_, thread) != thread) {
            return fail(Errno::enoent);
        }
        return make_process_directory(identity(), {process_, thread});
    }

  protected:
    bool next(std::uint64_t from, Found& found) override {
        const int thread = from > static_cast<std::uint64_t>(std::numeric_limits<int>::max())
                               ? -1
                               : process_view().next_thread(process_, static_cast<int>(from));
        if (thread < 0) {
            return false;
        }
        std::array<char, 12> room;
        const std::string_view name = format::to(room, "{}", thread);
        found = {Name(name), number_below(identity().number, name), NodeType::directory,
                 static_cast<std::uint64_t>(thread)};
        return true;
    }

  private:
    const int process_;
};

class ProcessDirectory final : public SyntheticDirectory {
  public:
    ProcessDirectory(const SyntheticIdentity& identity, Subject subject)
        : SyntheticDirectory(identity), subject_(subject) {}

    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        const ProcessFacts facts = PV_TRY(found_facts());
        for (const ProcessEntry& entry : process_entries) {
            if (entry.name == name) {
                return make_synthetic<ProcessFile>(owned(name, entry.mode, facts), subject_, entry);
            }
        }
        const auto other = std::ranges::find(others, name, &Other::name);
        if (other == others.end()) {
            return fail(Errno::enoent);
        }
        const SyntheticIdentity own = owned(name, other->mode, facts);
        if (name == "fd" || name == "fdinfo") {
            return make_descriptor_directory(own, subject_.process, name == "fdinfo");
        }
        if (name == "mem") {
            return make_memory_file(own, subject_.process);
        }
        if (name == "task") {
            if (subject_.thread != 0) {
                return fail(Errno::enoent);
            }
            return make_synthetic<TaskDirectory>(own, subject_.process);
        }
        return make_place_link(own, subject_.process, other->name);
    }

  protected:
    bool next(std::uint64_t from, Found& found) override {
        std::string_view name;
        NodeType type = NodeType::regular;
        if (from < process_entries.size()) {
            name = process_entries[from].name;
        } else if (from - process_entries.size() < others.size()) {
            const Other& other = others[from - process_entries.size()];
            // A thread has no threads; "task" is the last one.
            if (subject_.thread != 0 && other.name == "task") {
                return false;
            }
            name = other.name;
            type = other.type;
        } else {
            return false;
        }
        found = {Name(name), number_below(identity().number, name), type, from};
        return true;
    }

  private:
    Outcome<ProcessFacts> found_facts() const {
        Outcome<ProcessFacts> facts = process_view().facts(subject_.process, subject_.thread);
        if (!facts) {
            return fail(Errno::enoent);
        }
        return facts;
    }

    [[nodiscard]] SyntheticIdentity owned(std::string_view name, Mode mode, const ProcessFacts& facts) const {
        SyntheticIdentity own = identity_of(identity().device, number_below(identity().number, name), mode);
        own.user = facts.users[1];
        own.group = facts.groups[1];
        return own;
    }

    const Subject subject_;
};

}  // namespace

Outcome<Ref<SyntheticNode>> make_process_directory(const SyntheticIdentity& above, Subject subject) {
    const Outcome<ProcessFacts> facts = process_view().facts(subject.process, subject.thread);
    if (!facts) {
        return fail(Errno::enoent);
    }
    std::array<char, 12> room;
    const std::string_view name =
        format::to(room, "{}", subject.thread != 0 ? subject.thread : subject.process);
    SyntheticIdentity identity = identity_of(above.device, number_below(above.number, name), 0555);
    identity.user = facts->users[1];
    identity.group = facts->groups[1];
    return make_synthetic<ProcessDirectory>(identity, subject);
}

}  // namespace pv::fs::proc
