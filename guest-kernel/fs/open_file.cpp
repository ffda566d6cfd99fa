// Open file descriptions, and the plain one of regular files and directories.
// SPDX-License-Identifier: MIT
#include "fs/open_file.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#include "base/atomic.hpp"
#include "fs/epoll.hpp"
#include "fs/file_locks.hpp"
#include "fs/file_signals.hpp"
#include "fs/notify.hpp"
#include "fs/wait.hpp"

namespace pv::fs {
namespace {

class PlainFile final : public OpenFile {
  public:
    PlainFile(Location location, std::uint32_t flags)
        : OpenFile(std::move(location), flags, Flow::seekable) {}

    Outcome<> list(FunctionRef<bool(const DirectoryEntry&)> each) override {
        const MutexGuard guard(position_lock_);
        std::uint64_t next = position_.load(std::memory_order_relaxed);
        const Outcome<> listed =
            node()->list(position_.load(std::memory_order_relaxed), [&](const DirectoryEntry& entry) {
                if (!each(entry)) {
                    return false;
                }
                next = entry.next;
                return true;
            });
        position_.store(next, std::memory_order_relaxed);
        return listed;
    }

    Outcome<> sync() override { return {}; }
};

}  // namespace

constinit Atomic<std::uint64_t> OpenFile::count_{0};

void OpenFile::end_of_life() {
    // First: it is on the file's queue, and asks the whole file.
    delete signals();
    if (in_epoll_.load(std::memory_order_acquire)) {
        Epoll::forget(*this);
    }
    if (Node* own = node(); own != nullptr && (flags() & open_flag::path_only) == 0) {
        notify(*own, is_writable(flags()) ? notify_event::close_write : notify_event::close_no_write);
    }
    if (node() != nullptr) {
        drop_locks(*node(), this);
    }
    delete this;
}

Outcome<std::size_t> OpenFile::told(Outcome<std::size_t> count, std::uint32_t event) const {
    if (count && *count != 0 && node() != nullptr) {
        notify(*node(), event);
    }
    return count;
}

void OpenFile::set_flags(std::uint32_t which, std::uint32_t wanted) {
    std::uint32_t before = flags();
    while (!flags_.compare_exchange_weak(before, (before & ~which) | (wanted & which),
                                         std::memory_order_seq_cst)) {
    }
}

Outcome<FileSignals*> OpenFile::make_signals() {
    FileSignals* made = signals();
    if (made == nullptr) {
        std::unique_ptr<FileSignals> fresh(new (std::nothrow) FileSignals(*this));
        if (fresh == nullptr) {
            return fail(Errno::enomem);
        }
        // Another thread may have been quicker.
        if (signals_.compare_exchange_strong(made, fresh.get(), std::memory_order_acq_rel)) {
            made = fresh.release();
        }
    }
    return made;
}

Outcome<> OpenFile::switch_signals(bool on, int descriptor) {
    if (on) {
        return PV_TRY(make_signals())->switch_on(descriptor);
    }
    if (FileSignals* const made = signals(); made != nullptr) {
        made->switch_off();
    }
    return {};
}

Outcome<> OpenFile::set_status_flags(std::uint32_t wanted, int descriptor) {
    if (((flags() ^ wanted) & open_flag::async) != 0 && sends_signals()) {
        PV_TRY(switch_signals((wanted & open_flag::async) != 0, descriptor));
    }
    set_flags(open_flag::status_mask & ~open_flag::async, wanted);
    return {};
}

Outcome<> OpenFile::set_async(bool on, int descriptor) {
    if (((flags() & open_flag::async) != 0) == on) {
        return {};
    }
    if (!sends_signals()) {
        return fail(Errno::enotty);
    }
    return switch_signals(on, descriptor);
}

void OpenFile::note_unsent(bool is_any) {
    if (FileSignals* const made = is_any ? signals() : nullptr; made != nullptr) {
        made->note_full();
    }
}

Outcome<std::size_t> OpenFile::read(Target& target) {
    if (!is_readable(flags())) {
        return fail(Errno::ebadf);
    }
    if (!is_seekable()) {
        std::uint64_t nowhere = 0;
        return told(do_read(nowhere, target), notify_event::access);
    }
    const MutexGuard guard(position_lock_);
    std::uint64_t position = position_.load(std::memory_order_relaxed);
    const Outcome<std::size_t> count = do_read(position, target);
    position_.store(position, std::memory_order_relaxed);
    return told(count, notify_event::access);
}

Outcome<std::size_t> OpenFile::write(Source& source) {
    if (!is_writable(flags())) {
        return fail(Errno::ebadf);
    }
    const bool append = (flags() & open_flag::append) != 0;
    if (!is_seekable()) {
        std::uint64_t nowhere = 0;
        const Outcome<std::size_t> written = do_write(nowhere, append, source);
        note_unsent(written ? source.left() != 0 : written.error() == Errno::eagain);
        return told(written, notify_event::modify);
    }
    if (source.left() == 0) {
        return std::size_t{0};
    }
    const MutexGuard guard(position_lock_);
    std::uint64_t position = position_.load(std::memory_order_relaxed);
    const Outcome<std::size_t> count = do_write(position, append, source);
    position_.store(position, std::memory_order_relaxed);
    return told(count, notify_event::modify);
}

Outcome<std::size_t> OpenFile::read_at(std::uint64_t offset, Target& target) {
    if (!is_seekable()) {
        return fail(Errno::espipe);
    }
    if (!is_readable(flags())) {
        return fail(Errno::ebadf);
    }
    return told(do_read(offset, target), notify_event::access);
}

Outcome<std::size_t> OpenFile::write_at(std::uint64_t offset, Source& source) {
    if (!is_seekable()) {
        return fail(Errno::espipe);
    }
    if (!is_writable(flags())) {
        return fail(Errno::ebadf);
    }
    return told(do_write(offset, (flags() & open_flag::append) != 0, source), notify_event::modify);
}

Outcome<std::uint64_t> OpenFile::seek(std::int64_t offset, Whence whence) {
    if (!is_seekable()) {
        return flow_ == Flow::event ? Outcome<std::uint64_t>(0) : fail(Errno::espipe);
    }
    const MutexGuard guard(position_lock_);
    std::int64_t base = 0;
    switch (whence) {
        case Whence::set:
            break;
        case Whence::current:
            base = static_cast<std::int64_t>(position_.load(std::memory_order_relaxed));
            break;
        case Whence::end:
            base = static_cast<std::int64_t>(attributes().size);
            break;
        case Whence::data:
        case Whence::hole:
            if (offset < 0) {
                return fail(Errno::enxio);
            }
            position_.store(
                PV_TRY(node()->seek_data(static_cast<std::uint64_t>(offset), whence == Whence::hole)),
                std::memory_order_relaxed);
            return position_.load(std::memory_order_relaxed);
        default:
            return fail(Errno::einval);
    }
    std::int64_t result = 0;
    if (__builtin_add_overflow(base, offset, &result)) {
        return fail(Errno::eoverflow);
    }
    if (result < 0) {
        return fail(Errno::einval);
    }
    position_.store(static_cast<std::uint64_t>(result), std::memory_order_relaxed);
    return position_.load(std::memory_order_relaxed);
}

Outcome<> OpenFile::list(FunctionRef<bool(const DirectoryEntry&)>) {
    return fail(Errno::enotdir);
}

Outcome<std::uint64_t> OpenFile::ioctl(std::uint32_t, IoctlArgument&) {
    return fail(Errno::enotty);
}

std::uint32_t OpenFile::poll(Watcher*) {
    return poll_event::readable | poll_event::writable;
}

Mappable* OpenFile::mappable() {
    return node() == nullptr ? nullptr : node()->mappable();
}

Outcome<> OpenFile::truncate(std::uint64_t size) {
    if (!is_writable(flags()) || node() == nullptr || node()->type() != NodeType::regular) {
        return fail(Errno::einval);
    }
    PV_TRY(node()->truncate(size));
    notify(*node(), notify_event::modify);
    return {};
}

Outcome<> OpenFile::sync() {
    return fail(Errno::einval);
}

std::string_view put_label(std::span<char> room, std::string_view text) {
    if (room.size() < text.size()) {
        return {};
    }
    std::ranges::copy(text, room.begin());
    return {room.data(), text.size()};
}

std::string_view OpenFile::label(std::span<char>) const {
    return {};
}

Outcome<Ref<OpenFile>> OpenFile::reopen(std::uint32_t) {
    return fail(Errno::enxio);
}

bool OpenFile::is_pollable() {
    const NodeType type = attributes().type;
    return type != NodeType::regular && type != NodeType::directory;
}

std::uint32_t OpenFile::shown_flags() const {
    const std::uint32_t flags = this->flags();
    if ((flags & open_flag::path_only) != 0) {
        return flags & ~open_flag::access_mask;
    }
    return (flags & ~open_flag::creation_mask) | (node() != nullptr ? open_flag::large_file : 0);
}

Attributes OpenFile::attributes() {
    return node() == nullptr ? Attributes{.type = NodeType::none, .mode = 0600} : node()->attributes();
}

Outcome<std::size_t> OpenFile::do_read(std::uint64_t& position, Target& target) {
    if (node() == nullptr) {
        return fail(Errno::einval);
    }
    const std::size_t count = PV_TRY(node()->read_at(position, target));
    position += count;
    return count;
}

Outcome<std::size_t> OpenFile::do_write(std::uint64_t& position, bool append, Source& source) {
    if (node() == nullptr) {
        return fail(Errno::einval);
    }
    return node()->write_at(position, append, source, position);
}

Outcome<Ref<OpenFile>> open_plain(const Location& here, std::uint32_t flags) {
    if (here.node->is_directory() && is_writable(flags)) {
        return fail(Errno::eisdir);
    }
    auto* file = new (std::nothrow) PlainFile(here, flags);
    if (file == nullptr) {
        return fail(Errno::enomem);
    }
    return Ref<OpenFile>::adopt(file);
}

}  // namespace pv::fs
