// Pipes: a ring of pages, and the files at its ends.
// SPDX-License-Identifier: MIT
#include "fs/pipe.hpp"

#include <asm/ioctls.h>

#include <algorithm>
#include <bit>
#include <new>

#include "base/atomic.hpp"
#include "base/format.hpp"
#include "fs/message_trace.hpp"
#include "fs/wait.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"

namespace pv::fs {
namespace {

constinit Atomic<std::uint64_t> next_number{1};

class PipeFile final : public OpenFile {
  public:
    PipeFile(Location location, std::uint32_t flags, Ref<Pipe> pipe)
        : OpenFile(std::move(location), flags, Flow::stream),
          pipe_(std::move(pipe)),
          writers_before_(node() != nullptr ? pipe_->writers_gone() : 0) {}

    ~PipeFile() override { pipe_->leave(flags()); }

    std::uint32_t poll(Watcher* watcher) override {
        if (watcher != nullptr) {
            pipe_->poll_queue().add(*watcher);
        }
        return pipe_->readiness(flags(), writers_before_);
    }

    Outcome<std::uint64_t> ioctl(std::uint32_t request, IoctlArgument& argument) override {
        if (request != FIONREAD) {
            return fail(Errno::enotty);
        }
        const auto count = static_cast<std::int32_t>(pipe_->filled());
        PV_TRY(argument.write(bytes_of(count)));
        return 0;
    }

    std::string_view label(std::span<char> room) const override {
        return node() != nullptr ? std::string_view() : format::to(room, "pipe:[{}]", pipe_->number());
    }

    Attributes attributes() override {
        if (node() != nullptr) {
            return OpenFile::attributes();
        }
        return {.type = NodeType::fifo,
                .mode = 0600,
                .number = pipe_->number(),
                .accessed = pipe_->born(),
                .modified = pipe_->born(),
                .changed = pipe_->born(),
                .born = pipe_->born()};
    }

    [[nodiscard]] Pipe& pipe() { return *pipe_; }

    Outcome<Ref<OpenFile>> reopen(std::uint32_t flags) override;

    [[nodiscard]] FileKind kind() const override { return FileKind::pipe; }

    [[nodiscard]] bool sends_signals() const override { return true; }

  protected:
    Outcome<std::size_t> do_read(std::uint64_t&, Target& target) override {
        return pipe_->read(target, is_nonblocking());
    }

    Outcome<std::size_t> do_write(std::uint64_t&, bool, Source& source) override {
        return pipe_->write(source, is_nonblocking());
    }

