// Requests of Linux's first asynchronous interface (io_setup(2)): contexts, and what is done and not told
// yet.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/set_hook.hpp>
#include <cstdint>
#include <memory>

#include "base/address.hpp"
#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/errno.hpp"
#include "base/function_ref.hpp"
#include "base/ref.hpp"
#include "task/lock.hpp"
#include "task/wait_queue.hpp"

namespace pv::fs {

/// struct io_event (uapi/linux/aio_abi.h).
struct AioEvent {
    std::uint64_t data = 0;     ///< the request's own
    std::uint64_t request = 0;  ///< where the program keeps it
    std::int64_t result = 0;    ///< bytes, or an error's negative number
    std::int64_t more = 0;
};

static_assert(sizeof(AioEvent) == 32);

/// One context: room for so many requests that are under way, or done and not told. Any thread, no spinlock
/// held.
class AioContext final
    : public RefCounted,
      public boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  public:
    /// Of all contexts of the machine (/proc/sys/fs/aio-max-nr).
    static constexpr std::uint64_t requests_max = 65'536;

    /// How many all contexts have room for (/proc/sys/fs/aio-nr).
    [[nodiscard]] static std::uint64_t requests();

    /// `name`: what the program calls it, an address; `capacity`: at least 1. Errors: eagain (too many
    /// requests in all), enomem.
    [[nodiscard]] static Outcome<Ref<AioContext>> create(UserAddress name, std::uint32_t capacity);

    ~AioContext() override;

    [[nodiscard]] UserAddress name() const { return name_; }

    [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

    /// Takes a place for one request, which complete() or give_back() ends. False: all are taken.
    [[nodiscard]] bool begin();
    /// It is done: whoever waits is told.
    void complete(const AioEvent& event);
    /// There is no request after all.
    void give_back();

    /// Where one event goes, as the `index`-th of a call; may touch the program's memory.
    using Teller = FunctionRef<Outcome<>(std::size_t index, const AioEvent& event)>;

    /// Tells the oldest events and forgets each that was told, until there were `most`, or `least` of them
    /// and no more are there, or the deadline has passed. Returns how many. Errors, where there were none:
    /// what `tell` says, eintr, einval (the context has ended).
    [[nodiscard]] Outcome<std::size_t> take(std::size_t least, std::size_t most, Deadline deadline,
                                            Teller tell);

    /// io_destroy(2): whoever waits does not any more.
    void end();

  private:
    /// A ring; the places of requests under way are at its end.
    struct Events {
        std::unique_ptr<AioEvent[]> ring;
        std::uint32_t first = 0;
        std::uint32_t done = 0;
        std::uint32_t taken = 0;  ///< places: under way and done
    };

    AioContext(UserAddress name, std::uint32_t capacity) : name_(name), capacity_(capacity) {}

    Outcome<> tell_those_there(std::size_t& told, std::size_t most, Teller tell);

    const UserAddress name_;
    const std::uint32_t capacity_;
    task::Mutex teller_{task::Rank::file};  ///< events are told in order, each once
    task::Guarded<Events, task::Rank::leaf> events_;
    Atomic<std::uint32_t> done_{0};  ///< as events_ has it
    Atomic<bool> has_ended_{false};
    task::WaitQueue waiters_;
};

}  // namespace pv::fs
