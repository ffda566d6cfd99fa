// The unpacker of newc archives. Everything in an archive is somebody else's word.
// SPDX-License-Identifier: MIT
#include "fs/newc.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/vector.hpp"
#include "fs/operations.hpp"

namespace pv::fs {
namespace {

constexpr std::size_t header_size = 110;
constexpr std::string_view magic_plain = "070701";
constexpr std::string_view magic_checksum = "070702";
constexpr std::string_view trailer = "TRAILER!!!";

struct Header {
    std::uint32_t number = 0;
    std::uint32_t mode = 0;
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::uint32_t links = 0;
    std::uint32_t modified = 0;
    std::uint32_t size = 0;
    DeviceNumber device;
    DeviceNumber special;
    std::uint32_t name_size = 0;
};

std::optional<std::uint32_t> hexadecimal(std::string_view text) {
    std::uint32_t value = 0;
    for (const char c : text) {
        std::uint32_t digit = 0;
        if (c >= '0' && c <= '9') {
            digit = static_cast<std::uint32_t>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<std::uint32_t>(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            digit = static_cast<std::uint32_t>(c - 'A' + 10);
        } else {
            return std::nullopt;
        }
        value = value << 4 | digit;
    }
    return value;
}

std::optional<Header> parse(std::string_view text) {
    std::array<std::uint32_t, 13> fields{};
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const auto value = hexadecimal(text.substr(6 + 8 * i, 8));
        if (!value) {
            return std::nullopt;
        }
        fields[i] = *value;
    }
    return Header{.number = fields[0],
                  .mode = fields[1],
                  .user = fields[2],
                  .group = fields[3],
                  .links = fields[4],
                  .modified = fields[5],
                  .size = fields[6],
                  .device = {fields[7], fields[8]},
                  .special = {fields[9], fields[10]},
                  .name_size = fields[11]};
}

std::optional<NodeType> type_of(std::uint32_t mode) {
    switch (static_cast<NodeType>(mode & 0170000)) {
        case NodeType::fifo:
        case NodeType::character_device:
        case NodeType::directory:
        case NodeType::block_device:
        case NodeType::regular:
        case NodeType::symbolic_link:
        case NodeType::socket:
            return static_cast<NodeType>(mode & 0170000);
        default:
            return std::nullopt;
    }
}

bool has_dot_dot(std::string_view path) {
    while (!path.empty()) {
        const std::size_t length = std::min(path.find('/'), path.size());
        if (path.substr(0, length) == "..") {
            return true;
        }
        path.remove_prefix(std::min(length + 1, path.size()));
    }
    return false;
}

/// A directory whose time is set at the end: what comes into it later changes it.
struct Dated {
    Ref<Node> node;
    Timestamp time;
};

/// A file that more names may follow for.
struct Linked {
    std::uint32_t number;
    DeviceNumber device;
    Ref<Node> node;
};

class Unpacker {
  public:
    Unpacker(std::span<const std::byte> bytes, const Location& root, UnpackReport& report)
        : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), root_(root), report_(report) {}

    Outcome<> run() {
        bool any = false;
        while (true) {
            // Between archives, and behind the last one, there may be zeros.
            if (at_ == text_.size()) {
                break;
            }
            if (text_[at_] == '\0') {
                ++at_;
                continue;
            }
            at_ = (at_ + 3) & ~std::size_t{3};
            if (at_ >= text_.size()) {
                break;
            }
            PV_TRY(entry());
            any = true;
        }
        for (const Dated& dated : directories_) {
            PV_TRY(dated.node->change({.accessed = dated.time, .modified = dated.time}));
        }
        return any ? Outcome<>() : stop("there is no archive", Errno::einval);
    }

  private:
    std::unexpected<Errno> stop(const char* reason, Errno error) {
        report_.reason = reason;
        return fail(error);
    }

    Outcome<> entry() {
        report_.offset = at_;
        report_.name = Name();
        const std::string_view rest = text_.substr(at_);
        if (rest.starts_with("\x1f\x8b") ||
            rest.starts_with("\xfd"
                             "7zXZ") ||
            rest.starts_with("\x28\xb5\x2f\xfd") || rest.starts_with("BZh") ||
            rest.starts_with("\x02\x21\x4c\x18")) {
            return stop("the archive is compressed: give it as it is", Errno::einval);
        }
        if (!rest.starts_with(magic_plain) && !rest.starts_with(magic_checksum)) {
            return stop("an entry does not begin with 070701", Errno::einval);
        }
        if (rest.size() < header_size) {
            return stop("the archive ends within an entry's header", Errno::einval);
        }
        const auto header = parse(rest);
        if (!header) {
            return stop("an entry's header is not in hexadecimal digits", Errno::einval);
        }
        if (header->name_size == 0 || header->name_size > path_max) {
            return stop("an entry's name is empty or too long", Errno::einval);
        }
        if (rest.size() - header_size < header->name_size) {
            return stop("the archive ends within an entry's name", Errno::einval);
        }
        std::string_view name = rest.substr(header_size, header->name_size);
        name = name.substr(0, name.find('\0'));
        if (name.size() + 1 != header->name_size) {
            return stop("an entry's name does not end where its length says", Errno::einval);
        }
        report_.name = Name(name);
        const std::size_t data_at = (header_size + header->name_size + 3) & ~std::size_t{3};
        if (name == trailer) {
            linked_.clear();
            at_ += std::min(data_at, rest.size());
            return {};
        }
        if (data_at > rest.size() || rest.size() - data_at < header->size) {
            return stop("the archive ends within an entry's contents", Errno::einval);
        }
        PV_TRY(make(name, *header, rest.substr(data_at, header->size)));
        ++report_.files;
        report_.bytes += header->size;
        at_ += std::min(rest.size(), (data_at + header->size + 3) & ~std::size_t{3});
        return {};
    }

