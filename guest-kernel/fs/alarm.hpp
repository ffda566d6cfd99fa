// Calls at a moment: one thread rings for all of them.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/set_hook.hpp>

#include "base/errno.hpp"
#include "base/ref.hpp"
#include "base/time.hpp"

namespace pv::fs {

/// Something that wants to be called at a moment. It is a part of what is owned by count: who rings keeps
/// that alive meanwhile, and what is on its way out is not rung.
class Alarm
    : public boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  public:
    explicit Alarm(const RefCounted& whole) : whole_(whole) {}

    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    /// Once, at `moment` or as soon after as a thread gets there. It is not set afterwards. On the thread
    /// that serves all: short, no sleeping.
    virtual void ring() = 0;

    /// Rings at `moment`, and not when it was set to ring before. Any context that may take spinlocks.
    void set(Instant moment);
    /// Does not ring any more but for a ring that has begun.
    void cancel();

  protected:
    virtual ~Alarm() { cancel(); }

  private:
    friend struct Alarms;

    const RefCounted& whole_;
    Instant moment_;
    bool is_set_ = false;
};

/// Starts the thread unless it runs. To be asked before an alarm is set. Error: enomem.
[[nodiscard]] Outcome<> start_alarms();

}  // namespace pv::fs
