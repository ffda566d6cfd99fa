// Path resolution: one component after the other, links by text, never above the root.
// SPDX-License-Identifier: MIT
#include "fs/path.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>

#include "base/atomic.hpp"

namespace pv::fs {
namespace {

/// Counts attempts at ".." that met a rename; more than these, and somebody is renaming without end.
constexpr int climb_attempts = 64;

/// Text still to be walked: paths within links are walked before what came after the link, so the text grows
/// at its front. Lies at the end of one buffer.
class Text {
  public:
    Outcome<> prepend(std::string_view text) {
        // A link in the middle of a long path may make more than a path's length of text in all.
        if (buffer_ == nullptr) {
            buffer_.reset(new (std::nothrow) std::array<char, size>);
            if (buffer_ == nullptr) {
                return fail(Errno::enomem);
            }
            begin_ = size;
            const std::string_view rest = rest_;
            begin_ -= rest.size();
            std::copy_n(rest.begin(), rest.size(), buffer_->begin() + static_cast<std::ptrdiff_t>(begin_));
        } else {
            begin_ = size - rest_.size();
        }
        if (text.size() + 1 > begin_) {
            return fail(Errno::enametoolong);
        }
        if (!rest_.empty()) {
            (*buffer_)[--begin_] = '/';
        }
        begin_ -= text.size();
        std::copy_n(text.begin(), text.size(), buffer_->begin() + static_cast<std::ptrdiff_t>(begin_));
        rest_ = std::string_view(buffer_->data() + begin_, size - begin_);
        return {};
    }

    explicit Text(std::string_view text) : rest_(text) {}

    [[nodiscard]] bool empty() const { return rest_.empty(); }

    void skip_slashes() { rest_.remove_prefix(std::min(rest_.find_first_not_of('/'), rest_.size())); }

    std::string_view next() {
        const std::size_t length = std::min(rest_.find('/'), rest_.size());
        const std::string_view component = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return component;
    }

    [[nodiscard]] bool begins_with_slash() const { return rest_.starts_with('/'); }

  private:
    static constexpr std::size_t size = 2 * path_max;

    std::string_view rest_;
    std::unique_ptr<std::array<char, size>> buffer_;
    std::size_t begin_ = 0;
};

/// One directory up, across mounts; empty at the root of all.
Location step_up(const Location& at) {
    Location here = at;
    while (here.node.get() == &here.mount->root()) {
        Location point = here.mount->point();
        if (!point) {
            return {};
        }
        here = std::move(point);
    }
    Ref<Node> parent = here.node->parent();
    if (parent == here.node) {
        return {};  // removed: it leads nowhere
    }
    here.node = std::move(parent);
    return here;
}

/// Whether `at` is `root` or lies below it.
bool is_below(Location at, const Location& root) {
    while (at) {
        if (at == root) {
            return true;
        }
        at = step_up(at);
    }
    return false;
}

/// "..": what lies above `at`, never above `root`. PROPERTY: the answer lay below `root` at some moment of
/// this call. While nobody moved a directory between the look up and the look at where it lies, both are of
/// one tree; else they are done again.
Outcome<Location> climb(const Location& at, const Location& root) {
    if (at == root) {
        return at;
    }
    for (int attempt = 0; attempt < climb_attempts; ++attempt) {
        const std::uint64_t moves = directory_moves();
        Location above = step_up(at);
        if (!above || !is_below(above, root)) {
            if (directory_moves() == moves) {
                return fail(Errno::enoent);
            }
            continue;
        }
        if (directory_moves() == moves) {
            return above;
        }
    }
    return fail(Errno::eagain);
}

class Walk {
  public:
    Walk(const Caller& caller, std::string_view path, ResolveMode mode, bool want_place)
        : caller_(caller),
          mode_(mode),
          want_place_(want_place),
          root_(mode.in_root || mode.beneath ? caller.start : caller.root),
          text_(path) {}

    Outcome<NamedPlace> run(std::string_view path) {
        if (path.empty()) {
            return fail(Errno::enoent);
        }
        if (path.size() >= path_max) {
            return fail(Errno::enametoolong);
        }
        at_ = caller_.start;
        PV_TRY(begin());
        while (true) {
            text_.skip_slashes();
            if (text_.empty()) {
                break;
            }
            const std::string_view component = text_.next();
            place_.trailing_slash = text_.begins_with_slash();
            text_.skip_slashes();
            PV_TRY(step(component, text_.empty()));
        }
        if (place_.last != NamedPlace::Last::name) {
            place_.found = at_;
        }
        if (place_.found && (place_.trailing_slash || mode_.want_directory) && !want_place_ &&
            !place_.found.node->is_directory()) {
            return fail(Errno::enotdir);
        }
        return std::move(place_);
    }

