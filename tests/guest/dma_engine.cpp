// QEMU's teaching device as a DMA engine that goes wherever it is told: what no driver of ours would do.
// SPDX-License-Identifier: MIT
#include "dma_engine.hpp"

#include <new>

#include "device/mmio/poll.hpp"
#include "device/pci/machine.hpp"

namespace pv::guest_test {
namespace {

using namespace literals;

constexpr std::uint16_t vendor = 0x1234;
constexpr std::uint16_t product = 0x11e8;
constexpr std::uint64_t buffer = 0x40000;
constexpr std::uint64_t run = 1;
constexpr std::uint64_t to_memory = 2;
constexpr Duration copy_deadline = 5_s;

struct Engine {
    static constexpr mmio::Register<std::uint64_t> source{0x80};
    static constexpr mmio::Register<std::uint64_t> destination{0x88};
    static constexpr mmio::Register<std::uint64_t> count{0x90};
    static constexpr mmio::Register<std::uint64_t> command{0x98};
};

}  // namespace

Result<std::unique_ptr<DmaEngine>> DmaEngine::find(std::span<const pci::Found> functions) {
    for (const pci::Found& found : functions) {
        if (found.vendor == vendor && found.device == product) {
            std::unique_ptr<DmaEngine> engine{new (std::nothrow) DmaEngine{pci::function_at(found.address)}};
            if (engine == nullptr) {
                return fail(Error::out_of_memory);
            }
            engine->registers_ = PV_TRY(engine->pci_.map_bar(0)).window;
            engine->pci_.set_bus_mastering(true);
            return engine;
        }
    }
    return fail(Error::not_found);
}

Result<> DmaEngine::copy(std::uint64_t from, std::uint64_t to, std::size_t length,
                         std::uint64_t command) const {
    registers_.write(Engine::source, from);
    registers_.write(Engine::destination, to);
    registers_.write(Engine::count, std::uint64_t{length});
    registers_.write(Engine::command, command);
    PV_TRY(mmio::poll(registers_, Engine::command, Deadline::after(copy_deadline),
                      [](std::uint64_t value) { return (value & run) == 0; }));
    return {};
}

Result<> DmaEngine::fetch(std::uint64_t address, std::size_t length) const {
    return copy(address, buffer, length, run);
}

Result<> DmaEngine::store(std::uint64_t address, std::size_t length) const {
    return copy(buffer, address, length, run | to_memory);
}

}  // namespace pv::guest_test
