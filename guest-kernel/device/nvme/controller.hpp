// An NVMe controller: brought up, identified, its namespaces, and put to rest again.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "base/vector.hpp"
#include "block/controller.hpp"
#include "device/nvme/namespace.hpp"
#include "device/nvme/recovery.hpp"
#include "device/nvme/service.hpp"
#include "device/pci/device.hpp"

namespace pv::nvme {

class Controller final : public block::Controller, private Identity {
  public:
    /// Takes the function, resets the controller, identifies it, makes its queues and finds every active
    /// namespace. `number` gives its name, "nvme0". Threads only. On an error the controller is quiet again,
    /// and the console says what went wrong. `doorbells_in_memory`: where they are offered; who watches from
    /// outside then no longer sees which controller a command went to. Errors: not_supported, corrupt,
    /// timed_out, io, device_failed, out_of_memory, no_space.
    [[nodiscard]] static Result<std::unique_ptr<block::Controller>> create(pci::Function function,
                                                                           unsigned number,
                                                                           const Patience& patience = {},
                                                                           bool doorbells_in_memory = false);

    ~Controller() override;

    [[nodiscard]] std::string_view name() const override { return {name_.data(), name_length_}; }

    [[nodiscard]] std::size_t device_count() const override { return namespaces_.size(); }

    [[nodiscard]] block::Device& device(std::size_t index) override { return *namespaces_[index]; }

    void print_status(StatusLines& lines) override;

    void shut_down(Deadline deadline) override;

    void look() override { recovery_->look(); }

    void leave(Duration patience) override { recovery_->leave(patience); }

    [[nodiscard]] bool dead() const override { return recovery_ != nullptr && recovery_->dead(); }

  private:
    Controller(pci::Function function, unsigned number, const Patience& patience, bool doorbells_in_memory);

    [[nodiscard]] Result<> bring_up();
    [[nodiscard]] Result<> identify();
    /// Whether completed writes may be lost: a volatile write cache that is there and on.
    [[nodiscard]] bool write_cache_on(const IdentifyController& data);
    [[nodiscard]] Result<> find_namespaces();
    [[nodiscard]] Result<> add_namespace(std::uint32_t id);
    /// After a reset: the serial number is the same; a namespace of another size is retired.
    [[nodiscard]] Result<> verify() override;
    [[nodiscard]] bool settle(Deadline deadline);

    std::array<char, 16> name_{};
    std::size_t name_length_ = 0;
    pci::Device pci_;
    Service service_;
    bool doorbells_in_memory_;
    Limits limits_;
    std::array<char, 20> serial_{};
    Vector<std::unique_ptr<Namespace>> namespaces_;
    std::unique_ptr<Recovery> recovery_;
};

}  // namespace pv::nvme
