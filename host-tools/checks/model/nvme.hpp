// NVMe controllers: registers, queues, doorbells, commands. Says which controller an event of QEMU is about.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "checks/model/devices.hpp"
#include "checks/model/ledger.hpp"
#include "checks/model/signals.hpp"
#include "checks/model/types.hpp"

namespace pv::checks {

struct NvmeSubmissionQueue {
    std::uint32_t size = 0;  ///< entries
    std::uint32_t completion_queue = 0;
    std::uint32_t tail = 0;  ///< last value of the doorbell
    std::uint32_t head = 0;  ///< how far the controller fetched
    std::int64_t rung = 0;   ///< sequence number of the last doorbell

    [[nodiscard]] std::uint32_t pending() const { return size == 0 ? 0 : (tail + size - head) % size; }
};

struct NvmeCompletionQueue {
    std::uint32_t size = 0;
    std::uint32_t head = 0;    ///< last value of the doorbell
    std::uint64_t unread = 0;  ///< completions the guest has not acknowledged, at most
};

/// One controller, by what the guest writes to its registers (NVMe 2.0, section 3.1.3).
struct NvmeController {
    Bdf bdf = no_device;
    std::uint64_t registers = 0;  ///< address of register 0
    bool enabled = false;
    bool ever_enabled = false;
    bool shut_down = false;
    bool shadow = false;  ///< I/O doorbells are in memory (Doorbell Buffer Config)
    std::uint32_t page_size = 4096;
    std::uint32_t admin_sizes = 0;  ///< AQA
    std::map<std::uint32_t, NvmeSubmissionQueue> submission;
    std::map<std::uint32_t, NvmeCompletionQueue> completion;
    Place resetting;          ///< EN was cleared; over when that vCPU, or the device, goes on
    bool troubled = false;    ///< an Abort was sent since it was enabled
    std::size_t cut_off = 0;  ///< commands outstanding then
};

/// QEMU's pci_nvme_* events do not name the controller. Register writes do, by their address; a command is of
/// the controller whose queue has entries to fetch, a completion of the one that has the command. Where that
/// leaves two, what is drawn from it is marked ambiguous and never makes a finding.
class Nvme {
  public:
    Nvme(const Devices& devices, Ledger& ledger, Signals& signals)
        : devices_(devices), ledger_(ledger), signals_(signals) {}

    void see(const trace::Event& event);

    /// A DMA access in an address space: true when it is one of ours (and so already known as a transfer).
    bool claims_space(std::uint64_t space, const trace::Event& event);

    /// The command that QEMU is working on, which map and error events are about; 0: none.
    [[nodiscard]] std::uint64_t current() const { return current_; }

    [[nodiscard]] const NvmeController* current_controller() const { return find(current_bdf_); }

    [[nodiscard]] const NvmeController* find(Bdf bdf) const;

    /// Only one controller was ever enabled: nothing is ambiguous.
    [[nodiscard]] bool single() const { return ever_enabled_ <= 1; }

    /// Commands whose controller could not be told for sure.
    [[nodiscard]] std::uint64_t ambiguous() const { return ambiguous_; }

  private:
    void register_write(const trace::Event& event);
    void configure(NvmeController& controller, std::uint32_t value, const Place& at);
    void submission_doorbell(NvmeController& controller, std::uint32_t queue, std::uint64_t value,
                             Doorbell bell);
    void completion_doorbell(NvmeController& controller, std::uint32_t queue, std::uint64_t value,
                             Doorbell bell);
    void settle_resets(const trace::Event& event);
    void command(const trace::Event& event, bool admin);
    void completion(const trace::Event& event);
    void shadow_doorbell(const trace::Event& event);
    void acknowledged(const trace::Event& event);
    void map_address(const trace::Event& event);
    void complaint(const trace::Event& event);
    void judge_doorbell(const Doorbell& bell);
    NvmeController* choose(std::uint32_t queue, std::uint16_t id, bool& ambiguous);

    /// A completion that two controllers could have sent, until the guest's own marker decides.
    struct Tie {
        std::uint64_t chosen = 0;
        std::vector<std::uint64_t> others;
        Place at;
        std::uint64_t status = 0;
    };

    struct Pending {
        enum class What : std::uint8_t { none, create_sq, create_cq, delete_sq, delete_cq, shadow } what{};
        std::uint64_t serial = 0;
        std::uint32_t queue = 0;
        std::uint32_t completion_queue = 0;
        std::uint32_t size = 0;
    };

    const Devices& devices_;
    Ledger& ledger_;
    Signals& signals_;
    std::map<Bdf, NvmeController> controllers_;
    std::map<std::uint64_t, Bdf> spaces_;  ///< QEMU's address space pointers
    std::vector<Tie> ties_;
    Pending pending_;
    std::uint64_t current_ = 0;
    Bdf current_bdf_ = no_device;
    std::uint32_t current_opcode_ = 0;
    Doorbell last_bell_;  ///< not judged by the model: QEMU's complaint would come next
    int ever_enabled_ = 0;
    bool some_resetting_ = false;
    std::uint64_t ambiguous_ = 0;
};

}  // namespace pv::checks
