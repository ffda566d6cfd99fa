// The run as far as it was seen: every tracker of the model, fed in one order.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>

#include "checks/limits.hpp"
#include "checks/model/context.hpp"
#include "checks/model/devices.hpp"
#include "checks/model/guest.hpp"
#include "checks/model/ledger.hpp"
#include "checks/model/mappings.hpp"
#include "checks/model/nvme.hpp"
#include "checks/model/signals.hpp"
#include "checks/model/standstill.hpp"
#include "checks/model/virtio.hpp"

namespace pv::checks {

class World {
  public:
    /// `signals` is told what the trackers find; it and `context` must outlive this.
    World(const Context& context, const Limits& limits, Signals& signals)
        : context_(context),
          signals_(signals),
          devices_(context),
          mappings_(limits),
          ledger_(signals, limits),
          nvme_(devices_, ledger_, signals),
          virtio_(devices_, ledger_, signals),
          standstill_(devices_),
          most_devices_(limits.devices) {}

    void see(const trace::Event& event);
    void finish();

    /// False for a marker about one device too many (Limits::devices): neither the trackers nor the rules are
    /// to see it, so that none of them remembers devices without end.
    [[nodiscard]] bool admits(const trace::Event& event);

    /// What of the guest's markers was not followed because there was too much of it; "" when all was.
    [[nodiscard]] std::string neglected() const;

    [[nodiscard]] const Context& context() const { return context_; }

    [[nodiscard]] const Devices& devices() const { return devices_; }

    [[nodiscard]] const Guest& guest() const { return guest_; }

    [[nodiscard]] const Mappings& mappings() const { return mappings_; }

    [[nodiscard]] const Ledger& ledger() const { return ledger_; }

    [[nodiscard]] const Nvme& nvme() const { return nvme_; }

    [[nodiscard]] const Virtio& virtio() const { return virtio_; }

    [[nodiscard]] const Standstill& standstill() const { return standstill_; }

    /// What was wrong with the dma_map or dma_unmap marker that is being judged.
    [[nodiscard]] const Mappings::Change& change() const { return change_; }

    /// Where the last event was.
    [[nodiscard]] const Place& now() const { return now_; }

  private:
    void mark(const trace::Event& event);
    void fault(const trace::Event& event);

    const Context& context_;
    Signals& signals_;
    Devices devices_;
    Guest guest_;
    Mappings mappings_;
    Ledger ledger_;
    Nvme nvme_;
    Virtio virtio_;
    Standstill standstill_;
    Mappings::Change change_;
    Place now_;
    std::size_t most_devices_;
    std::unordered_set<Bdf> marked_;  ///< devices that markers named
    std::uint64_t refused_ = 0;       ///< markers about others
};

}  // namespace pv::checks