  private:
    /// At the beginning of a path or of a link's text.
    Outcome<> begin() {
        if (text_.begins_with_slash()) {
            if (mode_.beneath) {
                return fail(Errno::exdev);
            }
            at_ = root_;
            place_.last = NamedPlace::Last::root;
        } else {
            place_.last = NamedPlace::Last::dot;
        }
        return {};
    }

    // Who may look into each directory need not ask about this one: as may() would answer.
    [[nodiscard]] bool may_search() const {
        return caller_.who.has(Capability::dac_read_search) || caller_.who.has(Capability::dac_override) ||
               may(caller_.who, at_.node->attributes(), bits(Access::execute));
    }

    Outcome<> step(std::string_view component, bool is_last) {
        if (!at_.node->is_directory()) {
            return fail(Errno::enotdir);
        }
        if (!may_search()) {
            return fail(Errno::eacces);
        }
        if (component == ".") {
            place_.last = NamedPlace::Last::dot;
            return {};
        }
        if (component == "..") {
            if (mode_.beneath && at_ == root_) {
                return fail(Errno::exdev);
            }
            Location above = PV_TRY(climb(at_, root_));
            PV_TRY(check_mount(above));
            at_ = topmost(std::move(above));
            place_.last = NamedPlace::Last::dot_dot;
            return {};
        }
        if (component.size() > name_max) {
            return fail(Errno::enametoolong);
        }
        place_.last = NamedPlace::Last::name;
        // What is to be made is no directory, whatever has the name now and wherever it leads (O_CREAT).
        if (is_last && want_place_ && mode_.follow_last && place_.trailing_slash) {
            return fail(Errno::eisdir);
        }
        Outcome<Ref<Node>> found = at_.node->lookup(component);
        if (!found) {
            if (found.error() == Errno::enoent && is_last && want_place_) {
                place_.directory = at_;
                place_.name = Name(component);
                place_.found = Location{};
                return {};
            }
            return fail(found.error());
        }
        return enter(component, std::move(*found), is_last);
    }

    Outcome<> enter(std::string_view component, Ref<Node> node, bool is_last) {
        const bool follow = node->is_symbolic_link() &&
                            (!is_last || mode_.follow_last || (place_.trailing_slash && !want_place_));
        if (follow) {
            return follow_link(*node);
        }
        Location here{at_.mount, std::move(node)};
        if (is_last && want_place_) {
            place_.directory = at_;
            place_.name = Name(component);
        }
        Location top = topmost(std::move(here));
        PV_TRY(check_mount(top));
        if (is_last) {
            place_.found = top;
        }
        at_ = std::move(top);
        return {};
    }

    Outcome<> follow_link(Node& link) {
        if (mode_.no_links || ++links_ > link_depth_max) {
            return fail(Errno::eloop);
        }
        // The slash behind the link is not in the text any more.
        // What a link with a slash behind it leads to is followed on, and has to be a directory.
        const bool must_go_on = place_.trailing_slash && text_.empty();
        mode_.want_directory = mode_.want_directory || must_go_on;
        mode_.follow_last = mode_.follow_last || (must_go_on && !want_place_);
        Location target = PV_TRY(link.jump());
        if (target) {
            if (mode_.no_jumps) {
                return fail(Errno::eloop);
            }
            if (mode_.beneath || mode_.in_root) {
                return fail(Errno::exdev);
            }
            // A directory outside the root would lead on from there.
            if (target.node->is_directory() && !is_below(target, root_)) {
                return fail(Errno::enoent);
            }
            at_ = std::move(target);
            // Nothing is left of the name: what it names is where we are.
            place_.last = NamedPlace::Last::dot;
            return {};
        }
        const std::unique_ptr<std::array<char, path_max>> room(new (std::nothrow) std::array<char, path_max>);
        if (room == nullptr) {
            return fail(Errno::enomem);
        }
        const std::size_t length = PV_TRY(link.read_link(*room));
        if (length == 0) {
            return fail(Errno::enoent);
        }
        PV_TRY(text_.prepend({room->data(), length}));
        return begin();
    }

    Outcome<> check_mount(const Location& to) const {
        if (mode_.no_mounts && to.mount != at_.mount) {
            return fail(Errno::exdev);
        }
        return {};
    }

