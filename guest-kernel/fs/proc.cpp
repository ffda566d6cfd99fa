// procfs: its root, and the directories that are always there.
// SPDX-License-Identifier: MIT
#include "fs/proc.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include "fs/proc_tree.hpp"
#include "task/lock.hpp"

namespace pv::fs {
namespace {

using proc::Entry;
using proc::identity_of;
using proc::number_below;

/// Files of other parts of the kernel.
struct OwnFiles {
    static constexpr std::size_t count_max = 16;

    struct File {
        std::string_view name;
        TextWriter write = nullptr;
    };

    std::array<File, count_max> files;
    std::size_t count = 0;
};

constinit task::Guarded<OwnFiles, task::Rank::leaf> own_files;

class StaticFile final : public TextNode {
  public:
    StaticFile(const SyntheticIdentity& identity, const Entry& entry)
        : TextNode(identity), write_(entry.write), take_(entry.take) {}

    StaticFile(const SyntheticIdentity& identity, TextWriter write) : TextNode(identity), write_(write) {}

    Outcome<> write_text(Text& text) override { return write_(text); }

    Outcome<> take_text(std::string_view text) override {
        return take_ == nullptr ? fail(Errno::eio) : take_(text);
    }

  private:
    TextWriter write_;
    Outcome<> (*take_)(std::string_view) = nullptr;
};

/// A directory of the table.
class StaticDirectory : public SyntheticDirectory {
  public:
    StaticDirectory(const SyntheticIdentity& identity, std::span<const Entry> entries)
        : SyntheticDirectory(identity), entries_(entries) {}

    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        for (const Entry& entry : entries_) {
            if (entry.name == name) {
                return make(entry);
            }
        }
        return fail(Errno::enoent);
    }

  protected:
    bool next(std::uint64_t from, Found& found) override {
        if (from >= entries_.size()) {
            return false;
        }
        const Entry& entry = entries_[from];
        found = {Name(entry.name), number_below(identity().number, entry.name), type_of(entry), from};
        return true;
    }

    [[nodiscard]] std::size_t static_count() const { return entries_.size(); }

  private:
    static NodeType type_of(const Entry& entry) {
        return !entry.children.empty() ? NodeType::directory
               : !entry.link.empty()   ? NodeType::symbolic_link
                                       : NodeType::regular;
    }

    Outcome<Ref<SyntheticNode>> make(const Entry& entry) {
        const std::uint64_t number = number_below(identity().number, entry.name);
        const std::uint64_t device = identity().device;
        switch (type_of(entry)) {
            case NodeType::directory:
                return make_synthetic<StaticDirectory>(identity_of(device, number, 0555), entry.children);
            case NodeType::symbolic_link:
                return make_synthetic<TextLink>(identity_of(device, number, 0777), entry.link);
            default:
                return make_synthetic<StaticFile>(identity_of(device, number, entry.mode), entry);
        }
    }

    std::span<const Entry> entries_;
};

/// /proc/paravane
class OwnDirectory final : public SyntheticDirectory {
  public:
    static constexpr std::string_view own_name = "paravane";

    explicit OwnDirectory(const SyntheticIdentity& identity) : SyntheticDirectory(identity) {}

    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        const TextWriter write = own_files.with([&](const OwnFiles& all) -> TextWriter {
            const auto files = std::span(all.files).first(all.count);
            const auto found = std::ranges::find(files, name, &OwnFiles::File::name);
            return found == files.end() ? nullptr : found->write;
        });
        if (write == nullptr) {
            return fail(Errno::enoent);
        }
        return make_synthetic<StaticFile>(
            identity_of(identity().device, number_below(identity().number, name), 0444), write);
    }

  protected:
    bool next(std::uint64_t from, Found& found) override {
        return own_files.with([&](const OwnFiles& all) {
            if (from >= all.count) {
                return false;
            }
            const std::string_view name = all.files[from].name;
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
        if (const int process = number_of_name(name); process > 0) {
            return proc::make_process_directory(identity(), {.process = process});
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

std::uint64_t number_below(std::uint64_t number, std::string_view name) {
    // FNV-1a, 64 bits, on from the directory's number.
    std::uint64_t mixed = number ^ 0xcbf2'9ce4'8422'2325;
    for (const char c : name) {
        mixed = (mixed ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3;
    }
    return mixed >> 1;
}

}  // namespace proc

Outcome<> add_own_file(std::string_view name, TextWriter writer) {
    return own_files.with([&](OwnFiles& all) -> Outcome<> {
        if (all.count == OwnFiles::count_max) {
            return fail(Errno::enospc);
        }
        all.files[all.count++] = {name, writer};
        return {};
    });
}

Outcome<Ref<Node>> create_procfs() {
    return Ref<Node>(PV_TRY(make_synthetic<Root>(next_anonymous_device())));
}

}  // namespace pv::fs
