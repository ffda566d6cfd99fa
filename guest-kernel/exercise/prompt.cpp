// What somebody types on the console while the kernel works, and what it answers.
// SPDX-License-Identifier: MIT
#include "exercise/prompt.hpp"

#include <new>

#include "base/log.hpp"
#include "device/dma/mapping.hpp"
#include "device/serial/console.hpp"

namespace pv::exercise {
namespace {

using namespace literals;

constexpr Duration interval = 250_ms;
constexpr Duration eager_interval = 5_ms;
constexpr int eager_looks = 40;
/// Characters taken at one look: whoever sends without end does not keep the thread.
constexpr int at_once = 256;

}  // namespace

Result<std::unique_ptr<Prompt>> Prompt::create(PrintStatus print, void* context) {
    std::unique_ptr<Prompt> prompt{new (std::nothrow) Prompt{print, context}};
    if (prompt == nullptr) {
        return fail(Error::out_of_memory);
    }
    prompt->thread_ = PV_TRY(task::Thread::create(
        "console", [](void* self) { static_cast<Prompt*>(self)->serve(); }, prompt.get(),
        task::Priority::high));
    return prompt;
}

Prompt::~Prompt() {
    if (thread_.joinable()) {
        stopping_.store(true, std::memory_order_release);
        wake_.wake_all();
        // It says a few lines at most, and a console that takes none is waited for with a bound.
        while (!thread_.join(Deadline::after(10_s))) {
            log::error("console: its thread is still busy");
        }
    }
}

void print_mappings(StatusLines& lines) {
    const dma::Statistics dma = dma::statistics();
    lines.add("dma: {} mappings made, {} live, {} in quarantine, {} abandoned", dma.mapped, dma.live,
              dma.quarantined, dma.abandoned);
}

void Prompt::serve() {
    const auto stopped = [&] { return stopping_.load(std::memory_order_acquire); };
    int eager = 0;
    while (!stopped()) {
        bool any = false;
        for (int i = 0; i < at_once; ++i) {
            const auto c = device::serial::read_console();
            if (!c) {
                break;
            }
            take(*c);
            any = true;
        }
        // Once somebody types, the rest of the line is near: ports hand characters over one by one.
        eager = any ? eager_looks : eager - (eager == 0 ? 0 : 1);
        (void)wake_.wait(Deadline::after(eager == 0 ? interval : eager_interval), stopped);
    }
}

void Prompt::take(char c) {
    if (c == '\r' || c == '\n') {
        if (length_ > line_.size()) {
            log::warning("console: a line of {} characters is too long", length_);
        } else if (length_ != 0) {
            carry_out({line_.data(), length_});
        }
        length_ = 0;
        return;
    }
    if (length_ < line_.size()) {
        line_[length_] = c;
    }
    ++length_;
}

void Prompt::carry_out(std::string_view line) {
    if (line != "status") {
        log::warning("console: there is no command '{}'; there is: status", line);
        return;
    }
    print_(context_);
    LoggedStatus lines;
    print_mappings(lines);
}

}  // namespace pv::exercise