    const Caller& caller_;
    ResolveMode mode_;
    bool want_place_;
    const Location& root_;
    Text text_;
    Location at_;
    NamedPlace place_;
    unsigned links_ = 0;
};

constinit Atomic<std::uint64_t> moves{0};

}  // namespace

std::uint64_t directory_moves() {
    return moves.load(std::memory_order_seq_cst);
}

void count_directory_move() {
    moves.fetch_add(1, std::memory_order_seq_cst);
}

Outcome<Ref<Context>> Context::create(Location root, Location current, Mode umask) {
    auto made = Ref<Context>::adopt(new (std::nothrow) Context);
    if (!made) {
        return fail(Errno::enomem);
    }
    made->places_.unguarded() = {std::move(root), std::move(current)};
    made->umask_.store(umask, std::memory_order_relaxed);
    return made;
}

Outcome<Ref<Context>> Context::duplicate() const {
    Places here = places();
    return create(std::move(here.root), std::move(here.current), umask());
}

Context::Places Context::places() const {
    return places_.with([](const Places& places) { return places; });
}

Location Context::root() const {
    return places_.with([](const Places& places) { return places.root; });
}

Location Context::current() const {
    return places_.with([](const Places& places) { return places.current; });
}

void Context::set_root(Location root) {
    // What was there goes after the lock was let go.
    places_.with([&](Places& places) { std::swap(places.root, root); });
}

void Context::set_current(Location current) {
    places_.with([&](Places& places) { std::swap(places.current, current); });
}

Outcome<Location> resolve(const Caller& caller, std::string_view path, ResolveMode mode) {
    Walk walk(caller, path, mode, false);
    return std::move(PV_TRY(walk.run(path)).found);
}

Outcome<NamedPlace> resolve_place(const Caller& caller, std::string_view path, ResolveMode mode) {
    Walk walk(caller, path, mode, true);
    return walk.run(path);
}

Outcome<std::string_view> path_of(const Location& location, const Location& root, std::span<char> room) {
    std::size_t begin = room.size();
    const auto prepend = [&](std::string_view text) {
        if (text.size() > begin) {
            return false;
        }
        begin -= text.size();
        std::copy_n(text.begin(), text.size(), room.begin() + static_cast<std::ptrdiff_t>(begin));
        return true;
    };
    Location here = location;
    bool is_gone = false;
    bool is_outside = false;
    while (!(here == root)) {
        while (here.node.get() == &here.mount->root() && !(here == root)) {
            Location point = here.mount->point();
            if (!point) {
                is_outside = true;
                break;
            }
            here = std::move(point);
        }
        if (is_outside || here == root) {
            break;
        }
        Name name;
        Ref<Node> directory;
        if (!here.node->place(name, directory)) {
            is_gone = true;
            break;
        }
        if (!prepend(name.text()) || !prepend("/")) {
            return fail(Errno::erange);
        }
        here.node = std::move(directory);
    }
    if (begin == room.size() && !prepend("/")) {
        return fail(Errno::erange);
    }
    if (is_outside && !prepend("(unreachable)")) {
        return fail(Errno::erange);
    }
    std::string_view path(room.data() + begin, room.size() - begin);
    constexpr std::string_view deleted = " (deleted)";
    if (is_gone) {
        if (begin < deleted.size()) {
            return fail(Errno::erange);
        }
        std::memmove(room.data() + begin - deleted.size(), path.data(), path.size());
        std::copy_n(deleted.begin(), deleted.size(), room.end() - deleted.size());
        path = {room.data() + begin - deleted.size(), path.size() + deleted.size()};
    }
    return path;
}

bool may(const Credentials& who, const Attributes& attributes, unsigned wanted) {
    unsigned granted = attributes.mode & 7U;
    if (who.user == attributes.user) {
        granted = (attributes.mode >> 6) & 7U;
    } else if (who.is_in(attributes.group)) {
        granted = (attributes.mode >> 3) & 7U;
    }
    if ((wanted & ~granted) == 0) {
        return true;
    }
    // What nobody may execute, nobody executes.
    const bool is_directory = attributes.type == NodeType::directory;
    const bool only_looks = is_directory ? (wanted & bits(Access::write)) == 0 : wanted == bits(Access::read);
    const bool is_executed =
        (wanted & bits(Access::execute)) != 0 && !is_directory && (attributes.mode & 0111) == 0;
    return (only_looks && who.has(Capability::dac_read_search)) ||
           (!is_executed && who.has(Capability::dac_override));
}

}  // namespace pv::fs
