// signalfd(2): signals that are read as a file.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/atomic.hpp"
#include "fs/open_file.hpp"
#include "task/process.hpp"

namespace pv::linux {

/// Signals of whoever reads. Watchers (poll, epoll) hear of those sent to the process that made it; one that
/// inherited it across fork is told when it asks.
class SignalFile final : public fs::OpenFile {
  public:
    /// Error: enomem.
    [[nodiscard]] static Outcome<Ref<SignalFile>> create(task::Process& maker, task::SignalSet wanted,
                                                         std::uint32_t flags);

    void set_wanted(task::SignalSet wanted);

    std::uint32_t poll(fs::Watcher* watcher) override;
    std::string_view label(std::span<char> room) const override;

    [[nodiscard]] fs::FileKind kind() const override { return fs::FileKind::signals; }

  protected:
    /// As many struct signalfd_siginfo as there is room for.
    Outcome<std::size_t> do_read(std::uint64_t& position, fs::Target& target) override;

  private:
    SignalFile(task::Process& maker, task::SignalSet wanted, std::uint32_t flags)
        : OpenFile({}, fs::open_flag::read_write | (flags & fs::open_flag::nonblock), fs::Flow::event),
          maker_(maker),
          wanted_(wanted) {}

    [[nodiscard]] int take(task::SignalInfo& info) const;

    Ref<task::Process> maker_;
    Atomic<task::SignalSet> wanted_;
};

}  // namespace pv::linux
