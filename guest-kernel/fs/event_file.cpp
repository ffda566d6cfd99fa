// The file behind eventfd.
// SPDX-License-Identifier: MIT
#include "fs/event_file.hpp"

#include <algorithm>
#include <new>

#include "base/atomic.hpp"
#include "fs/wait.hpp"

namespace pv::fs {
namespace {

constexpr std::uint64_t count_max = ~std::uint64_t{0} - 1;

class EventFile final : public OpenFile {
  public:
    EventFile(std::uint32_t initial, bool semaphore, std::uint32_t flags)
        : OpenFile({}, open_flag::read_write | (flags & open_flag::nonblock), Flow::event),
          count_(initial),
          semaphore_(semaphore) {}

    std::uint32_t poll(Watcher* watcher) override {
        if (watcher != nullptr) {
            poll_queue_.add(*watcher);
        }
        const std::uint64_t count = count_.load(std::memory_order_acquire);
        return (count != 0 ? poll_event::readable : 0) | (count < count_max ? poll_event::writable : 0);
    }

    std::string_view label(std::span<char> room) const override {
        return put_label(room, "anon_inode:[eventfd]");
    }

    [[nodiscard]] FileKind kind() const override { return FileKind::event; }

    void ring() {
        if (add(1)) {
            readers_.wake_all();
            poll_queue_.notify(poll_event::readable);
        }
    }

  protected:
    Outcome<std::size_t> do_read(std::uint64_t&, Target& target) override {
        if (target.left() < sizeof(std::uint64_t)) {
            return fail(Errno::einval);
        }
        std::uint64_t taken = 0;
        while (!take(taken)) {
            if (is_nonblocking()) {
                return fail(Errno::eagain);
            }
            PV_TRY(wait(readers_, [&] { return count_.load(std::memory_order_acquire) != 0; }));
        }
        writers_.wake_all();
        poll_queue_.notify(poll_event::writable);
        return target.put(bytes_of(taken));
    }

    Outcome<std::size_t> do_write(std::uint64_t&, bool, Source& source) override {
        std::uint64_t more = 0;
        if (source.left() < sizeof more) {
            return fail(Errno::einval);
        }
        if (PV_TRY(source.take(writable_bytes_of(more))) < sizeof more) {
            return fail(Errno::efault);
        }
        if (more > count_max) {
            return fail(Errno::einval);
        }
        while (!add(more)) {
            if (is_nonblocking()) {
                return fail(Errno::eagain);
            }
            PV_TRY(
                wait(writers_, [&] { return count_.load(std::memory_order_acquire) <= count_max - more; }));
        }
        readers_.wake_all();
        poll_queue_.notify(poll_event::readable);
        return sizeof more;
    }

  private:
    bool take(std::uint64_t& taken) {
        std::uint64_t before = count_.load(std::memory_order_acquire);
        while (before != 0) {
            taken = semaphore_ ? 1 : before;
            if (count_.compare_exchange_weak(before, before - taken, std::memory_order_acq_rel)) {
                return true;
            }
        }
        return false;
    }

    bool add(std::uint64_t more) {
        std::uint64_t before = count_.load(std::memory_order_acquire);
        while (before <= count_max - more) {
            if (count_.compare_exchange_weak(before, before + more, std::memory_order_acq_rel)) {
                return true;
            }
        }
        return false;
    }

    Atomic<std::uint64_t> count_;
    const bool semaphore_;
    task::WaitQueue readers_;
    task::WaitQueue writers_;
    PollQueue poll_queue_;
};

}  // namespace

Outcome<Ref<OpenFile>> create_event_file(std::uint32_t initial, bool semaphore, std::uint32_t flags) {
    auto* file = new (std::nothrow) EventFile(initial, semaphore, flags);
    if (file == nullptr) {
        return fail(Errno::enomem);
    }
    return Ref<OpenFile>::adopt(file);
}

void ring_event_file(OpenFile& file) {
    static_cast<EventFile&>(file).ring();
}

}  // namespace pv::fs
