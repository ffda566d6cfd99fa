// A controller's registers and queues: taken into service, made again one by one or all at once, put to rest.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "base/vector.hpp"
#include "device/dma/pages.hpp"
#include "device/nvme/queue.hpp"
#include "device/nvme/regs.hpp"
#include "device/pci/device.hpp"
#include "interrupt/vector.hpp"

namespace pv::nvme {

/// How long each thing may take. Tests shorten them.
struct Patience {
    Duration command = Duration::seconds(5);   ///< a command, whatever its request may take
    Duration admin = Duration::seconds(2);     ///< an admin command
    Duration abort = Duration::seconds(1);     ///< an Abort command
    Duration grace = Duration::seconds(4);     ///< commands that the controller goes on with after an Abort
    Duration shutdown = Duration::seconds(5);  ///< CSTS.SHST, once told to shut down
};

/// What the hardware does, in the order it must be done; what is done when is the controller's and the
/// recovery's. Every step is bounded: by CAP.TO where the controller states a time, by the patience
/// otherwise. Threads only; one at a time, except `queue`, `for_this_cpu` and the queues themselves.
class Service {
  public:
    Service(pci::Device& function, std::string_view name, const Patience& patience)
        : pci_{function}, name_{name}, patience_{patience} {}

    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    /// Maps the registers and looks at CAP. Emits `device`. Errors: not_supported, corrupt, as map_bar.
    [[nodiscard]] Result<> take();

    /// CC.EN = 0 and waits, CAP.TO at most, until the controller says that it is not ready: then it is done
    /// with all memory. Emits device_reset. Errors: timed_out; device_failed when it is gone.
    [[nodiscard]] Result<> disable(marker::ResetReason reason);

    /// Memory, vector and registers of the admin queue, while the controller is disabled.
    [[nodiscard]] Result<> make_admin_queue();

    /// Bus mastering on, CC.EN = 1, and waits, CAP.TO at most, until it is ready. Errors: timed_out,
    /// device_failed (fatal status, or gone).
    [[nodiscard]] Result<> enable();

    /// The controller offers doorbells in memory: make_io_queues uses them.
    void offer_shadows() { shadows_offered_ = true; }

    /// Memory, vectors, and the controller's knowledge of the I/O queues: one for each CPU, fewer where the
    /// controller gives fewer queues or vectors.
    [[nodiscard]] Result<> make_io_queues();

    /// Deletes I/O queue `index` in the controller: then it is done with every command of it, those that got
    /// no answer end with interrupted. Errors: as admin; nothing is known of the memory then.
    [[nodiscard]] Result<> delete_queue(std::size_t index);

    /// Deletes it and makes it again, in the same memory.
    [[nodiscard]] Result<> make_queue_again(std::size_t index);

    /// The controller is disabled: everything it owed ends with `error`, all queues are empty again.
    void empty_queues(Error error);

    /// After empty_queues: as at first, in the same memory. Takes no memory, and no vector.
    [[nodiscard]] Result<> bring_back();

    /// Tells it to write back what it caches, and waits. Nothing is done when it is disabled, or gone.
    void notify_shutdown();

    /// All queues refuse from now on; who waits gets device_failed. Memory stays with the device.
    void close(std::string_view why);

    /// An IOMMU stands between it and memory: the end of a mapping is all it takes to cut it off.
    [[nodiscard]] bool confined() const;

    /// No interrupts, no bus mastering. Without it the device cannot begin to reach memory.
    void cut_off();

    /// Gives the queues' memory back, if the device is `quiet`; else it stays in quarantine for good.
    void release(bool quiet);

    /// Runs an admin command. A status that is not success is Error::io, logged as `what`.
    [[nodiscard]] Result<std::uint32_t> admin(SubmissionEntry entry, std::string_view what,
                                              dma::Mapping data = {});
    /// The same, with the outcome as it is and nothing logged.
    [[nodiscard]] Result<block::Outcome> ask(const SubmissionEntry& entry, Duration patience);

    /// Reads one identify structure (4096 bytes) into pages that the next call uses again.
    [[nodiscard]] Result<const dma::Pages*> identify(IdentifyStructure structure, std::uint32_t name_space);

    /// CSTS; Status::gone when the function is not there any more.
    [[nodiscard]] std::uint32_t status() const;

    [[nodiscard]] Queue& admin_queue() { return *admin_; }

    [[nodiscard]] std::size_t queue_count() const { return io_.size(); }

    /// I/O queue 0 ... queue_count() - 1; the controller calls it index + 1.
    [[nodiscard]] Queue& queue(std::size_t index) { return *io_[index]; }

    /// The queue this CPU submits to.
    [[nodiscard]] std::uint16_t for_this_cpu() const;

    [[nodiscard]] std::string_view name() const { return name_; }

    [[nodiscard]] const Patience& patience() const { return patience_; }

    [[nodiscard]] const Capabilities& capabilities() const { return capabilities_; }

    [[nodiscard]] Duration ready_timeout() const;

    [[nodiscard]] marker::Device device() const { return pci_.function().address().marker(); }

    [[nodiscard]] bool taken() const { return taken_; }

  private:
    /// Queues that one interrupt is about: one of each vector, and the admin queue too where vectors are few.
    struct Line {
        std::array<Queue*, 2> queues{};
        interrupt::Vector vector;
    };

    static void raise(void* line);
    /// Tells the controller of the pages of shadow doorbells, which are zero then.
    [[nodiscard]] Result<> announce_shadows();
    /// Memory for those of `count` queues, and the announcement. Without them, registers do as well.
    void make_shadows(std::size_t count);
    void program_admin_queue();
    [[nodiscard]] Result<> create_queue(std::size_t index);
    [[nodiscard]] Result<std::size_t> grant(std::size_t wanted);
    [[nodiscard]] std::uint16_t vector_of(std::size_t index) const;

    pci::Device& pci_;
    std::string_view name_;
    Patience patience_;
    mmio::Window registers_;
    Capabilities capabilities_{0};
    dma::Pages identify_;
    std::unique_ptr<Queue> admin_;
    Vector<std::unique_ptr<Queue>> io_;
    Vector<std::unique_ptr<Line>> lines_;  ///< by MSI-X entry
    dma::Buffer shadows_;                  ///< doorbells in memory; empty where there are none
    dma::Buffer events_;                   ///< their event indexes
    bool shadows_offered_ = false;
    bool taken_ = false;  ///< the device marker was emitted; a release is owed
};

}  // namespace pv::nvme
