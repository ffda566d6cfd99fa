// The serial port's terminal: a screen, and a thread that looks for what was typed.
// SPDX-License-Identifier: MIT
#include "boot/terminal.hpp"

#include <array>
#include <new>

#include "base/atomic.hpp"
#include "device/serial/console.hpp"
#include "task/thread.hpp"

namespace pv::boot {
namespace {

using namespace literals;

constexpr fs::DeviceNumber serial_number{4, 64};

// A key is passed on within the first; once somebody types, the next one is near, and what fills half of the
// port's room is no person but a stream.
constexpr Duration interval = 20_ms;
constexpr Duration eager_interval = 2_ms;
constexpr Duration stream_interval = 250_us;
constexpr std::size_t stream_at_once = 8;
constexpr int eager_looks = 50;

class SerialScreen final : public fs::Screen {
  public:
    std::size_t write(std::span<const char> text) override {
        const std::size_t count = device::serial::write_console({text.data(), text.size()});
        if (count == 0 && !text.empty()) {
            full.store(true, std::memory_order_release);
        }
        return count;
    }

    Atomic<bool> full{false};  ///< somebody may wait for room
};

constinit SerialScreen screen;

void pass_on(void* context) {
    auto& terminal = *static_cast<fs::Terminal*>(context);
    int eager = 0;
    while (true) {
        std::array<char, 64> typed;
        std::size_t count = 0;
        while (count < typed.size()) {
            const auto c = device::serial::read_console();
            if (!c) {
                break;
            }
            typed[count++] = *c;
        }
        if (count != 0) {
            terminal.type(std::span(typed).first(count));
            eager = eager_looks;
        }
        if (screen.full.exchange(false, std::memory_order_acq_rel)) {
            terminal.room_again();
        }
        if (count < typed.size()) {
            eager -= eager == 0 ? 0 : 1;
            task::sleep(count >= stream_at_once ? stream_interval : eager == 0 ? interval : eager_interval);
        }
    }
}

}  // namespace

Result<Ref<fs::Terminal>> start_terminal() {
    auto terminal = Ref<fs::Terminal>::adopt(new (std::nothrow) fs::Terminal(screen, serial_number));
    if (!terminal) {
        return fail(Error::out_of_memory);
    }
    Ref<fs::Terminal> for_thread = terminal;
    // The thread never ends: its handle is not kept.
    (void)PV_TRY(task::Thread::create("terminal", pass_on, for_thread.get(), task::Priority::high));
    (void)for_thread.release();
    return terminal;
}

}  // namespace pv::boot
