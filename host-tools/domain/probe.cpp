// Runs programs and virtual machines to see whether they work.
// SPDX-License-Identifier: MIT
#include "domain/probe.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/file.hpp"
#include "domain/program.hpp"

namespace pv::domain {
namespace {

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

constexpr const char* newer_qemu =
    "install QEMU 9.1 or newer: apt-get install qemu-system-x86 (Debian 12: -t bookworm-backports)";

std::string kvm_problem(const char* what) {
    return fmt::format("{}: {}", what, std::strerror(errno));
}

struct Unmap {
    void* address;
    std::size_t length;

    ~Unmap() { ::munmap(address, length); }
};

}  // namespace

Result<std::string> probe_qemu(const std::filesystem::path& qemu) {
    const ProgramOutput output = run_program({qemu.string(), "--version"});
    const std::string line = first_line(output.text);
    const std::size_t place = line.find("version ");
    int major = 0;
    int minor = 0;
    if (output.status == 0 && place != std::string::npos) {
        const char* end = line.data() + line.size();
        const auto after = std::from_chars(line.data() + place + 8, end, major);
        if (after.ptr < end && *after.ptr == '.') {
            std::from_chars(after.ptr + 1, end, minor);
        }
    }
    if (major == 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("'{}' does not say its version: {}", qemu.string(), line), newer_qemu);
    }
    if (major < 9 || (major == 9 && minor < 1)) {
        return fail(ExitStatus::unavailable,
                    fmt::format("{} is too old (plugin interface 4 is needed)", line), newer_qemu);
    }
    return line;
}

Result<std::string> probe_plugin(const std::filesystem::path& qemu, const std::filesystem::path& plugin) {
    const ProgramOutput output =
        run_program({qemu.string(), "-machine", "none", "-nodefaults", "-display", "none", "-S", "-monitor",
                     "stdio", "-plugin", "file=" + plugin.string() + ",probe=markers"},
                    "quit\n");
    if (output.status != 0) {
        return fail(ExitStatus::unavailable, fmt::format("QEMU refuses it: {}", first_line(output.text)),
                    newer_qemu);
    }
    return fmt::format("{} loads", plugin.string());
}

Result<std::string> probe_nbdkit(const std::filesystem::path& nbdkit, const std::filesystem::path& plugin) {
    const ProgramOutput output = run_program({nbdkit.string(), "--dump-plugin", plugin.string()});
    if (output.status != 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("nbdkit cannot load paravane's plugin: {}", first_line(output.text)),
                    "apt-get install nbdkit (1.32 or newer)");
    }
    return fmt::format("{} loads", plugin.string());
}

Result<std::string> probe_kvm() {
    constexpr std::size_t page = 4096;
    // mov $1000, %cx; loop .; hlt
    static constexpr std::array<unsigned char, 6> code = {0xb9, 0xe8, 0x03, 0xe2, 0xfe, 0xf4};
    const auto refuse = [](const std::string& why) {
        return fail(ExitStatus::unavailable, why,
                    "not needed: guests run under TCG, where the plugin sees more");
    };
    const Descriptor kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!kvm) {
        return refuse(kvm_problem("/dev/kvm"));
    }
    const Descriptor machine(::ioctl(kvm.get(), KVM_CREATE_VM, 0));
    const Descriptor cpu(machine ? ::ioctl(machine.get(), KVM_CREATE_VCPU, 0) : -1);
    const int length = ::ioctl(kvm.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
    if (!cpu || length <= 0) {
        return refuse(kvm_problem("no virtual machine can be made"));
    }
    void* memory = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void* state =
        ::mmap(nullptr, static_cast<std::size_t>(length), PROT_READ | PROT_WRITE, MAP_SHARED, cpu.get(), 0);
    if (memory == MAP_FAILED || state == MAP_FAILED) {
        return refuse(kvm_problem("no memory for a virtual machine"));
    }
    const Unmap unmap_memory{memory, page};
    const Unmap unmap_state{state, static_cast<std::size_t>(length)};
    std::memcpy(memory, code.data(), code.size());
    kvm_userspace_memory_region region{};
    region.memory_size = page;
    region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory);
    kvm_sregs segments{};
    kvm_regs registers{};
    registers.rflags = 2;
    bool ready = ::ioctl(machine.get(), KVM_SET_USER_MEMORY_REGION, &region) == 0 &&
                 ::ioctl(cpu.get(), KVM_GET_SREGS, &segments) == 0;
    segments.cs.base = 0;
    segments.cs.selector = 0;
    ready = ready && ::ioctl(cpu.get(), KVM_SET_SREGS, &segments) == 0 &&
            ::ioctl(cpu.get(), KVM_SET_REGS, &registers) == 0;
    if (!ready || ::ioctl(cpu.get(), KVM_RUN, 0) != 0) {
        return refuse(kvm_problem("a virtual machine does not run"));
    }
    const auto reason = static_cast<const kvm_run*>(state)->exit_reason;
    if (reason != KVM_EXIT_HLT) {
        return refuse(fmt::format("a virtual machine stopped for another reason ({}) than its halt", reason));
    }
    return std::string("a virtual machine ran");
}

}  // namespace pv::domain
