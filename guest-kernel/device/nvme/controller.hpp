// An NVMe controller: brought up, identified, its queues and namespaces, and put to rest again.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "base/vector.hpp"
#include "block/controller.hpp"
#include "device/nvme/abort.hpp"
#include "device/nvme/namespace.hpp"
#include "device/nvme/queue.hpp"
#include "device/nvme/regs.hpp"
#include "device/pci/device.hpp"
#include "interrupt/vector.hpp"

namespace pv::nvme {

/// Every step of bringing it up is bounded: by CAP.TO where the controller states a time, by a deadline of
/// its own for each admin command otherwise.
class Controller final : public block::Controller {
  public:
    /// Takes the function, resets the controller, identifies it, makes one I/O queue pair and finds every
    /// active namespace. `number` gives its name, "nvme0". Threads only. On an error the controller is quiet
    /// again, and the console says what went wrong. Errors: not_supported, corrupt, timed_out, io,
    /// device_failed, out_of_memory, no_space.
    [[nodiscard]] static Result<std::unique_ptr<block::Controller>> create(pci::Function function,
                                                                           unsigned number);

    ~Controller() override;

    [[nodiscard]] std::string_view name() const override { return {name_.data(), name_length_}; }

    [[nodiscard]] std::size_t device_count() const override { return namespaces_.size(); }

    [[nodiscard]] block::Device& device(std::size_t index) override { return *namespaces_[index]; }

    void shut_down(Deadline deadline) override;

  private:
    Controller(pci::Function function, unsigned number);

    [[nodiscard]] Result<> bring_up();
    [[nodiscard]] Result<> take_registers();
    [[nodiscard]] Result<> disable(marker::ResetReason reason);
    [[nodiscard]] Result<> make_admin_queue();
    [[nodiscard]] Result<> enable();
    [[nodiscard]] Result<> identify();
    [[nodiscard]] Result<> make_io_queue();
    [[nodiscard]] Result<> find_namespaces();
    [[nodiscard]] Result<> add_namespace(std::uint32_t id);
    void delete_io_queue();
    void notify_shutdown();

    /// Runs an admin command with the admin deadline; a status that is not success is Error::io, logged.
    [[nodiscard]] Result<std::uint32_t> admin(SubmissionEntry entry, std::string_view what,
                                              dma::Mapping data = {});
    /// Reads one identify structure into `pages` of 4096 bytes.
    [[nodiscard]] Result<dma::Pages> identify(IdentifyStructure structure, std::uint32_t name_space);

    [[nodiscard]] Duration ready_timeout() const;

    [[nodiscard]] marker::Device marker_device() const { return pci_.function().address().marker(); }

    std::array<char, 16> name_{};
    std::size_t name_length_ = 0;
    pci::Device pci_;
    mmio::Window registers_;
    Capabilities capabilities_{0};
    Limits limits_;
    std::unique_ptr<Queue> admin_;
    std::unique_ptr<Queue> io_;
    interrupt::Vector admin_vector_;
    interrupt::Vector io_vector_;
    std::unique_ptr<AbortService> aborts_;
    Vector<std::unique_ptr<Namespace>> namespaces_;
    bool taken_ = false;  ///< the device marker was emitted; a release is owed
};

}  // namespace pv::nvme