  private:
    Ref<Pipe> pipe_;
    std::uint32_t writers_before_;  ///< who opens a fifo that nobody writes into any more is not hung up
};

Outcome<Ref<OpenFile>> make_end(const Location& here, std::uint32_t flags, Ref<Pipe> pipe, bool waits) {
    PV_TRY(pipe->join(flags, waits));
    auto* file = new (std::nothrow) PipeFile(here, flags, pipe);
    if (file == nullptr) {
        pipe->leave(flags);
        return fail(Errno::enomem);
    }
    return Ref<OpenFile>::adopt(file);
}

// Unlike a fifo's, it waits for nobody: who reads a pipe that has no writer any more finds what is left.
Outcome<Ref<OpenFile>> PipeFile::reopen(std::uint32_t flags) {
    return make_end({}, flags, pipe_, false);
}

}  // namespace

Outcome<Ref<Pipe>> Pipe::create() {
    auto pipe = Ref<Pipe>::adopt(new (std::nothrow) Pipe);
    if (!pipe) {
        return fail(Errno::enomem);
    }
    pipe->pages_.reset(new (std::nothrow) std::byte* [capacity_default / page_size] {});
    if (pipe->pages_ == nullptr) {
        return fail(Errno::enomem);
    }
    pipe->capacity_.store(capacity_default, std::memory_order_relaxed);
    pipe->number_ = next_number.fetch_add(1, std::memory_order_relaxed);
    return pipe;
}

Pipe::~Pipe() {
    for (std::size_t i = 0; pages_ != nullptr && i < capacity() / page_size; ++i) {
        if (pages_[i] != nullptr) {
            memory::free_frames(memory::to_physical(pages_[i]), 0);
        }
    }
}

std::byte* Pipe::page_for(std::size_t position) {
    std::byte*& page = pages_[position / page_size];
    if (page == nullptr) {
        const Result<PhysicalAddress> frame = memory::allocate_frames(0);
        if (frame) {
            page = memory::to_pointer(*frame);
        }
    }
    return page;
}

std::span<const std::byte> Pipe::piece_at(std::size_t skipped, std::size_t wanted) const {
    const std::size_t at = (begin_ + skipped) % capacity();
    const std::size_t within = at % page_size;
    return {pages_[at / page_size] + within, std::min({filled() - skipped, wanted, page_size - within})};
}

Outcome<std::size_t> Pipe::peek(Target& target) {
    const MutexGuard guard(lock_);
    std::size_t done = 0;
    while (done < filled() && target.left() != 0) {
        const std::span<const std::byte> part = piece_at(done, target.left());
        const Outcome<std::size_t> put = target.put(part);
        if (!put) {
            return done != 0 ? Outcome<std::size_t>(done) : put;
        }
        done += *put;
        if (*put < part.size()) {
            break;
        }
    }
    return done;
}

// Who holds it will say what is left: even one who must not wait for bytes waits for that.
Outcome<> Pipe::wait_for_release(MutexGuard& guard) {
    const std::uint64_t releases = releases_.load(std::memory_order_acquire);
    guard.unlock();
    PV_TRY(wait(read_queue_, [&] { return releases_.load(std::memory_order_acquire) != releases; }));
    guard.lock();
    return {};
}

// Part of each read: a call of its own would cost what the wait's own work does.
[[gnu::always_inline]] inline Outcome<bool> Pipe::wait_for_bytes(MutexGuard& guard, bool nonblocking) {
    while (true) {
        if (is_held_) [[unlikely]] {
            PV_TRY(wait_for_release(guard));
            continue;
        }
        if (filled() != 0) {
            return true;
        }
        if (writers_.load(std::memory_order_acquire) == 0) {
            return false;
        }
        if (nonblocking) {
            return fail(Errno::eagain);
        }
        guard.unlock();
        PV_TRY(wait(read_queue_,
                    [&] { return filled() != 0 || writers_.load(std::memory_order_acquire) == 0; }));
        guard.lock();
    }
}

Outcome<> Pipe::hold(bool nonblocking) {
    MutexGuard guard(lock_);
    static_cast<void>(PV_TRY(wait_for_bytes(guard, nonblocking)));
    is_held_ = true;
    return {};
}

void Pipe::release() {
    {
        const MutexGuard guard(lock_);
        is_held_ = false;
        releases_.fetch_add(1, std::memory_order_release);
    }
    read_queue_.wake_all();
}

void Pipe::drop(std::size_t count) {
    {
        const MutexGuard guard(lock_);
        take_out(count);
        trace_own_message(Channel::pipe, true, number_, count);
    }
    write_queue_.wake_all();
    poll_queue_.notify(poll_event::writable);
}

Outcome<std::size_t> Pipe::read(Target& target, bool nonblocking) {
    if (target.left() == 0) {
        return std::size_t{0};
    }
    MutexGuard guard(lock_);
    if (!PV_TRY(wait_for_bytes(guard, nonblocking))) {
        return std::size_t{0};
    }
    std::size_t done = 0;
    while (filled() != 0 && target.left() != 0) {
        const std::span<const std::byte> part = piece_at(0, target.left());
        const Outcome<std::size_t> put = target.put(part);
        if (!put) {
            if (done == 0) {
                return put;
            }
            break;
        }
        done += *put;
        const std::size_t asked = part.size();
        take_out(*put);
        if (*put < asked) {
            break;
        }
    }
    trace_own_message(Channel::pipe, true, number_, done);
    guard.unlock();
    write_queue_.wake_all();
    poll_queue_.notify(poll_event::writable);
    return done;
}

Outcome<std::size_t> Pipe::fill(Source& source, std::size_t count) {
    std::size_t done = 0;
    while (done < count) {
        const std::size_t at = (begin_ + filled()) % capacity();
        const std::size_t within = at % page_size;
        const std::size_t part = std::min(count - done, page_size - within);
        std::byte* page = page_for(at);
        if (page == nullptr) {
            return done != 0 ? Outcome<std::size_t>(done) : fail(Errno::enomem);
        }
        const Outcome<std::size_t> taken = source.take({page + within, part});
        if (!taken) {
            return done != 0 ? Outcome<std::size_t>(done) : taken;
        }
        done += *taken;
        filled_.fetch_add(*taken, std::memory_order_acq_rel);
        if (*taken < part) {
            break;
        }
    }
    return done;
}

Outcome<std::size_t> Pipe::write(Source& source, bool nonblocking) {
    const std::size_t total = source.left();
    // What is not to be torn needs room for all of it; the rest takes what there is.
    const std::size_t needed = total <= pipe_atomic_max ? total : 1;
    std::size_t done = 0;
    MutexGuard guard(lock_);
    while (true) {
        if (total == 0) {
            return std::size_t{0};
        }
        if (readers_.load(std::memory_order_acquire) == 0) {
            return done != 0 ? Outcome<std::size_t>(done) : fail(Errno::epipe);
        }
        if (room() >= needed) {
            const std::size_t part = std::min(room(), source.left());
            const Outcome<std::size_t> filled_now = fill(source, part);
            if (!filled_now) {
                return done != 0 ? Outcome<std::size_t>(done) : filled_now;
            }
            done += *filled_now;
            trace_own_message(Channel::pipe, false, number_, *filled_now);
            guard.unlock();
            read_queue_.wake_all();
            poll_queue_.notify(poll_event::readable);
            if (source.left() == 0 || *filled_now < part) {
                return done;
            }
            guard.lock();
            continue;
        }
        if (nonblocking) {
            return done != 0 ? Outcome<std::size_t>(done) : fail(Errno::eagain);
        }
        guard.unlock();
        const Outcome<> waited = wait(
            write_queue_, [&] { return room() >= needed || readers_.load(std::memory_order_acquire) == 0; });
        if (!waited) {
            return done != 0 ? Outcome<std::size_t>(done) : fail(waited.error());
        }
        guard.lock();
    }
}

Outcome<> Pipe::join(std::uint32_t flags, bool wait_for_other) {
    const bool reads = is_readable(flags);
    const bool writes = is_writable(flags);
    const bool nonblocking = (flags & open_flag::nonblock) != 0;
    if (wait_for_other && writes && !reads && nonblocking && readers_.load(std::memory_order_acquire) == 0) {
        return fail(Errno::enxio);
    }
    const std::uint32_t readers_before = readers_ever_.load(std::memory_order_acquire);
    const std::uint32_t writers_before = writers_ever_.load(std::memory_order_acquire);
    if (reads) {
        readers_.fetch_add(1, std::memory_order_acq_rel);
        readers_ever_.fetch_add(1, std::memory_order_acq_rel);
    }
    if (writes) {
        writers_.fetch_add(1, std::memory_order_acq_rel);
        writers_ever_.fetch_add(1, std::memory_order_acq_rel);
    }
    if (!wait_for_other) {
        return {};
    }
    open_queue_.wake_all();
    if (nonblocking || (reads && writes)) {
        return {};
    }
    // One that came and went meanwhile counts: it was there.
    const Outcome<> waited = wait(open_queue_, [&] {
        return reads ? writers_.load(std::memory_order_acquire) != 0 ||
                           writers_ever_.load(std::memory_order_acquire) != writers_before
                     : readers_.load(std::memory_order_acquire) != 0 ||
                           readers_ever_.load(std::memory_order_acquire) != readers_before;
    });
    if (!waited) {
        leave(flags);
    }
    return waited;
}

void Pipe::leave(std::uint32_t flags) {
    if (is_readable(flags) && readers_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        write_queue_.wake_all();
        poll_queue_.notify(poll_event::writable | poll_event::error);
    }
    if (is_writable(flags) && writers_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        read_queue_.wake_all();
        poll_queue_.notify(poll_event::readable | poll_event::hang_up);
    }
    // What is in a fifo goes with its last end.
    const MutexGuard guard(lock_);
    if (readers_.load(std::memory_order_acquire) == 0 && writers_.load(std::memory_order_acquire) == 0) {
        take_out(filled());
    }
}

std::uint32_t Pipe::readiness(std::uint32_t flags, std::uint32_t writers_before) const {
    std::uint32_t ready = 0;
    if (is_readable(flags)) {
        ready |= filled() != 0 ? poll_event::readable : 0;
        // A fifo that nobody has opened for writing since is not hung up.
        ready |= writers_gone() > writers_before ? poll_event::hang_up : 0;
    }
    if (is_writable(flags)) {
        ready |= room() >= pipe_atomic_max ? poll_event::writable : 0;
        ready |= readers_.load(std::memory_order_acquire) == 0 ? poll_event::error : 0;
    }
    return ready;
}

Outcome<std::size_t> Pipe::set_capacity(std::size_t bytes) {
    if (bytes > capacity_max) {
        return fail(bytes > (std::size_t{1} << 31) ? Errno::einval : Errno::eperm);
    }
    const std::size_t capacity = std::max(std::bit_ceil(bytes), page_size);
    std::unique_ptr<std::byte*[]> pages(new (std::nothrow) std::byte* [capacity / page_size] {});
    if (pages == nullptr) {
        return fail(Errno::enomem);
    }
    MutexGuard guard(lock_);
    if (filled() > capacity) {
        return fail(Errno::ebusy);
    }
    // The pages in use keep their order; the first one becomes the first of the new ring.
    const std::size_t before = this->capacity() / page_size;
    const std::size_t after = capacity / page_size;
    const std::size_t first = begin_ / page_size;
    const std::size_t used = filled() == 0 ? 0 : (begin_ % page_size + filled() + page_size - 1) / page_size;
    if (used > std::min(before, after)) {
        return fail(Errno::ebusy);  // the last page is the first one too: it would have to be torn
    }
    for (std::size_t i = 0; i < before; ++i) {
        std::byte* page = pages_[(first + i) % before];
        if (i < after) {
            pages[i] = page;
        } else if (page != nullptr) {
            memory::free_frames(memory::to_physical(page), 0);
        }
    }
    std::swap(pages_, pages);
    begin_ %= page_size;
    capacity_.store(capacity, std::memory_order_relaxed);
    guard.unlock();
    write_queue_.wake_all();
    poll_queue_.notify(poll_event::writable);
    return capacity;
}

Outcome<PipeEnds> create_pipe(std::uint32_t flags) {
    if ((flags & ~(open_flag::nonblock | open_flag::close_on_exec)) != 0) {
        return fail(Errno::einval);
    }
    const std::uint32_t status = flags & open_flag::nonblock;
    const Ref<Pipe> pipe = PV_TRY(Pipe::create());
    Ref<OpenFile> reader = PV_TRY(make_end({}, open_flag::read_only | status, pipe, false));
    Ref<OpenFile> writer = PV_TRY(make_end({}, open_flag::write_only | status, pipe, false));
    return PipeEnds{std::move(reader), std::move(writer)};
}

Outcome<Ref<OpenFile>> open_fifo(const Location& here, std::uint32_t flags, Ref<Pipe> pipe) {
    if ((flags & open_flag::access_mask) == open_flag::access_mask) {
        return fail(Errno::einval);
    }
    return make_end(here, flags, std::move(pipe), true);
}

Pipe* pipe_of(OpenFile& file) {
    return file.kind() == FileKind::pipe ? &static_cast<PipeFile&>(file).pipe() : nullptr;
}

}  // namespace pv::fs
