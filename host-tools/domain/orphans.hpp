// Inherits and reaps the QEMU processes that libvirt's embedded driver starts as daemons.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

namespace pv::domain {

/// libvirt waits, in steps of 0.2 s and up to 15 s, until the number of a process it ended is free again.
/// That takes as long as whoever inherits the process takes to reap it, and not every init hurries
/// (containers). While this object lives, this process is the subreaper, and a thread reaps each orphan at
/// once. An orphan is told from a child of ours by its session: daemons have another one. A child that
/// leads its own may be who starts a daemon, which is waited for by number: it never executed anything, so
/// it still has the name of a thread of ours.
class OrphanReaper {
  public:
    OrphanReaper();
    ~OrphanReaper();
    OrphanReaper(const OrphanReaper&) = delete;
    OrphanReaper& operator=(const OrphanReaper&) = delete;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace pv::domain
