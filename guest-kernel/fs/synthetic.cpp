// Synthetic nodes: attributes, listing, and files whose text is made when it is read.
// SPDX-License-Identifier: MIT
#include "fs/synthetic.hpp"

#include <algorithm>
#include <charconv>
#include <new>

#include "base/atomic.hpp"
#include "fs/open_file.hpp"
#include "fs/wait.hpp"

namespace pv::fs {
namespace {

constinit Atomic<std::uint32_t> next_minor{0x100};

class TextFile final : public OpenFile {
  public:
    TextFile(Location location, std::uint32_t flags) : OpenFile(std::move(location), flags, Flow::seekable) {}

  protected:
    Outcome<std::size_t> do_read(std::uint64_t& position, Target& target) override {
        const MutexGuard guard(lock_);
        if (position == 0 || !made_) {
            text_.clear();
            PV_TRY(source().write_text(text_));
            if (text_.failed()) {
                return fail(Errno::enomem);
            }
            made_ = true;
        }
        const std::string_view text = text_.text();
        if (position >= text.size()) {
            return std::size_t{0};
        }
        const std::string_view rest = text.substr(position);
        const std::size_t count =
            PV_TRY(target.put(std::as_bytes(std::span(rest)).first(std::min(rest.size(), target.left()))));
        position += count;
        return count;
    }

    Outcome<std::size_t> do_write(std::uint64_t& position, bool, Source& source_bytes) override {
        std::array<char, 512> room;
        const std::size_t total = source_bytes.left();
        if (total > room.size()) {
            return fail(Errno::einval);
        }
        const std::size_t count =
            PV_TRY(source_bytes.take(std::as_writable_bytes(std::span(room)).first(total)));
        PV_TRY(source().take_text({room.data(), count}));
        position += count;
        return count;
    }

  private:
    [[nodiscard]] TextNode& source() const { return static_cast<TextNode&>(*node()); }

    task::Mutex lock_{task::Rank::file};
    Text text_;
    bool made_ = false;
};

}  // namespace

void Text::append(std::string_view text) {
    if (!bytes_.reserve(bytes_.size() + text.size())) {
        failed_ = true;
        return;
    }
    for (const char c : text) {
        (void)bytes_.push_back(c);
    }
}

void Text::clear() {
    bytes_.clear();
    failed_ = false;
}

std::uint64_t next_anonymous_device() {
    return DeviceNumber{0, next_minor.fetch_add(1, std::memory_order_relaxed)}.encoded();
}

Attributes SyntheticNode::attributes() {
    return {.type = type(),
            .mode = identity_.mode,
            .number = identity_.number,
            .device = identity_.device,
            .links = is_directory() ? 2U : 1U,
            .user = identity_.user,
            .group = identity_.group,
            .block_size = 1024,
            .accessed = born_,
            .modified = born_,
            .changed = born_,
            .born = born_};
}

bool SyntheticNode::place(Name& name, Ref<Node>& directory) {
    name = name_;
    directory = above_;
    return static_cast<bool>(above_);
}

FileSystemStatus SyntheticNode::file_system() {
    return {.type = identity_.magic};
}

Outcome<Ref<Node>> SyntheticDirectory::lookup(std::string_view name) {
    Ref<SyntheticNode> node = PV_TRY(find(name));
    node->put(name, *this);
    return Ref<Node>(std::move(node));
}

Outcome<> SyntheticDirectory::list(std::uint64_t position, FunctionRef<bool(const DirectoryEntry&)> each) {
    constexpr std::uint64_t own = 2;
    const Ref<Node> above = parent();
    for (; position < own; ++position) {
        const std::uint64_t number =
            position == 0 || above == nullptr ? identity_.number : above->attributes().number;
        if (!each({position == 0 ? "." : "..", number, NodeType::directory, position + 1})) {
            return {};
        }
    }
    Found found;
    while (next(position - own, found)) {
        position = found.position + own + 1;
        if (!each({found.name.text(), found.number, found.type, position})) {
            return {};
        }
    }
    return {};
}

Outcome<Ref<OpenFile>> TextNode::open(const Location& here, std::uint32_t flags) {
    auto* file = new (std::nothrow) TextFile(here, flags);
    if (file == nullptr) {
        return fail(Errno::enomem);
    }
    return Ref<OpenFile>::adopt(file);
}

Outcome<std::size_t> TextLink::read_link(std::span<char> room) {
    return put_link(room, target_.text());
}

Outcome<std::size_t> put_link(std::span<char> room, std::string_view text) {
    if (text.size() > room.size()) {
        return fail(Errno::enametoolong);
    }
    std::ranges::copy(text, room.begin());
    return text.size();
}

int number_of_name(std::string_view name) {
    constexpr std::size_t digits_max = 9;
    if (name.empty() || name.size() > digits_max || (name.front() == '0' && name.size() > 1)) {
        return -1;
    }
    int number = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || end != name.data() + name.size() || name.front() == '-') {
        return -1;
    }
    return number;
}

}  // namespace pv::fs
