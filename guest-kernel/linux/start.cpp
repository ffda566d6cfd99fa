// The first program.
// SPDX-License-Identifier: MIT
#include "linux/start.hpp"

#include <sys/resource.h>

#include "arch/processor.hpp"
#include "base/log.hpp"
#include "boot/memory.hpp"
#include "boot/options.hpp"
#include "boot/terminal.hpp"
#include "fs/dev.hpp"
#include "fs/newc.hpp"
#include "fs/operations.hpp"
#include "fs/privilege.hpp"
#include "fs/proc.hpp"
#include "fs/pty.hpp"
#include "fs/size_limit.hpp"
#include "fs/sysfs.hpp"
#include "fs/tmpfs.hpp"
#include "fs/wait.hpp"
#include "linux/exec.hpp"
#include "linux/ipc_view.hpp"
#include "linux/job_control.hpp"
#include "linux/process_view.hpp"
#include "linux/table.hpp"
#include "linux/vdso.hpp"
#include "linux/writable_code.hpp"
#include "random/pool.hpp"
#include "task/thread.hpp"

namespace pv::linux {
namespace {

constexpr std::uint32_t not_started = 127;
/// The shortest header in a newc archive, in bytes: it has no more entries than that allows.
constexpr std::uint64_t newc_entry_min = 110;
/// Signals that may wait for one process (Linux counts those of a user).
constexpr std::uint64_t signals_max = 8192;

// A file system without a disk at `path`, which is made where it is missing.
Outcome<> mount_at(const fs::Location& root, std::string_view path, Ref<fs::Node> what,
                   std::string_view kind) {
    const fs::Caller kernel{fs::kernel_credentials, root, root};
    const Outcome<> made = fs::make_directory(kernel, path, 0555);
    if (!made && made.error() != Errno::eexist) {
        return made;
    }
    const fs::Location at = PV_TRY(fs::resolve(kernel, path, {.want_directory = true}));
    PV_TRY(fs::mount(at, std::move(what), kind, kind,
                     {.no_set_id = true, .no_devices = true, .no_execute = true}));
    return {};
}

// /dev, with the console as a terminal.
Outcome<> make_devices(const fs::Location& root) {
    const Ref<fs::Terminal> terminal = PV_TRY(as_outcome(boot::start_terminal()));
    PV_TRY(fs::start_devices(terminal));
    const fs::Caller kernel{fs::kernel_credentials, root, root};
    const Outcome<> made = fs::make_directory(kernel, "/dev", 0755);
    if (!made && made.error() != Errno::eexist) {
        return made;
    }
    const fs::Location dev = PV_TRY(fs::resolve(kernel, "/dev", {.want_directory = true}));
    PV_TRY(fs::populate_dev(dev));
    const fs::Location pts = PV_TRY(fs::resolve(kernel, "/dev/pts", {.want_directory = true}));
    PV_TRY(fs::mount_devpts(pts));
    auto procfs = PV_TRY(fs::create_procfs());
    PV_TRY(mount_at(root, "/proc", std::move(procfs), "proc"));
    auto sysfs = PV_TRY(fs::create_sysfs());
    return mount_at(root, "/sys", std::move(sysfs), "sysfs");
}

Outcome<Ref<fs::Context>> make_root() {
    const std::span<const std::byte> archive = boot::initramfs();
    // As much as a tmpfs may hold beside what the image brings: an image of any size that fits starts.
    fs::TmpfsLimits limits = fs::usual_limits();
    limits.pages += archive.size() / page_size;
    limits.nodes += archive.size() / newc_entry_min;
    limits.root_mode = 0755;
    auto root = PV_TRY(fs::create_tmpfs(limits));
    auto mount = PV_TRY(fs::Mount::create(root, "tmpfs", "rootfs", {}));
    const fs::Location location{mount, root};
    fs::UnpackReport report;
    const Outcome<> unpacked = fs::unpack_newc(archive, location, report);
    if (!unpacked) {
        log::error("initramfs: stopped at byte {} of {} ({}): {}", report.offset, archive.size(),
                   report.name.text(), report.reason == nullptr ? "it cannot be made" : report.reason);
        return fail(unpacked.error());
    }
    log::info("initramfs: {} files, {} bytes", report.files, report.bytes);
    boot::release_initramfs();
    PV_TRY(make_devices(location));
    return fs::Context::create(location, location, 022);
}

// Words of the command line after `--`, separated by blanks.
Outcome<> add_arguments(Strings& arguments) {
    std::string_view text = boot::command_line().text();
    const std::size_t mark = text.find(" -- ");
    text = mark == std::string_view::npos ? "" : text.substr(mark + 4);
    while (!text.empty()) {
        const std::size_t end = text.find(' ');
        if (end != 0) {
            PV_TRY(arguments.add(text.substr(0, end)));
        }
        text = end == std::string_view::npos ? "" : text.substr(end + 1);
    }
    return {};
}

Outcome<> execute_first(arch::TrapFrame& frame) {
    task::UserThread& self = task::UserThread::current();
    // Linux's defaults where they are not unlimited.
    self.process().limits[RLIMIT_NOFILE] = {1024, fs::DescriptorTable::count_max};
    self.process().limits[RLIMIT_STACK] = {memory::AddressSpace::stack_max, ~0ULL};
    self.process().limits[RLIMIT_CORE] = {0, ~0ULL};
    self.process().limits[RLIMIT_NICE] = {0, 0};
    self.process().limits[RLIMIT_RTPRIO] = {0, 0};
    self.process().limits[RLIMIT_SIGPENDING] = {signals_max, signals_max};
    Program program;
    program.path = boot::option("init").value_or("/init");
    const Resolver resolver(self);
    const auto console = PV_TRY(fs::open(resolver.caller(), "/dev/console", fs::open_flag::read_write, 0));
    for (unsigned i = 0; i < 3; ++i) {
        PV_TRY(self.process().descriptors->add(console, false, 3));
    }
    program.file = PV_TRY(fs::open(resolver.caller(), program.path, fs::open_flag::read_only, 0));
    PV_TRY(program.arguments.add(program.path));
    PV_TRY(add_arguments(program.arguments));
    for (const std::string_view text : {"HOME=/root", "TERM=linux", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}) {
        PV_TRY(program.environment.add(text));
    }
    return execute(self, program, frame);
}

void begin_first(void*) {
    arch::TrapFrame frame{};
    const Outcome<> executed = execute_first(frame);
    if (!executed) {
        log::error("init: {} cannot be executed: error {}", boot::option("init").value_or("/init"),
                   number(executed.error()));
        task::exit_process(task::UserThread::current(), not_started << 8);
    }
    arch::enter_user_mode(frame);
}

// A device that gives random bytes may still be on its way up.
bool is_seeded() {
    using namespace literals;
    random::add_from_processor();
    const Deadline deadline = Deadline::after(3_s);
    while (random::credit() < random::Pool::seed_bits && !deadline.expired()) {
        task::sleep(10_ms);
    }
    return random::credit() >= random::Pool::seed_bits;
}

Outcome<> start() {
    auto context = PV_TRY(make_root());
    auto descriptors = PV_TRY(fs::DescriptorTable::create());
    PV_TRY(task::create_first(std::move(descriptors), std::move(context), begin_first, nullptr));
    return {};
}

}  // namespace

std::uint32_t run_first_program() {
    start_calls();
    start_writable_code();
    if (!is_seeded()) {
        log::error(
            "random: nothing gives random bytes, so no program is started: offer RDRAND or a virtio-rng "
            "device");
        return not_started;
    }
    if (const Result<> made = start_vdso(); !made) {
        log::error("init: no memory for the vdso: {}", made.error());
        return not_started;
    }
    start_job_control();
    start_process_view();
    start_ipc_view();
    fs::set_interruption_check(task::is_interrupted);
    fs::set_killed_check(task::is_killed);
    fs::set_capability_check([](Capability capability) {
        const task::UserThread* self = task::UserThread::current_or_null();
        return self == nullptr || self->identity.has(capability);
    });
    fs::set_size_limit({task::file_size_limit, task::tell_file_too_large});
    if (const Outcome<> started = start(); !started) {
        log::error("init: no first program: error {}", number(started.error()));
        return not_started;
    }
    const int status = task::wait_for_first();
    tell_who_was_refused();
    const int signal = status & 0x7f;
    return signal == 0 ? static_cast<std::uint32_t>(status >> 8 & 0xff)
                       : 128U + static_cast<std::uint32_t>(signal);
}

}  // namespace pv::linux
