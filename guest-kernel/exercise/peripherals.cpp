// Devices that serve the kernel itself: sources of entropy, and a second console.
// SPDX-License-Identifier: MIT
#include "exercise/peripherals.hpp"

#include <utility>

#include "base/log.hpp"
#include "base/status_lines.hpp"
#include "device/pci/machine.hpp"
#include "device/virtio/spec.hpp"
#include "random/pool.hpp"

namespace pv::exercise {
namespace {

using namespace literals;

/// What each source is asked for: twice a key.
constexpr std::uint64_t bits_of_a_source = 2 * random::Pool::seed_bits;
constexpr Duration source_deadline = 2_s;

}  // namespace

void Peripherals::take(const pci::Found& found) {
    const virtio::DeviceType type = virtio::device_type(found.vendor, found.device);
    if (type == virtio::DeviceType::entropy) {
        auto rng = virtio::Rng::create(pci::function_at(found.address), rng_number_++);
        if (!rng || !sources_.push_back(std::move(*rng))) {
            ++failed_;
        }
    } else if (type == virtio::DeviceType::console) {
        auto console = virtio::Console::create(pci::function_at(found.address), console_number_++);
        if (!console || !consoles_.push_back(std::move(*console))) {
            ++failed_;
        }
    }
}

void Peripherals::start() {
    random::add_from_processor();
    for (auto& source : sources_) {
        if (const Result<> fed = source->feed(bits_of_a_source, Deadline::after(source_deadline)); !fed) {
            log::warning("{}: no entropy of it: {}", source->name(), fed.error());
        }
    }
    if (!sources_.empty()) {
        log::info("random: {} bits of credit, {}", random::credit(),
                  random::credit() >= random::Pool::seed_bits ? "seeded" : "not seeded");
    }
}

void Peripherals::print_status() {
    LoggedStatus lines;
    for (auto& source : sources_) {
        source->print_status(lines);
    }
    for (auto& console : consoles_) {
        console->print_status(lines);
        lines.add("{}: {} lines of the log were dropped", console->name(), virtio::Console::dropped());
    }
    lines.add("random: {} bits of credit, {}", random::credit(),
              random::credit() >= random::Pool::seed_bits ? "seeded" : "not seeded");
}

void Peripherals::let_go(Duration patience) {
    for (auto& source : sources_) {
        source->shut_down(Deadline::after(patience));
    }
    sources_.clear();
    for (auto& console : consoles_) {
        console->stop(Deadline::after(patience));
    }
    consoles_.clear();
}

}  // namespace pv::exercise
