// Starts a domain and ends it.
// SPDX-License-Identifier: MIT
#include "domain/machine.hpp"

#include <fmt/format.h>
#include <libvirt/libvirt.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "domain/diagnosis.hpp"
#include "domain/socket.hpp"

namespace pv::domain {
namespace {

using namespace std::chrono_literals;

// Shared with libvirt's callback, which may come after the machine is gone.
struct EndSignal {
    Descriptor event{::eventfd(0, EFD_CLOEXEC)};
    std::atomic<bool> seen{false};

    void raise() {
        if (!seen.exchange(true)) {
            const std::uint64_t one = 1;
            [[maybe_unused]] const ssize_t put = ::write(event.get(), &one, sizeof one);
        }
    }
};

// libvirt's lifecycle callback has C linkage by type only; `opaque` is a heap-allocated shared_ptr.
int on_lifecycle(virConnectPtr /*connection*/, virDomainPtr /*domain*/, int event, int /*detail*/,
                 void* opaque) {
    if (event == VIR_DOMAIN_EVENT_STOPPED || event == VIR_DOMAIN_EVENT_CRASHED) {
        (*static_cast<std::shared_ptr<EndSignal>*>(opaque))->raise();
    }
    return 0;
}

void forget_signal(void* opaque) {
    delete static_cast<std::shared_ptr<EndSignal>*>(opaque);
}

}  // namespace

struct Machine::State {
    virConnectPtr connection = nullptr;
    virDomainPtr domain = nullptr;
    int callback = -1;
    std::shared_ptr<EndSignal> signal = std::make_shared<EndSignal>();
    Descriptor process;  ///< pidfd of QEMU, invalid where it could not be found
    std::unique_ptr<Monitor> monitor;
    MachineOptions options;
    EndReport report;
    bool finished = false;
    bool ended_by_us = false;

    ~State() {
        monitor.reset();
        if (callback >= 0) {
            ::virConnectDomainEventDeregisterAny(connection, callback);
        }
        if (domain != nullptr) {
            ::virDomainFree(domain);
        }
    }

    [[nodiscard]] bool gone(std::chrono::milliseconds limit) const {
        return readable(process ? process.get() : signal->event.get(), limit);
    }

    void find_process() {
        for (const pid_t candidate : processes_naming((options.scratch / "qmp").string())) {
            process.reset(static_cast<int>(::syscall(SYS_pidfd_open, candidate, 0)));
            if (process) {
                return;
            }
        }
    }

