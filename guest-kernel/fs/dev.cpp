// Memory devices, the terminals' numbers, and the nodes of /dev.
// SPDX-License-Identifier: MIT
#include "fs/dev.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "base/log.hpp"
#include "fs/devices.hpp"
#include "fs/disk_view.hpp"
#include "fs/operations.hpp"
#include "fs/pty.hpp"
#include "fs/wait.hpp"
#include "random/pool.hpp"

namespace pv::fs {
namespace {

using namespace literals;

// Numbers of Linux's Documentation/admin-guide/devices.txt.
constexpr std::uint32_t memory_major = 1;
constexpr std::uint32_t serial_major = 4;
constexpr std::uint32_t terminal_major = 5;
constexpr std::uint32_t null_minor = 3;
constexpr std::uint32_t zero_minor = 5;
constexpr std::uint32_t full_minor = 7;
constexpr std::uint32_t random_minor = 8;
constexpr std::uint32_t urandom_minor = 9;
constexpr std::uint32_t messages_minor = 11;
constexpr std::uint32_t first_serial_minor = 64;
constexpr std::uint32_t own_terminal_minor = 0;
constexpr std::uint32_t console_minor = 1;
constexpr std::uint32_t ptmx_minor = 2;

class MemoryFile final : public OpenFile {
  public:
    MemoryFile(Location location, std::uint32_t flags, std::uint32_t minor)
        : OpenFile(std::move(location), flags, Flow::seekable), minor_(minor) {}

    Outcome<std::uint64_t> seek(std::int64_t, Whence) override { return 0; }

  protected:
    Outcome<std::size_t> do_read(std::uint64_t&, Target& target) override {
        switch (minor_) {
            case null_minor:
            case messages_minor:
                return std::size_t{0};
            case random_minor:
            case urandom_minor:
                return read_random(target);
            default:
                return target.put_zeros(target.left());
        }
    }

    Outcome<std::size_t> do_write(std::uint64_t&, bool, Source& source) override {
        switch (minor_) {
            case full_minor:
                return fail(Errno::enospc);
            case random_minor:
            case urandom_minor:
                return mix_in(source);
            case messages_minor:
                return log_line(source);
            default:
                return source.left();
        }
    }

  private:
    /// Nothing comes out before the pool is seeded: then both wait, as Linux's do.
    Outcome<std::size_t> read_random(Target& target) {
        std::array<std::byte, 256> bytes;
        std::size_t done = 0;
        while (target.left() != 0) {
            const auto part = std::span(bytes).first(std::min(bytes.size(), target.left()));
            if (!random::take(part)) {
                PV_TRY(wait_for_seed());
                continue;
            }
            const Outcome<std::size_t> put = target.put(part);
            if (!put) {
                return done != 0 ? Outcome<std::size_t>(done) : put;
            }
            done += *put;
            if (*put < part.size() || is_interrupted()) {
                break;
            }
        }
        bytes.fill(std::byte{0});
        return done;
    }

    Outcome<> wait_for_seed() {
        if (is_nonblocking()) {
            return fail(Errno::eagain);
        }
        // Sources tell nobody when they have given: it is looked at again.
        task::WaitQueue queue;
        const Outcome<> waited = wait(queue, Deadline::after(50_ms), [] { return false; });
        if (!waited && waited.error() == Errno::eintr) {
            return waited;
        }
        return {};
    }

    static Outcome<std::size_t> mix_in(Source& source) {
        std::array<std::byte, 256> bytes;
        std::size_t done = 0;
        while (source.left() != 0) {
            const Outcome<std::size_t> taken =
                source.take(std::span(bytes).first(std::min(bytes.size(), source.left())));
            if (!taken || *taken == 0) {
                return done != 0 || taken ? Outcome<std::size_t>(done) : taken;
            }
            random::add(std::span(bytes).first(*taken), 0);
            done += *taken;
        }
        return done;
    }

    static Outcome<std::size_t> log_line(Source& source) {
        std::array<char, 256> text;
        const std::size_t total = source.left();
        const std::size_t taken =
            PV_TRY(source.take(std::as_writable_bytes(std::span(text).first(std::min(text.size(), total)))));
        std::string_view line(text.data(), taken);
        while (!line.empty() && (line.back() == '\n' || line.back() == '\0')) {
            line.remove_suffix(1);
        }
        std::ranges::replace_if(
            std::span(text).first(line.size()), [](char c) { return static_cast<unsigned char>(c) < 0x20; },
            '?');
        log::info("kmsg: {}", line);
        return total;
    }

