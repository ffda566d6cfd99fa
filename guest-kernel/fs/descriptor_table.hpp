// A process's descriptors: small numbers for open files.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/function_ref.hpp"
#include "base/ref.hpp"
#include "base/vector.hpp"
#include "fs/open_file.hpp"
#include "task/lock.hpp"

namespace pv::fs {

/// Grows as needed up to the limit each call is given (RLIMIT_NOFILE). Several threads may use one table
/// (CLONE_FILES). Files are closed outside its lock.
class DescriptorTable final : public RefCounted {
  public:
    /// Whatever a process's limit is, no table grows beyond it.
    static constexpr unsigned count_max = 1'048'576;

    [[nodiscard]] static Outcome<Ref<DescriptorTable>> create();
    /// What fork gives a child: the same files under the same numbers, with room for no more than those.
    /// Error: enomem.
    [[nodiscard]] Outcome<Ref<DescriptorTable>> duplicate();

    /// Error: ebadf.
    [[nodiscard]] Outcome<Ref<OpenFile>> get(int descriptor) const;
    /// The lowest free number from `from` on, below `limit`. Errors: emfile, einval (`from` is not below the
    /// limit), enomem.
    [[nodiscard]] Outcome<int> add(Ref<OpenFile> file, bool close_on_exec, unsigned limit, unsigned from = 0);
    /// Exactly `descriptor`; what was there is closed (dup2). Errors: ebadf (not below the limit), enomem.
    [[nodiscard]] Outcome<> set(int descriptor, Ref<OpenFile> file, bool close_on_exec, unsigned limit);
    /// Error: ebadf.
    [[nodiscard]] Outcome<> close(int descriptor);
    /// All from `first` to `last` inclusive (close_range(2)).
    void close_range(unsigned first, unsigned last);
    /// The same, but sets close-on-exec.
    void mark_range(unsigned first, unsigned last);
    /// What execve does.
    void close_on_exec();

    void close_all() { close_range(0, ~0U); }

    /// FD_CLOEXEC. Error: ebadf.
    [[nodiscard]] Outcome<bool> closes_on_exec(int descriptor) const;
    [[nodiscard]] Outcome<> set_close_on_exec(int descriptor, bool on);

    /// How many are open.
    [[nodiscard]] std::size_t count() const;
    /// How many it has room for: FDSize in /proc/PID/status.
    [[nodiscard]] std::size_t room() const;
    /// The lowest open one from `from` on, -1 when there is none: for /proc/PID/fd.
    [[nodiscard]] int next_open(int from) const;

  private:
    struct Slot {
        OpenFile* file = nullptr;  ///< owned
    };

    struct State {
        Vector<Slot> slots;
        Vector<std::uint64_t> used;     ///< a bit a slot
        Vector<std::uint64_t> on_exec;  ///< a bit a slot: close on exec
        std::size_t count = 0;
        unsigned lowest_free = 0;  ///< no slot below it is free
    };

    DescriptorTable() = default;
    ~DescriptorTable() override;

    static unsigned free_from(const State& state, unsigned from);
    /// One more than the highest that is open.
    static unsigned end_of(const State& state);
    static void place(State& state, unsigned index, OpenFile* file, bool on_exec);
    static OpenFile* take(State& state, unsigned index);
    [[nodiscard]] Outcome<> make_room(unsigned count);
    void left(OpenFile& file);

    mutable task::Guarded<State, task::Rank::descriptors> state_;
};

}  // namespace pv::fs
