// The kernel's work: find the devices, do what the command line asks, let go of them, say how it went.
// SPDX-License-Identifier: MIT
#include "boot/workload.hpp"
#include "base/atomic.hpp"

#include <memory>
#include <new>
#include <optional>
#include <string_view>

#include "base/log.hpp"
#include "block/published.hpp"
#include "boot/options.hpp"
#include "device/pci/machine.hpp"
#include "device/pci/slots.hpp"
#include "exercise/disk.hpp"
#include "exercise/disks.hpp"
#include "exercise/load.hpp"
#include "exercise/net_load.hpp"
#include "exercise/network.hpp"
#include "exercise/own_files.hpp"
#include "exercise/peripherals.hpp"
#include "exercise/plan.hpp"
#include "exercise/prompt.hpp"
#include "exercise/provoke.hpp"
#include "misbehave/device_fault.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::exercise {
namespace {

/// Statuses, worst last where several hold (docs/exercise.md). Part of the contract with whoever boots this.
enum class Status : std::uint32_t {
    good = 0,
    mismatch = 1,   ///< data read was not what had been written
    io_error = 2,   ///< a device reported a failure
    timed_out = 3,  ///< a request's deadline passed
    set_up = 4,     ///< wrong options, no disk, or a device that could not be brought up
    hung = 5,       ///< a thread did not come to its end
};

Status status_of(const Figures& figures) {
    if (figures.mismatches != 0) {
        return Status::mismatch;
    }
    if (figures.timeouts != 0) {
        return Status::timed_out;
    }
    return figures.errors != 0 ? Status::io_error : Status::good;
}

/// A mismatch outweighs whatever else went wrong, except a hang.
Status worse(Status a, Status b) {
    const auto weight = [](Status s) {
        return s == Status::hung ? 100U : (s == Status::mismatch ? 99U : static_cast<std::uint32_t>(s));
    };
    return weight(a) >= weight(b) ? a : b;
}

Status status_of(const NetFigures& figures) {
    if (!figures.set_up) {
        return Status::set_up;
    }
    Figures same;
    same.mismatches = figures.mismatches;
    same.errors = figures.errors;
    same.timeouts = figures.timeouts;
    return status_of(same);
}

Status exercise(Disks& disks, const Plan& plan) {
    Status status = Status::good;
    Vector<std::unique_ptr<DiskExercise>> running;
    std::uint64_t number = 0;
    disks.for_each([&](block::Device& disk) {
        auto started = DiskExercise::start(disk, plan, number++);
        if (!started || !running.push_back(std::move(*started))) {
            status = worse(status, Status::set_up);
        }
    });
    // A thread ends by itself: after the limit, at most one request later.
    const Deadline deadline = Deadline::after(plan.limit + plan.deadline * 2 + Duration::seconds(2));
    for (std::unique_ptr<DiskExercise>& one : running) {
        if (const auto figures = one->finish(deadline)) {
            status = worse(status, status_of(*figures));
        } else {
            status = Status::hung;
            (void)one.release();  // its threads may still use it
        }
    }
    return status;
}

std::string_view words(Status status) {
    switch (status) {
        case Status::good:
            return "all data was right";
        case Status::mismatch:
            return "data was WRONG";
        case Status::io_error:
            return "data was right, but there were I/O errors";
        case Status::timed_out:
            return "data was right, but there were timeouts";
        case Status::set_up:
            return "it could not be done as asked";
        case Status::hung:
            return "a thread hangs";
    }
    return "";
}

/// Everything of this machine that the exercise works with.
struct Machine {
    Disks disks;
    Network network;
    Peripherals peripherals;
    pci::Slots slots;
};

/// Programs that run meanwhile, and how far this thread and they have come.
struct Beside {
    Atomic<bool> is_up{false};  ///< the devices are there, or will not be
    Atomic<bool> may_end{false};
    Atomic<bool> has_ended{false};
    Atomic<std::uint32_t> status{0};
    task::WaitQueue changed;