    const std::uint32_t minor_;
};

class MemoryDevices final : public DeviceClass {
  public:
    Outcome<Ref<OpenFile>> open(const Location& here, DeviceNumber number, std::uint32_t flags) override {
        static constexpr std::array known{null_minor,   zero_minor,    full_minor,
                                          random_minor, urandom_minor, messages_minor};
        if (std::ranges::find(known, number.minor) == known.end()) {
            return fail(Errno::enxio);
        }
        auto* file = new (std::nothrow) MemoryFile(here, flags, number.minor);
        if (file == nullptr) {
            return fail(Errno::enomem);
        }
        return Ref<OpenFile>::adopt(file);
    }
};

class TerminalDevices final : public DeviceClass {
  public:
    Outcome<Ref<OpenFile>> open(const Location& here, DeviceNumber number, std::uint32_t flags) override {
        if (number.major == terminal_major && number.minor == own_terminal_minor) {
            Ref<Terminal> own = controlling_terminal();
            if (!own) {
                return fail(Errno::enxio);
            }
            return open_terminal(here, flags | open_flag::no_controlling_terminal, std::move(own));
        }
        if (number.major == terminal_major && number.minor == ptmx_minor) {
            return open_pty_master(here, flags);
        }
        if (console == nullptr ||
            number.minor != (number.major == serial_major ? first_serial_minor : console_minor)) {
            return fail(Errno::enxio);
        }
        // The console becomes nobody's controlling terminal by itself; a serial port does.
        return open_terminal(
            here, number.major == serial_major ? flags : flags | open_flag::no_controlling_terminal,
            Ref<Terminal>(*console));
    }

    Terminal* console = nullptr;  ///< owned for ever
};

constinit MemoryDevices memory_devices;
constinit TerminalDevices terminal_devices;

struct DeviceNode {
    std::string_view name;
    DeviceNumber number;
    Mode mode;
};

constexpr std::array device_nodes{
    DeviceNode{"null", {memory_major, null_minor}, 0666},
    DeviceNode{"zero", {memory_major, zero_minor}, 0666},
    DeviceNode{"full", {memory_major, full_minor}, 0666},
    DeviceNode{"random", {memory_major, random_minor}, 0666},
    DeviceNode{"urandom", {memory_major, urandom_minor}, 0666},
    DeviceNode{"kmsg", {memory_major, messages_minor}, 0600},
    DeviceNode{"tty", {terminal_major, own_terminal_minor}, 0666},
    DeviceNode{"console", {terminal_major, console_minor}, 0600},
    DeviceNode{"ptmx", {terminal_major, ptmx_minor}, 0666},
    DeviceNode{"ttyS0", {serial_major, first_serial_minor}, 0600},
};

struct DeviceLink {
    std::string_view name;
    std::string_view target;
};

constexpr std::array device_links{
    DeviceLink{"fd", "/proc/self/fd"},
    DeviceLink{"stdin", "/proc/self/fd/0"},
    DeviceLink{"stdout", "/proc/self/fd/1"},
    DeviceLink{"stderr", "/proc/self/fd/2"},
};

/// Where the nodes of disks are; empty before populate_dev. Held while they are made, so that none is
/// forgotten that comes at the same time.
constinit Location disk_directory;
constinit task::Mutex disk_nodes{task::Rank::exercise};

Outcome<> unless_there(Outcome<> made) {
    return !made && made.error() == Errno::eexist ? Outcome<>() : made;
}

Outcome<> make_disk_nodes(const Location& directory) {
    const Caller caller{kernel_credentials, directory, directory};
    DiskFacts disk;
    for (std::size_t i = 0; tell_disk(i, disk); ++i) {
        const auto made = make_node(caller, disk.name.text(), NodeType::block_device, 0600, disk.number);
        PV_TRY(unless_there(made ? Outcome<>() : fail(made.error())));
    }
    return {};
}

}  // namespace

Outcome<> start_devices(Ref<Terminal> console) {
    terminal_devices.console = console.release();
    PV_TRY(register_device_class(NodeType::character_device, memory_major, memory_devices));
    PV_TRY(register_device_class(NodeType::character_device, serial_major, terminal_devices));
    return register_device_class(NodeType::character_device, terminal_major, terminal_devices);
}

Outcome<> populate_dev(const Location& directory) {
    const Caller caller{kernel_credentials, directory, directory};
    for (const DeviceNode& node : device_nodes) {
        const auto made = make_node(caller, node.name, NodeType::character_device, node.mode, node.number);
        PV_TRY(unless_there(made ? Outcome<>() : fail(made.error())));
    }
    for (const DeviceLink& link : device_links) {
        PV_TRY(unless_there(make_symbolic_link(caller, link.target, link.name)));
    }
    PV_TRY(unless_there(make_directory(caller, "pts", 0755)));
    PV_TRY(unless_there(make_directory(caller, "shm", 01777)));
    const MutexGuard guard(disk_nodes);
    disk_directory = directory;
    return make_disk_nodes(directory);
}

Outcome<> add_disk_nodes() {
    const MutexGuard guard(disk_nodes);
    return disk_directory.node ? make_disk_nodes(disk_directory) : Outcome<>();
}

}  // namespace pv::fs
