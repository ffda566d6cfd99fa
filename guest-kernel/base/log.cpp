// The kernel's log: prefixes, bounds and the level threshold.
// SPDX-License-Identifier: MIT
#include "base/log.hpp"

#include <algorithm>

#include "base/atomic.hpp"
#include "base/time.hpp"

namespace pv::log {
namespace {

constinit Atomic<Level> minimum{Level::info};
constinit Atomic<Mirror> mirror{nullptr};

std::string_view prefix(Level level) {
    switch (level) {
        case Level::debug:
            return "debug: ";
        case Level::info:
            return "";
        case Level::warning:
            return "warning: ";
        case Level::error:
            return "error: ";
    }
    return "";
}

}  // namespace

void set_threshold(Level level) {
    minimum.store(level, std::memory_order_relaxed);
}

Level threshold() {
    return minimum.load(std::memory_order_relaxed);
}

void set_mirror(Mirror wanted) {
    mirror.store(wanted, std::memory_order_release);
}

void write_line(Level level, std::string_view text) {
    if (level < threshold()) {
        return;
    }
    std::array<char, line_max> buffer;
    format::Writer writer(std::span<char>(buffer).first(line_max - 3));
    const std::uint64_t us = now().since_boot().to_microseconds();
    format::write(writer, "[{:>4}.{:06}] {}", us / 1'000'000, us % 1'000'000, prefix(level));
    for (const char c : text) {
        writer.put(c >= 0x20 && c < 0x7f ? c : '?');
    }
    std::size_t length = writer.text().size();
    if (writer.truncated()) {
        std::fill_n(buffer.begin() + static_cast<std::ptrdiff_t>(length), 3, '.');
        length += 3;
    }
    console_write({buffer.data(), length}, false);
    if (const Mirror also = mirror.load(std::memory_order_acquire); also != nullptr) {
        also({buffer.data(), length});
    }
}

void write(Level level, std::string_view format, std::span<const format::Argument> arguments) {
    if (level < threshold()) {
        return;
    }
    std::array<char, line_max> buffer;
    format::Writer writer(buffer);
    format::write_arguments(writer, format, arguments);
    write_line(level, writer.text());
}

}  // namespace pv::log
