// What a process has open and where it is: /proc/PID/fd, fdinfo, exe, cwd, root.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <limits>

#include "fs/pipe.hpp"
#include "fs/proc_tree.hpp"

namespace pv::fs::proc {
namespace {

constexpr std::size_t path_room = path_max + 16;

/// The path of a place, "(deleted)" and all, in a room of its own.
class PathText {
  public:
    Outcome<std::string_view> of(const Location& location) {
        room_.reset(new (std::nothrow) std::array<char, path_room>);
        if (room_ == nullptr) {
            return fail(Errno::enomem);
        }
        return path_of(location, process_view().own_root(), *room_);
    }

  private:
    std::unique_ptr<std::array<char, path_room>> room_;
};

Outcome<std::size_t> put_path(std::span<char> room, const Location& location) {
    PathText path;
    return put_link(room, PV_TRY(path.of(location)));
}

/// What a link of /proc/PID/fd leads to where the open file has no place: opening it opens the file anew, as
/// far as that is possible.
class OpenNode final : public Node {
  public:
    explicit OpenNode(Ref<OpenFile> file) : Node(file->attributes().type), file_(std::move(file)) {}

    Attributes attributes() override { return file_->attributes(); }

    Outcome<Ref<OpenFile>> open(const Location&, std::uint32_t flags) override {
        return file_->reopen(flags);
    }

  private:
    Ref<OpenFile> file_;
};

class DescriptorLink final : public SyntheticNode {
  public:
    DescriptorLink(const SyntheticIdentity& identity, int process, int descriptor)
        : SyntheticNode(NodeType::symbolic_link, identity), process_(process), descriptor_(descriptor) {}

    Outcome<std::size_t> read_link(std::span<char> room) override {
        const Ref<OpenFile> file = PV_TRY(get());
        std::array<char, 64> text;
        if (const std::string_view label = file->label(text); !label.empty()) {
            return put_link(room, label);
        }
        if (file->node() == nullptr || !file->location().mount) {
            return put_link(room, "anon_inode:[file]");
        }
        return put_path(room, file->location());
    }

    Outcome<Location> jump() override {
        Ref<OpenFile> file = PV_TRY(get());
        if (file->node() != nullptr) {
            return file->location();
        }
        auto* node = new (std::nothrow) OpenNode(std::move(file));
        if (node == nullptr) {
            return fail(Errno::enomem);
        }
        return Location{nullptr, Ref<Node>(Ref<OpenNode>::adopt(node))};
    }

  private:
    Outcome<Ref<OpenFile>> get() const {
        if (!process_view().may_look_into(process_)) {
            return fail(Errno::eacces);
        }
        const auto table = process_view().descriptors(process_);
        if (!table) {
            return fail(Errno::enoent);
        }
        auto file = (*table)->get(descriptor_);
        return file ? std::move(file) : fail(Errno::enoent);
    }

    const int process_;
    const int descriptor_;
};

class DescriptorInfo final : public TextNode {
  public:
    DescriptorInfo(const SyntheticIdentity& identity, int process, int descriptor)
        : TextNode(identity), process_(process), descriptor_(descriptor) {}

    Outcome<> write_text(Text& text) override {
        if (!process_view().may_look_into(process_)) {
            return fail(Errno::eacces);
        }
        const Ref<DescriptorTable> table = PV_TRY(process_view().descriptors(process_));
        const auto file = table->get(descriptor_);
        if (!file) {
            return fail(Errno::enoent);
        }
        const bool on_exec = table->closes_on_exec(descriptor_).value_or(false);
        text.add("pos:\t{}\nflags:\t0", (*file)->position());
        add_octal(text, (*file)->flags() | (on_exec ? open_flag::close_on_exec : 0U));
        text.add("\nmnt_id:\t{}\nino:\t{}\n",
                 (*file)->location().mount ? (*file)->location().mount->id() : 0U,
                 (*file)->attributes().number);
        return {};
    }

  private:
    const int process_;
    const int descriptor_;
};

class DescriptorDirectory final : public SyntheticDirectory {
  public:
    DescriptorDirectory(const SyntheticIdentity& identity, int process, bool info)
        : SyntheticDirectory(identity), process_(process), info_(info) {}

    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        const int descriptor = number_of_name(name);
        const auto table = process_view().descriptors(process_);
        if (descriptor < 0 || !table) {
            return fail(Errno::enoent);
        }
        const auto file = (*table)->get(descriptor);
        if (!file) {
            return fail(Errno::enoent);
        }
        SyntheticIdentity own = identity();
        own.number = number_below(identity().number, name);
        if (info_) {
            own.mode = 0400;
            return make_synthetic<DescriptorInfo>(own, process_, descriptor);
        }
        // What may be done through it (proc(5)).
        own.mode = static_cast<Mode>(0100 | (is_readable((*file)->flags()) ? 0400 : 0) |
                                     (is_writable((*file)->flags()) ? 0200 : 0));
        return make_synthetic<DescriptorLink>(own, process_, descriptor);
    }

  protected:
    bool next(std::uint64_t from, Found& found) override {
        const auto table = process_view().descriptors(process_);
        if (!table || from > static_cast<std::uint64_t>(std::numeric_limits<int>::max())) {
            return false;
        }
        const int descriptor = (*table)->next_open(static_cast<int>(from));
        if (descriptor < 0) {
            return false;
        }
        std::array<char, 12> room;
        const std::string_view name = format::to(room, "{}", descriptor);
        found = {Name(name), number_below(identity().number, name),
                 info_ ? NodeType::regular : NodeType::symbolic_link, static_cast<std::uint64_t>(descriptor)};
        return true;
    }

  private:
    const int process_;
    const bool info_;
};

/// exe, cwd and root.
class PlaceLink final : public SyntheticNode {
  public:
    PlaceLink(const SyntheticIdentity& identity, int process, std::string_view which)
        : SyntheticNode(NodeType::symbolic_link, identity), process_(process), which_(which) {}

    Outcome<std::size_t> read_link(std::span<char> room) override { return put_path(room, PV_TRY(jump())); }

    Outcome<Location> jump() override {
        if (!process_view().may_look_into(process_)) {
            return fail(Errno::eacces);
        }
        Location found;
        if (which_ == "exe") {
            found = PV_TRY(process_view().executable(process_));
        } else {
            const Ref<Context> context = PV_TRY(process_view().context(process_));
            found = which_ == "cwd" ? context->current() : context->root();
        }
        return found ? Outcome<Location>(std::move(found)) : fail(Errno::enoent);
    }

  private:
    const int process_;
    const std::string_view which_;  ///< a literal
};

}  // namespace

Outcome<Ref<SyntheticNode>> make_descriptor_directory(const SyntheticIdentity& identity, int process,
                                                      bool info) {
    return make_synthetic<DescriptorDirectory>(identity, process, info);
}

Outcome<Ref<SyntheticNode>> make_place_link(const SyntheticIdentity& identity, int process,
                                            std::string_view which) {
    return make_synthetic<PlaceLink>(identity, process, which);
}

void add_path(Text& text, const Location& location) {
    PathText path;
    text.append(path.of(location).value_or(std::string_view("?")));
}

void add_octal(Text& text, std::uint64_t value) {
    std::array<char, 24> digits;
    std::size_t begin = digits.size();
    do {
        digits[--begin] = static_cast<char>('0' + (value & 7));
        value >>= 3;
    } while (value != 0);
    text.append({digits.data() + begin, digits.size() - begin});
}

}  // namespace pv::fs::proc
