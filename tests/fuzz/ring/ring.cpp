// Fuzz target: a guest that executes any markers with any arguments, over any memory, and any instruction
// bytes.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "plugin/guest_memory.hpp"
#include "plugin/instruction.hpp"
#include "plugin/queues.hpp"
#include "plugin/ring.hpp"

namespace {

using namespace pv::plugin;

/// Counts what one doorbell leads to: more than the bound is a fault of the decoder.
class Counter final : public RingSink {
  public:
    void descriptor(const Ring&, std::uint16_t, std::uint64_t, std::uint32_t, bool) override { count(); }

    void indirect(const Ring&, std::uint16_t, std::uint64_t, std::uint32_t) override { count(); }

    void request(const Ring&, std::uint16_t, pv_operation, std::uint64_t, std::uint32_t) override { count(); }

    void fault(const Ring&, std::uint16_t, pv::trace::RingFault, std::uint64_t) override { count(); }

    void unseen(const Ring&, pv::trace::RingUnseen) override { count(); }

    void begin() { seen_ = 0; }

  private:
    void count() {
        if (++seen_ > 4 * std::size_t{descriptors_per_doorbell}) {
            std::abort();
        }
    }

    std::size_t seen_ = 0;
};

/// Takes numbers off the input; zeros once it is used up.
class Input {
  public:
    explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    template <class T>
    T take() {
        T value{};
        const std::size_t length = std::min(sizeof value, bytes_.size());
        std::memcpy(&value, bytes_.data(), length);
        bytes_ = bytes_.subspan(length);
        return value;
    }

    [[nodiscard]] bool empty() const { return bytes_.empty(); }

  private:
    std::span<const std::uint8_t> bytes_;
};

void instructions(std::span<const std::uint8_t> bytes) {
    const auto code = bytes.first(std::min(bytes.size(), longest_instruction));
    static_cast<void>(marker_number(code));
    static_cast<void>(control_write(code));
    if (invlpg_address(code, Context{.long_mode = true}) && !is_invlpg(code)) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static std::array<std::byte, 65'536> ram;
    instructions({data, size});
    GuestMemory::find({reinterpret_cast<const char*>(data), size},
                      {reinterpret_cast<const char*>(data), size});
    // The first part is the guest's memory, the rest the markers it executes.
    const std::size_t filled = std::min(size / 2, ram.size());
    ram.fill(std::byte{});
    std::memcpy(ram.data(), data, filled);
    Input input{{data + filled, size - filled}};
    Queues queues{
        [] { return GuestMemory::Found{pv::trace::RingUnseen::none, {ram.data(), ram.size(), ram.size()}}; }};
    Counter sink;
    constexpr std::array<std::uint16_t, 8> markers{
        PV_MARKER_device,       PV_MARKER_dma_map,  PV_MARKER_queue_areas, PV_MARKER_queue_create,
        PV_MARKER_queue_delete, PV_MARKER_doorbell, PV_MARKER_doorbell,    PV_MARKER_device_reset};
    for (int i = 0; i < 64 && !input.empty(); ++i) {
        const std::uint16_t marker = markers[input.take<std::uint8_t>() % markers.size()];
        // Few devices, kinds and queues, so that markers meet; addresses and sizes are free.
        std::array<std::uint64_t, 6> args{input.take<std::uint8_t>() % 2U, input.take<std::uint8_t>() % 5U,
                                          input.take<std::uint8_t>() % 2U, input.take<std::uint16_t>(),
                                          input.take<std::uint32_t>(),     0};
        if (marker == PV_MARKER_queue_areas) {
            args = {args[0], args[2], args[4], 0, 0, 0};
        }
        sink.begin();
        if (Queues::concerns(marker, args)) {
            queues.on_marker(marker, args, sink);
        }
    }
    return 0;
}
