// tmpfs: regular files as pages that come with the first write, and go when nobody uses them.
// SPDX-License-Identifier: MIT
#include <linux/falloc.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "fs/privilege.hpp"
#include "fs/size_limit.hpp"
#include "fs/tmpfs_node.hpp"
#include "fs/wait.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"

namespace pv::fs::tmpfs {
namespace {

constexpr std::uint64_t size_max = ~std::uint64_t{0} >> 1;

/// Counts a reader or writer among a file's users, so that no frame goes away under it.
class UserGuard {
  public:
    explicit UserGuard(File& file) : file_(file) { file.add_mapping(); }

    UserGuard(const UserGuard&) = delete;
    UserGuard& operator=(const UserGuard&) = delete;

    ~UserGuard() { file_.drop_mapping(); }

  private:
    File& file_;
};

}  // namespace

Outcome<Ref<File>> File::make(Ref<FileSystem> fs, const NewNode& what) {
    auto file = Ref<File>::adopt(new (std::nothrow) File(fs, what));
    if (!file) {
        fs->give_back_node();
        return fail(Errno::enomem);
    }
    return file;
}

File::~File() {
    PV_ASSERT(users_ == 0 && in_use_.empty());
    // Nobody uses it: nothing has to be noted, so nothing fails.
    (void)drop_pages(0, PageTree::index_end);
}

void File::measure(Attributes& attributes) {
    const task::SpinGuard guard(pages_lock_);
    attributes.size = size();
    attributes.blocks = pages_.count() * (page_size / 512);
}

void File::note_write() {
    const Timestamp time = wall_time();
    const bool keeps_set_id = is_capable(Capability::fsetid);
    const task::SpinGuard guard(fs().tree);
    kept_.modified = kept_.changed = time;
    // A program that somebody else may have written runs with nobody's rights but the caller's.
    if ((kept_.mode & (set_user_id | set_group_id)) != 0 && !keeps_set_id) {
        kept_.mode =
            static_cast<Mode>(kept_.mode & ~(set_user_id | ((kept_.mode & 010) != 0 ? set_group_id : 0)));
    }
}

void File::note_read() {
    const Timestamp time = wall_time();
    const task::SpinGuard guard(fs().tree);
    constexpr std::int64_t day = 86'400;
    // As mounts with relatime have it: the first read after a write, else once a day.
    if (kept_.accessed <= kept_.modified || time.seconds - kept_.accessed.seconds >= day) {
        kept_.accessed = time;
    }
}

std::optional<PhysicalAddress> File::look(std::uint64_t index) {
    const task::SpinGuard guard(pages_lock_);
    return pages_.find(index);
}

Outcome<PhysicalAddress> File::bring_in(std::uint64_t index) {
    PV_TRY(fs().take_pages(1));
    const Result<PhysicalAddress> frame = memory::allocate_program_frame();
    if (!frame) {
        fs().give_back_pages(1);
        return fail(Errno::enomem);
    }
    std::memset(memory::to_pointer(*frame), 0, page_size);
    Outcome<PhysicalAddress> result = *frame;
    {
        const task::SpinGuard guard(pages_lock_);
        if (const auto other = pages_.find(index)) {
            result = *other;
        } else if (const Outcome<> inserted = pages_.insert(index, *frame); !inserted) {
            result = fail(inserted.error());
        }
    }
    if (!result || *result != *frame) {
        memory::free_frames(*frame, 0);
        fs().give_back_pages(1);
    }
    return result;
}

Outcome<std::size_t> File::read_at(std::uint64_t offset, Target& target) {
    const UserGuard user(*this);
    std::size_t done = 0;
    while (target.left() != 0) {
        const std::uint64_t end = size();
        if (offset >= end) {
            break;
        }
        const std::uint64_t within = offset % page_size;
        const std::size_t part = static_cast<std::size_t>(
            std::min({std::uint64_t{target.left()}, page_size - within, end - offset}));
        const auto frame = look(offset / page_size);
        const Outcome<std::size_t> put =
            frame ? target.put({memory::to_pointer<const std::byte>(*frame) + within, part})
                  : target.put_zeros(part);
        if (!put) {
            return done != 0 ? Outcome<std::size_t>(done) : put;
        }
        done += *put;
        offset += *put;
        if (*put < part) {
            break;
        }
    }
    note_read();
    return done;
}

Outcome<std::size_t> File::write_at(std::uint64_t offset, bool append, Source& source, std::uint64_t& end) {
    const MutexGuard guard(write_lock_);
    const UserGuard user(*this);
    if (append) {
        offset = size();
    }
    std::uint64_t room = source.left();
    if (room != 0) {
        room = PV_TRY(within_size_limit(offset, room));
    }
    if ((seals() & (seal::write | seal::future_write)) != 0) {
        return fail(Errno::eperm);
    }
    if (source.left() != 0 && offset >= size_max) {
        return fail(Errno::efbig);
    }
    room = std::min(room, size_max - std::min(offset, size_max));
    if ((seals() & seal::grow) != 0) {
        room = std::min(room, size() - std::min(offset, size()));
        if (room == 0 && source.left() != 0) {
            return fail(Errno::eperm);
        }
    }
    std::size_t done = 0;
    Outcome<std::size_t> failure = std::size_t{0};
    while (source.left() != 0 && room != 0) {
        const std::uint64_t within = offset % page_size;
        const std::size_t part =
            static_cast<std::size_t>(std::min({std::uint64_t{source.left()}, page_size - within, room}));
        const auto present = look(offset / page_size);
        const Outcome<PhysicalAddress> frame =
            present ? Outcome<PhysicalAddress>(*present) : bring_in(offset / page_size);
        if (!frame) {
            failure = fail(frame.error());
            break;
        }
        const Outcome<std::size_t> taken = source.take({memory::to_pointer(*frame) + within, part});
        if (!taken) {
            failure = taken;
            break;
        }
        done += *taken;
        offset += *taken;
        room -= *taken;
        if (offset > size()) {
            size_.store(offset, std::memory_order_release);
        }
        if (*taken < part) {
            break;
        }
    }
    if (done == 0 && !failure) {
        return failure;
    }
    end = offset;
    note_write();
    return done;
}

void File::clear_part(std::uint64_t from, std::uint64_t to) {
    if (from < to) {
        if (const auto frame = look(from / page_size)) {
            std::memset(memory::to_pointer(*frame) + from % page_size, 0,
                        static_cast<std::size_t>(to - from));
        }
    }
}

Outcome<> File::drop_pages(std::uint64_t first, std::uint64_t end) {
    std::uint64_t freed = 0;
    Outcome<> result{};
    std::uint64_t at = first;
    while (true) {
        std::optional<PhysicalAddress> frame;
        {
            const task::SpinGuard guard(pages_lock_);
            at = pages_.next_present(at);
            if (at >= end) {
                break;
            }
            if (users_ != 0) {
                const PhysicalAddress kept = *pages_.find(at);
                if (!in_use_.push_back(kept)) {
                    result = fail(Errno::enomem);
                    break;
                }
                (void)pages_.remove(at);
                continue;
            }
            frame = pages_.remove(at);
        }
        memory::free_frames(*frame, 0);
        ++freed;
    }
    fs().give_back_pages(freed);
    return result;
}

Outcome<> File::truncate(std::uint64_t size) {
    const MutexGuard guard(write_lock_);
    const std::uint64_t before = this->size();
    PV_TRY(may_have_size(before, size));
    if (size > size_max) {
        return fail(Errno::efbig);
    }
    if ((size < before && (seals() & seal::shrink) != 0) || (size > before && (seals() & seal::grow) != 0)) {
        return fail(Errno::eperm);
    }
    size_.store(size, std::memory_order_release);
    if (size < before) {
        if (const Outcome<> dropped = drop_pages((size + page_size - 1) / page_size, PageTree::index_end);
            !dropped) {
            size_.store(before, std::memory_order_release);
            return dropped;
        }
        // What grows again later is zeros.
        if (size % page_size != 0) {
            clear_part(size, align_up(size, page_size));
        }
    }
    note_write();
    return {};
}

Outcome<> File::allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) {
    if (length == 0 || offset > size_max) {
        return fail(Errno::einval);
    }
    if (length > size_max - offset) {
        return fail(Errno::efbig);
    }
    const std::uint64_t end = offset + length;
    const MutexGuard guard(write_lock_);
    const UserGuard user(*this);
    if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
        if ((seals() & (seal::write | seal::future_write)) != 0) {
            return fail(Errno::eperm);
        }
        const std::uint64_t whole_from = align_up(offset, page_size);
        const std::uint64_t whole_to = align_down(end, page_size);
        clear_part(offset, std::min(whole_from, end));
        if (whole_to >= whole_from) {
            clear_part(whole_to, end);
            PV_TRY(drop_pages(whole_from / page_size, whole_to / page_size));
        }
        note_write();
        return {};
    }
    if ((mode & ~std::uint32_t{FALLOC_FL_KEEP_SIZE}) != 0) {
        return fail(Errno::eopnotsupp);
    }
    PV_TRY(may_have_size(size(), end));
    if (end > size() && (seals() & seal::grow) != 0) {
        return fail(Errno::eperm);
    }
    const std::uint64_t first = offset / page_size;
    const std::uint64_t last = (end - 1) / page_size;
    // What there is no room for is refused before anything is filled: memory is not spent on it.
    if (last - first >= fs().most_pages()) {
        return fail(Errno::enospc);
    }
    std::uint64_t missing = 0;
    for (std::uint64_t index = first; index <= last; ++index) {
        missing += look(index) ? 0U : 1U;
    }
    PV_TRY(fs().take_pages(missing));
    fs().give_back_pages(missing);
    for (std::uint64_t index = first; index <= last; ++index) {
        if (is_interrupted()) {
            return fail(Errno::eintr);
        }
        if (!look(index)) {
            PV_TRY(bring_in(index));
        }
    }
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && end > size()) {
        size_.store(end, std::memory_order_release);
    }
    note_write();
    return {};
}