    // One rung after the other until QEMU is gone.
    Rung climb(const Ladder& ladder) {
        if (gone(ladder.graceful)) {
            return Rung::graceful;
        }
        if (monitor != nullptr) {
            [[maybe_unused]] const auto yanked = monitor->yank_disks(ladder.yank / 2);
            if (gone(ladder.yank)) {
                return Rung::yank;
            }
        }
        if (options.kill_disk_servers) {
            options.kill_disk_servers();
            if (gone(ladder.disk_servers)) {
                return Rung::disk_servers;
            }
        }
        if (process) {
            ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
        } else {
            ::virDomainDestroy(domain);
        }
        [[maybe_unused]] const bool dead = gone(ladder.hypervisor);
        return Rung::hypervisor;
    }
};

std::string_view name(Ending ending) {
    switch (ending) {
        case Ending::running:
            return "running";
        case Ending::powered_off:
            return "powered off";
        case Ending::reset:
            return "reset";
        case Ending::panicked:
            return "panicked";
        case Ending::ended_by_us:
            return "ended by paravane";
        case Ending::crashed:
            return "lost its QEMU";
    }
    return "?";
}

std::string_view name(Rung rung) {
    switch (rung) {
        case Rung::none:
            return "ended by itself";
        case Rung::graceful:
            return "graceful destroy";
        case Rung::yank:
            return "out-of-band yank of its disks";
        case Rung::disk_servers:
            return "SIGKILL to its disks' servers";
        case Rung::hypervisor:
            return "SIGKILL to QEMU";
    }
    return "?";
}

Machine::Machine(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Machine>> Machine::start(const Connection& connection, const std::string& xml,
                                                const MachineOptions& options) {
    const auto deadline = std::chrono::steady_clock::now() + options.start_limit;
    auto state = std::make_unique<State>();
    state->connection = connection.get();
    state->options = options;
    const Descriptor listener = PV_TRY(listen_at(options.scratch / "qmp"));
    auto* opaque = new std::shared_ptr<EndSignal>(state->signal);
    // What libvirt's own macro does, in two steps: each event has its own kind of function, kept as a general
    // one.
    auto* const callback =
        reinterpret_cast<virConnectDomainEventGenericCallback>(reinterpret_cast<void (*)()>(on_lifecycle));
    state->callback = ::virConnectDomainEventRegisterAny(
        state->connection, nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE, callback, opaque, forget_signal);
    if (state->callback < 0) {
        forget_signal(opaque);
        return fail(ExitStatus::unavailable,
                    fmt::format("libvirt reports no domain events: {}", last_libvirt_error()),
                    "choose a connection with the QEMU driver");
    }
    // A daemon ends the domain when this connection closes; the embedded driver refuses the flag, there the
    // guardian does it.
    // Paused until the monitor listens: a guest may be gone a moment after its first instruction.
    unsigned flags = VIR_DOMAIN_START_PAUSED;
    if (!connection.embedded()) {
        flags |= VIR_DOMAIN_START_AUTODESTROY;
    }
    state->domain = ::virDomainCreateXML(state->connection, xml.c_str(), flags);
    if (state->domain == nullptr) {
        return std::unexpected(diagnose_start(last_libvirt_error()));
    }
    State& inner = *state;
    inner.find_process();
    std::unique_ptr<Machine> machine(new Machine(std::move(state)));
    // From here on the machine's destructor ends the guest.
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    Descriptor accepted = PV_TRY(accept_from(listener, left));
    inner.monitor = PV_TRY(Monitor::attach(std::move(accepted), std::max(left, 1000ms), {}));
    if (::virDomainResume(inner.domain) != 0) {
        return std::unexpected(diagnose_start(last_libvirt_error()));
    }
    connection.keep_cache();
    return machine;
}

Machine::~Machine() {
    end();
}

int Machine::ended_fd() const {
    return state_->signal->event.get();
}

bool Machine::ended() const {
    return state_->signal->seen;
}

Result<> Machine::set_link(const std::string& card, bool up) {
    return state_->monitor->set_link(card, up, 5s);
}

Result<> Machine::unplug(const std::string& device) {
    return state_->monitor->unplug(device, 5s);
}

Result<> Machine::pull(const std::string& device) {
    // It waits for what the host's disk still does.
    return state_->monitor->pull(device, 60s);
}

Result<> Machine::press_power_button() {
    if (::virDomainShutdownFlags(state_->domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) != 0) {
        return fail(ExitStatus::incomplete,
                    fmt::format("the guest's power button: {}", last_libvirt_error()));
    }
    return {};
}

EndReport Machine::end(const Ladder& ladder) {
    State& state = *state_;
    if (state.finished) {
        return state.report;
    }
    state.finished = true;
    if (!state.signal->seen) {
        state.ended_by_us = true;
        // The destroy call waits up to ten seconds for QEMU by itself: the ladder must not wait for it.
        std::thread destroy([&state] { ::virDomainDestroyFlags(state.domain, VIR_DOMAIN_DESTROY_GRACEFUL); });
        state.report.rung = state.climb(ladder);
        destroy.join();
        if (!readable(state.signal->event.get(), 2s)) {
            ::virDomainDestroy(state.domain);
        }
    }
    [[maybe_unused]] const bool gone = state.gone(ladder.hypervisor);
    if (state.monitor != nullptr) {
        state.monitor->wait_closed(1s);
    }
    return state.report;
}

Ending Machine::ending() const {
    if (!state_->signal->seen && !state_->finished) {
        return Ending::running;
    }
    const std::string reason = facts().shutdown_reason;
    if (state_->ended_by_us) {
        return Ending::ended_by_us;
    }
    if (reason == "guest-shutdown") {
        return Ending::powered_off;
    }
    if (reason == "guest-reset") {
        return Ending::reset;
    }
    return reason == "guest-panic" ? Ending::panicked : Ending::crashed;
}

MonitorFacts Machine::facts() const {
    return state_->monitor == nullptr ? MonitorFacts{} : state_->monitor->facts();
}

}  // namespace pv::domain
