// The host's side of clock, log, markers, panic and frames.
// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "base/atomic.hpp"
#include "base/log.hpp"
#include "base/marker.hpp"
#include "base/panic.hpp"
#include "device/serial/console.hpp"
#include "hosted/control.hpp"
#include "memory/device_map.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"

namespace pv {
namespace {

Atomic<bool> clock_held{false};
Atomic<std::uint64_t> held_at{0};
// Never destroyed: threads of the kernel run until the process is gone.
std::mutex& records_lock = *new std::mutex;
std::vector<hosted::Marker>& markers = *new std::vector<hosted::Marker>;
std::vector<std::string>& log_lines = *new std::vector<std::string>;
std::string typed;
Atomic<std::uint64_t> fail_from{0};
Atomic<std::uint64_t> allocations{0};
Atomic<std::uint64_t> total_frames{0};

constexpr std::size_t stamp_length = 14;  // "[   0.000000] "

}  // namespace

Instant now() {
    if (clock_held.load(std::memory_order_seq_cst)) {
        return Instant::since_boot(Duration::nanoseconds(held_at.load(std::memory_order_seq_cst)));
    }
    static const auto start = std::chrono::steady_clock::now();
    const auto ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start);
    return Instant::since_boot(Duration::nanoseconds(static_cast<std::uint64_t>(ns.count())));
}

void panic_with(std::string_view format, std::span<const format::Argument> arguments,
                std::source_location where) {
    std::array<char, 512> buffer;
    format::Writer writer(std::span<char>(buffer).first(buffer.size() - 1));
    format::write_arguments(writer, format, arguments);
    buffer[writer.text().size()] = '\0';
    std::fprintf(stderr, "panic: %s\n  at %s:%u\n", buffer.data(), where.file_name(), where.line());
    std::abort();
}

namespace marker {

void record(std::uint32_t number, std::uint64_t a0, std::uint64_t a1, std::uint64_t a2, std::uint64_t a3,
            std::uint64_t a4, std::uint64_t a5) {
    const std::scoped_lock guard(records_lock);
    markers.push_back({number, {a0, a1, a2, a3, a4, a5}});
}

}  // namespace marker

namespace log {

void console_write(std::string_view line, bool) {
    const std::scoped_lock guard(records_lock);
    log_lines.emplace_back(line.size() > stamp_length ? line.substr(stamp_length) : line);
}

}  // namespace log

namespace device::serial {

std::optional<char> read_console() {
    const std::scoped_lock guard(records_lock);
    if (typed.empty()) {
        return std::nullopt;
    }
    const char c = typed.front();
    typed.erase(0, 1);
    return c;
}

}  // namespace device::serial

namespace hosted {

void hold_clock(Instant instant) {
    held_at.store(instant.since_boot().to_nanoseconds(), std::memory_order_seq_cst);
    clock_held.store(true, std::memory_order_seq_cst);
}

void release_clock() {
    clock_held.store(false, std::memory_order_seq_cst);
}

std::vector<Marker> take_markers() {
    const std::scoped_lock guard(records_lock);
    return std::exchange(markers, {});
}

std::vector<std::string> take_log() {
    const std::scoped_lock guard(records_lock);
    return std::exchange(log_lines, {});
}

void type(std::string_view text) {
    const std::scoped_lock guard(records_lock);
    typed += text;
}

void fail_frames_from(std::uint64_t nth) {
    allocations.store(0, std::memory_order_seq_cst);
    fail_from.store(nth, std::memory_order_seq_cst);
}

void set_total_frames(std::uint64_t frames) {
    total_frames.store(frames, std::memory_order_seq_cst);
}

}  // namespace hosted

namespace memory {

Result<PhysicalAddress> allocate_frames(unsigned order) {
    if (order > order_max) {
        return fail(Error::invalid_argument);
    }
    const std::uint64_t nth = allocations.fetch_add(1, std::memory_order_seq_cst) + 1;
    if (fail_from.load(std::memory_order_seq_cst) != 0 && nth >= fail_from.load(std::memory_order_seq_cst)) {
        return fail(Error::out_of_memory);
    }
    void* memory = std::aligned_alloc(page_size << order, page_size << order);
    if (memory == nullptr) {
        return fail(Error::out_of_memory);
    }
    return PhysicalAddress(reinterpret_cast<std::uintptr_t>(memory));
}

bool is_low() {
    return false;
}

bool is_scarce() {
    return false;
}

Result<PhysicalAddress> allocate_program_frame() {
    return allocate_frames(0);
}

void free_frames(PhysicalAddress address, unsigned) {
    std::free(to_pointer<void>(address));
}

FrameStatistics frame_statistics() {
    return {.total = total_frames.load(std::memory_order_seq_cst)};
}

PhysicalAddress to_physical(const void* pointer) {
    return PhysicalAddress(reinterpret_cast<std::uintptr_t>(pointer));
}

// A test's fake device registers are ordinary memory: the mapping is the address itself.
Result<VirtualAddress> map_device(PhysicalAddress address, std::uint64_t length) {
    if (length == 0 || address.value() + length < address.value()) {
        return fail(Error::invalid_argument);
    }
    return VirtualAddress(address.value());
}

void unmap_device(VirtualAddress, std::uint64_t) {}

}  // namespace memory
}  // namespace pv