Outcome<std::uint64_t> File::seek_data(std::uint64_t offset, bool hole) {
    const task::SpinGuard guard(pages_lock_);
    const std::uint64_t end = size();
    if (offset >= end) {
        return fail(Errno::enxio);
    }
    std::uint64_t index = offset / page_size;
    if (hole) {
        while (index * page_size < end && pages_.find(index)) {
            ++index;
        }
        return std::min(std::max(offset, index * page_size), end);
    }
    index = pages_.next_present(index);
    if (index >= PageTree::index_end || index * page_size >= end) {
        return fail(Errno::enxio);
    }
    return std::max(offset, index * page_size);
}

Outcome<PhysicalAddress> File::page(std::uint64_t index) {
    if (index >= size_max / page_size || index * page_size >= size()) {
        return fail(Errno::einval);
    }
    if (const auto frame = look(index)) {
        return *frame;
    }
    return bring_in(index);
}

void File::add_mapping() {
    const task::SpinGuard guard(pages_lock_);
    ++users_;
}

void File::drop_mapping() {
    Vector<PhysicalAddress> free;
    {
        const task::SpinGuard guard(pages_lock_);
        PV_ASSERT(users_ > 0);
        if (--users_ != 0) {
            return;
        }
        std::swap(free, in_use_);
    }
    for (const PhysicalAddress frame : free) {
        memory::free_frames(frame, 0);
    }
    fs().give_back_pages(free.size());
}

Outcome<> File::add_seals(std::uint32_t more) {
    const MutexGuard guard(write_lock_);
    if ((seals() & seal::seal) != 0) {
        return fail(Errno::eperm);
    }
    if ((more & seal::write) != 0) {
        const task::SpinGuard pages(pages_lock_);
        if (users_ != 0) {
            return fail(Errno::ebusy);
        }
    }
    seals_.fetch_or(more, std::memory_order_acq_rel);
    return {};
}

}  // namespace pv::fs::tmpfs