    Outcome<> make(std::string_view name, const Header& header, std::string_view data) {
        const auto type = type_of(header.mode);
        if (!type) {
            return stop("an entry is of no known type", Errno::einval);
        }
        if (has_dot_dot(name)) {
            return stop("an entry's name leads upward", Errno::einval);
        }
        const Outcome<> made = make_as(*type, name, header, data);
        if (!made && report_.reason == nullptr) {
            report_.reason = "an entry could not be made";
        }
        return made;
    }

    Outcome<> make_as(NodeType type, std::string_view name, const Header& header, std::string_view data) {
        // Whatever is there, but for a directory that stays one, makes way.
        if (const auto there = resolve(caller_, name, {.follow_last = false})) {
            if (there->node->is_directory()) {
                if (type != NodeType::directory) {
                    return stop("an entry replaces a directory", Errno::eisdir);
                }
                return finish(*there->node, header);
            }
            if (type != NodeType::regular || !is_known_link(*there->node, header)) {
                PV_TRY(remove(caller_, name, false));
            }
        }
        switch (type) {
            case NodeType::directory:
                PV_TRY(make_directory(caller_, name, static_cast<Mode>(header.mode & mode_mask)));
                break;
            case NodeType::symbolic_link:
                if (data.find('\0') != std::string_view::npos) {
                    return stop("a link's target holds a zero", Errno::einval);
                }
                PV_TRY(make_symbolic_link(caller_, data, name));
                break;
            case NodeType::regular:
                return make_file(name, header, data);
            default:
                PV_TRY(make_node(caller_, name, type, static_cast<Mode>(header.mode & mode_mask),
                                 header.special));
                break;
        }
        const Location made = PV_TRY(resolve(caller_, name, {.follow_last = false}));
        return finish(*made.node, header);
    }

    Linked* find_link(const Header& header) {
        for (Linked& linked : linked_) {
            if (linked.number == header.number && linked.device == header.device) {
                return &linked;
            }
        }
        return nullptr;
    }

    bool is_known_link(const Node& node, const Header& header) {
        const Linked* linked = header.links > 1 ? find_link(header) : nullptr;
        return linked != nullptr && linked->node.get() == &node;
    }

    Outcome<> make_file(std::string_view name, const Header& header, std::string_view data) {
        Ref<Node> node;
        Linked* linked = header.links > 1 ? find_link(header) : nullptr;
        if (linked != nullptr) {
            node = linked->node;
            const Outcome<> made = make_link(caller_, Location{root_.mount, node}, name);
            if (!made && made.error() != Errno::eexist) {
                return made;
            }
        } else {
            node = PV_TRY(make_node(caller_, name, NodeType::regular,
                                    static_cast<Mode>(header.mode & mode_mask), {}))
                       .node;
            if (header.links > 1) {
                PV_TRY(as_outcome(linked_.push_back({header.number, header.device, node})));
            }
        }
        if (!data.empty()) {
            // The last of a file's names brings its contents.
            PV_TRY(node->truncate(0));
            SpanSource source(std::as_bytes(std::span(data)));
            std::uint64_t end = 0;
            const std::size_t written = PV_TRY(node->write_at(0, false, source, end));
            if (written != data.size()) {
                return stop("there is no room for an entry's contents", Errno::enospc);
            }
        }
        return finish(*node, header);
    }

    Outcome<> finish(Node& node, const Header& header) {
        const Timestamp time{.seconds = header.modified};
        if (node.is_directory()) {
            PV_TRY(as_outcome(directories_.push_back({Ref<Node>(node), time})));
        }
        AttributeChange change{
            .user = header.user, .group = header.group, .accessed = time, .modified = time};
        if (!node.is_symbolic_link()) {
            change.mode = static_cast<Mode>(header.mode & mode_mask);
        }
        return node.change(change);
    }

    std::string_view text_;
    const Location& root_;
    UnpackReport& report_;
    const Caller caller_{kernel_credentials, root_, root_};
    std::size_t at_ = 0;
    Vector<Linked> linked_;
    Vector<Dated> directories_;
};

}  // namespace

Outcome<> unpack_newc(std::span<const std::byte> bytes, const Location& root, UnpackReport& report) {
    report = UnpackReport{};
    Unpacker unpacker(bytes, root, report);
    return unpacker.run();
}

}  // namespace pv::fs
