// Signals of files: who is told, and by which signal, when a file becomes ready (O_ASYNC of fcntl(2)).
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/list_hook.hpp>

#include "base/atomic.hpp"
#include "base/errno.hpp"
#include "base/ref.hpp"
#include "fs/poll.hpp"
#include "task/lock.hpp"

namespace pv::fs {

/// Why a file's signal comes; the numbers are si_code's (POLL_IN, ...).
enum class ReadyReason : std::uint8_t { in = 1, out = 2, error = 4, priority = 5, hang_up = 6 };

struct FileSignal {
    int number = 0;  ///< the signal, 1 to 64; 0: none in particular, SIGIO without information
    int descriptor = -1;
    ReadyReason reason = ReadyReason::in;
};

/// Who gets a file's signals. Made by linux/, which knows processes.
class SignalOwner : public RefCounted {
  public:
    /// On a thread of the kernel's own, no lock held. Does not wait.
    virtual void send(const FileSignal& signal) = 0;
};

/// What one open file does about signals: part of it from when a program first asks for any of this, until
/// the file ends. Whoever makes a file ready may hold locks and have interrupts off, so it notes why, and a
/// thread of the kernel's sends: changes that come before that are one signal.
class FileSignals final : Watcher {
  public:
    explicit FileSignals(OpenFile& file) : file_(file) {}

    ~FileSignals() override;

    /// Empty: nobody.
    void set_owner(Ref<SignalOwner> owner);
    [[nodiscard]] Ref<SignalOwner> owner();

    /// Of FileSignal.
    void set_number(int number) { number_.store(number, std::memory_order_relaxed); }

    [[nodiscard]] int number() const { return number_.load(std::memory_order_relaxed); }

    /// From now on each change is told, as one of `descriptor`; changes the file's flag. Errors: enomem.
    [[nodiscard]] Outcome<> switch_on(int descriptor);
    /// No more; changes the flag where it was on.
    void switch_off();

    /// The program found no room to write: it is told once there is some. Pipes tell of room each time.
    void note_full();

  private:
    struct Due;

    void notify(std::uint32_t events) override;
    /// Bits 1 << ReadyReason of those a program is told of.
    [[nodiscard]] std::uint32_t reasons_of(std::uint32_t events);
    /// False when there is nothing left to send.
    static bool send_first();
    static void serve(void*);

    static constinit task::Guarded<task::OnFirstUse<Due>, task::Rank::leaf> due;

    OpenFile& file_;
    task::Mutex switch_lock_{task::Rank::sleeping_leaf};
    Atomic<int> number_{0};
    Atomic<bool> is_full_{false};
    // Guarded by the lock of those that are due.
    Ref<SignalOwner> owner_;
    int descriptor_ = -1;
    std::uint32_t reasons_ = 0;  ///< not sent yet; on the list where there are any
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> due_hook_;
};

}  // namespace pv::fs