    void tell(Atomic<bool>& what) {
        what.store(true, std::memory_order_seq_cst);
        changed.wake_all();
    }
};

/// What a program types is its own: only without one the prompt reads the console.
std::unique_ptr<Prompt> start_prompt(Machine& machine) {
    auto prompt = Prompt::create(
        [](void* all) {
            LoggedStatus lines;
            static_cast<Machine*>(all)->disks.print_status(lines);
            static_cast<Machine*>(all)->network.print_status();
            static_cast<Machine*>(all)->peripherals.print_status();
        },
        &machine);
    // Without it everything else works: who types gets no answer.
    return prompt ? std::move(*prompt) : nullptr;
}

// Programs find them in /dev from now on.
void publish(Disks& disks) {
    if (!block::start_publishing()) {
        log::error("devices: programs see no disks");
        return;
    }
    disks.for_each([](block::Device& disk) {
        if (!block::publish(disk)) {
            log::warning("{}: programs do not see it: there are {} already", disk.name(),
                         block::Published::most);
        }
    });
}

Status run(Beside* beside) {
    std::unique_ptr<Machine> owner{new (std::nothrow) Machine};
    if (owner == nullptr) {
        return Status::set_up;
    }
    Disks& disks = owner->disks;
    Network& network = owner->network;
    Peripherals& peripherals = owner->peripherals;
    Plan plan;
    NetPlan net_plan;
    Status status = Status::good;
    const auto asked = boot::option("exercise");
    if (asked) {
        const auto parsed = parse_plan(*asked);
        if (!parsed) {
            return Status::set_up;
        }
        plan = *parsed;
    }
    const auto asked_net = boot::option("net");
    if (asked_net) {
        const auto parsed = parse_net_plan(*asked_net);
        if (!parsed) {
            return Status::set_up;
        }
        net_plan = *parsed;
    }
    bool slots_taken = true;
    disks.find([&](const pci::Found& found) {
        slots_taken = owner->slots.take(found, pci::function_at(found.address)) && slots_taken;
        network.take(found);
        peripherals.take(found);
    });
    peripherals.start();
    if (disks.failed() != 0 || network.failed() != 0 || peripherals.failed() != 0 ||
        !network.start(net_plan, beside != nullptr) || !slots_taken || !disks.occupy(owner->slots) ||
        !network.occupy(owner->slots) || !owner->slots.start()) {
        status = Status::set_up;
    }
    if ((asked && disks.count() + network.count() == 0) || (asked_net && network.count() == 0)) {
        log::error("exercise: there is no {}", asked_net ? "network device" : "disk");
        status = Status::set_up;
    }
    std::unique_ptr<Prompt> prompt;
    if (beside != nullptr) {
        show_commands_of(&disks);
        publish(disks);
        beside->tell(beside->is_up);
    } else {
        prompt = start_prompt(*owner);
    }
    if (const auto name = boot::option("device-fault"); name && !choose_device_faults(*name)) {
        status = worse(status, Status::set_up);
    }
    if (asked) {
        status = worse(status, exercise(disks, plan));
    }
    if (status != Status::hung && (asked || asked_net)) {
        status = worse(status, status_of(network.run(net_plan)));
    }
    if (status == Status::hung) {
        log::error("exercise: status {}: {}", static_cast<std::uint32_t>(status), words(status));
        (void)owner.release();  // that thread may still use a disk: nothing is taken from it
        return status;
    }
    if (const auto asked_load = boot::option("load"); asked_load && !load(disks, *asked_load)) {
        status = worse(status, Status::io_error);
    }
    if (const auto asked_traffic = boot::option("traffic");
        asked_traffic && !net_load(network, *asked_traffic)) {
        status = worse(status, Status::io_error);
    }
    if (const auto misbehaviour = boot::option("misbehave"); misbehaviour && !provoke(disks, *misbehaviour)) {
        status = worse(status, Status::set_up);
    }
    if (beside != nullptr) {
        static_cast<void>(
            beside->changed.wait(Deadline::never("devices are there as long as programs are"),
                                 [&] { return beside->may_end.load(std::memory_order_seq_cst); }));
    }
    prompt = nullptr;
    show_commands_of(nullptr);
    if (!block::withdraw_all(Deadline::after(plan.shutdown))) {
        log::error("devices: a program's request does not come to its end");
        (void)owner.release();
        return Status::hung;
    }
    owner->slots.stop();
    network.let_go(plan.shutdown);
    peripherals.let_go(plan.shutdown);
    disks.let_go(plan.shutdown);
    LoggedStatus lines("");
    print_mappings(lines);
    if (asked || asked_net) {
        log::info("exercise: status {}: {}", static_cast<std::uint32_t>(status), words(status));
    }
    return status;
}

constinit Beside beside_programs;

void run_beside(void*) {
    beside_programs.status.store(static_cast<std::uint32_t>(run(&beside_programs)),
                                 std::memory_order_seq_cst);
    beside_programs.is_up.store(true, std::memory_order_seq_cst);  // where it never came so far
    beside_programs.tell(beside_programs.has_ended);
}

}  // namespace
}  // namespace pv::exercise

namespace pv::boot {

std::uint32_t workload() {
    return static_cast<std::uint32_t>(exercise::run(nullptr));
}

Result<> start_workload() {
    using namespace literals;
    PV_TRY(exercise::add_own_files());
    // Its end is told through Beside: the handle is not kept.
    static_cast<void>(PV_TRY(task::Thread::create("devices", exercise::run_beside, nullptr)));
    exercise::Beside& beside = exercise::beside_programs;
    if (!beside.changed.wait(Deadline::after(2_s),
                             [&] { return beside.is_up.load(std::memory_order_seq_cst); })) {
        log::warning("devices: not all are up yet; programs start without waiting longer");
    }
    return {};
}

std::uint32_t finish_workload() {
    exercise::Beside& beside = exercise::beside_programs;
    beside.tell(beside.may_end);
    static_cast<void>(beside.changed.wait(Deadline::never("the work bounds itself by its own limits"),
                                          [&] { return beside.has_ended.load(std::memory_order_seq_cst); }));
    return beside.status.load(std::memory_order_seq_cst);
}

}  // namespace pv::boot
