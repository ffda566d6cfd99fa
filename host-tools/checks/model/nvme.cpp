// NVMe controllers: what register writes and QEMU's events say of queues and commands.
// SPDX-License-Identifier: MIT
#include "checks/model/nvme.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checks/model/registers.hpp"

namespace pv::checks {

using trace::Kind;

namespace {

constexpr std::uint64_t doorbell_stride = 4;  ///< CAP.DSTRD is 0 in QEMU

// Base specification, figure 138, and the NVM command set's opcodes.
constexpr std::uint32_t admin_abort = 0x08;
constexpr std::uint32_t admin_event_request = 0x0c;
constexpr std::uint32_t io_flush = 0x00;
constexpr std::uint32_t io_write = 0x01;
constexpr std::uint32_t io_read = 0x02;
constexpr std::uint32_t io_write_zeroes = 0x08;
constexpr std::uint32_t io_dataset_management = 0x09;

std::uint32_t operation_of(std::uint32_t opcode, bool admin) {
    if (admin) {
        return PV_OPERATION_ADMIN;
    }
    switch (opcode) {
        case io_flush:
            return PV_OPERATION_FLUSH;
        case io_write:
            return PV_OPERATION_WRITE;
        case io_read:
            return PV_OPERATION_READ;
        case io_write_zeroes:
            return PV_OPERATION_WRITE_ZEROES;
        case io_dataset_management:
            return PV_OPERATION_DISCARD;
        default:
            return PV_OPERATION_OTHER;
    }
}

}  // namespace

const NvmeController* Nvme::find(Bdf bdf) const {
    const auto found = controllers_.find(bdf);
    return found == controllers_.end() ? nullptr : &found->second;
}

void Nvme::see(const trace::Event& event) {
    if (some_resetting_) {
        settle_resets(event);
    }
    switch (event.kind) {
        case Kind::mmio_write:
            register_write(event);
            break;
        case Kind::nvme_admin_command:
            command(event, true);
            break;
        case Kind::nvme_io_command:
            command(event, false);
            break;
        case Kind::nvme_map_address:
            map_address(event);
            break;
        case Kind::nvme_read:
            ledger_.describe(current_, PV_OPERATION_READ, trace::get<Kind::nvme_read, "bytes">(event),
                             trace::get<Kind::nvme_read, "lba">(event));
            break;
        case Kind::nvme_write:
            if (current_opcode_ == io_write) {
                ledger_.describe(current_, PV_OPERATION_WRITE, trace::get<Kind::nvme_write, "bytes">(event),
                                 trace::get<Kind::nvme_write, "lba">(event));
            }
            break;
        case Kind::nvme_completion:
            completion(event);
            break;
        case Kind::nvme_create_sq:
            pending_ = {
                Pending::What::create_sq, current_,
                static_cast<std::uint32_t>(trace::get<Kind::nvme_create_sq, "queue">(event)),
                static_cast<std::uint32_t>(trace::get<Kind::nvme_create_sq, "completion_queue">(event)),
                static_cast<std::uint32_t>(trace::get<Kind::nvme_create_sq, "last_entry">(event)) + 1};
            break;
        case Kind::nvme_create_cq:
            pending_ = {
                Pending::What::create_cq, current_,
                static_cast<std::uint32_t>(trace::get<Kind::nvme_create_cq, "queue">(event)), 0,
                static_cast<std::uint32_t>(trace::get<Kind::nvme_create_cq, "last_entry">(event)) + 1};
            break;
        case Kind::nvme_delete_sq:
            pending_ = {Pending::What::delete_sq, current_, static_cast<std::uint32_t>(event.args[0]), 0, 0};
            break;
        case Kind::nvme_delete_cq:
            pending_ = {Pending::What::delete_cq, current_, static_cast<std::uint32_t>(event.args[0]), 0, 0};
            break;
        case Kind::nvme_shadow_config:
            pending_ = {Pending::What::shadow, current_, 0, 0, 0};
            break;
        case Kind::nvme_shadow_sq:
        case Kind::nvme_shadow_cq:
            shadow_doorbell(event);
            break;
        case Kind::nvme_misuse:
            complaint(event);
            break;
        case Kind::marker_command_complete:
            acknowledged(event);
            break;
        default:
            break;
    }
}

void Nvme::register_write(const trace::Event& event) {
    const std::optional<RegisterUse> use = devices_.register_use(event);
    if (!use || use->region != Region::nvme) {
        return;
    }
    const Bar* bar = use->bar;
    NvmeController& controller = controllers_[bar->bdf];
    controller.bdf = bar->bdf;
    controller.registers = bar->address;
    const std::uint64_t offset = use->offset;
    const std::uint64_t value = use->value;
    if (offset == nvme_register::cc) {
        configure(controller, static_cast<std::uint32_t>(value), place_of(event));
    } else if (offset == nvme_register::aqa) {
        controller.admin_sizes = static_cast<std::uint32_t>(value);
    } else if (offset >= nvme_register::doorbells && offset % doorbell_stride == 0) {
        const std::uint64_t index = (offset - nvme_register::doorbells) / doorbell_stride;
        Doorbell bell;
        bell.at = place_of(event);
        bell.bdf = bar->bdf;
        bell.queue = static_cast<std::uint32_t>(index / 2);
        bell.completion = index % 2 != 0;
        bell.address = bar->address + offset;
        bell.value = value & 0xffff;
        last_bell_ = {};
        if (bell.completion) {
            completion_doorbell(controller, bell.queue, bell.value, bell);
        } else {
            submission_doorbell(controller, bell.queue, bell.value, bell);
        }
    }
}

void Nvme::configure(NvmeController& controller, std::uint32_t value, const Place& at) {
    const bool enable = (value & 1) != 0;
    const bool shut_down = ((value >> 14) & 3) != 0;
    if (enable && !controller.enabled) {
        if (!controller.ever_enabled) {
            controller.ever_enabled = true;
            ++ever_enabled_;
        }
        controller.enabled = true;
        controller.troubled = false;
        controller.shadow = false;
        controller.page_size = 4096U << ((value >> 7) & 0xf);
        controller.submission = {{0, {(controller.admin_sizes & 0xfff) + 1, 0, 0, 0, 0}}};
        controller.completion = {{0, {((controller.admin_sizes >> 16) & 0xfff) + 1, 0, 0}}};
        controller.resetting = {};
    } else if (!enable && controller.enabled) {
        // QEMU drains before the write returns: the commands end while this vCPU is inside it.
        controller.enabled = false;
        controller.resetting = at;
        controller.cut_off = ledger_.outstanding(controller.bdf);
        some_resetting_ = true;
    }
    controller.shut_down = shut_down;
}

void Nvme::settle_resets(const trace::Event& event) {
    bool left = false;
    for (auto& [bdf, controller] : controllers_) {
        if (!controller.resetting || event.sequence == controller.resetting.sequence) {
            left = left || controller.resetting;
            continue;
        }
        bool over = event.cpu >= 0 && event.cpu == controller.resetting.cpu;
        if (event.kind == Kind::mmio_read || event.kind == Kind::mmio_write) {
            const Bar* bar = devices_.find(event.args[0]);
            over = over || (bar != nullptr && bar->bdf == bdf);
        }
        if (!over) {
            left = true;
            continue;
        }
        const std::size_t cut_off = controller.cut_off;
        const DeviceState* device = devices_.find_device(bdf);
        if ((cut_off > 0 || controller.troubled) && (device == nullptr || !device->announced)) {
            signals_.timeline(controller.resetting, bdf, "reset",
                              fmt::format("controller disabled, {} command{} outstanding", cut_off,
                                          cut_off == 1 ? "" : "s"));
        }
        ledger_.reset(bdf, place_of(event));
        controller.submission.clear();
        controller.completion.clear();
        controller.resetting = {};
        if (current_bdf_ == bdf) {
            current_ = 0;
            current_bdf_ = no_device;
        }
    }
    some_resetting_ = left;
}

void Nvme::submission_doorbell(NvmeController& controller, std::uint32_t queue, std::uint64_t value,
                               Doorbell bell) {
    const auto found = controller.submission.find(queue);
    if (found == controller.submission.end()) {
        bell.problem = DoorbellProblem::no_queue;
        judge_doorbell(bell);
        return;
    }
    NvmeSubmissionQueue& state = found->second;
    bell.size = state.size;
    if (value >= state.size) {
        bell.problem = DoorbellProblem::out_of_range;  // QEMU ignores it
        judge_doorbell(bell);
        return;
    }
    const auto tail = static_cast<std::uint32_t>(value);
    if (single() && !(controller.shadow && queue != 0)) {
        bell.moved = (tail + state.size - state.tail) % state.size;
        bell.room = state.size - 1 - state.pending();
        if (bell.moved > bell.room) {
            bell.problem = DoorbellProblem::past_other_end;
        }
    }
    state.tail = tail;
    state.rung = bell.at.sequence;
    signals_.doorbell(bell);
}

void Nvme::completion_doorbell(NvmeController& controller, std::uint32_t queue, std::uint64_t value,
                               Doorbell bell) {
    const auto found = controller.completion.find(queue);
    if (found == controller.completion.end()) {
        bell.problem = DoorbellProblem::no_queue;
        judge_doorbell(bell);
        return;
    }
    NvmeCompletionQueue& state = found->second;
    bell.size = state.size;
    if (value >= state.size) {
        bell.problem = DoorbellProblem::out_of_range;
        judge_doorbell(bell);
        return;
    }
    const auto head = static_cast<std::uint32_t>(value);
    const std::uint32_t moved = (head + state.size - state.head) % state.size;
    if (single() && !(controller.shadow && queue != 0)) {
        bell.moved = moved;
        bell.room = static_cast<std::uint32_t>(std::min<std::uint64_t>(state.unread, state.size));
        if (moved > bell.room) {
            bell.problem = DoorbellProblem::past_other_end;
        }
    }
    state.head = head;
    state.unread -= std::min<std::uint64_t>(state.unread, moved);
    signals_.doorbell(bell);
}

void Nvme::judge_doorbell(const Doorbell& bell) {
    if (single()) {
        signals_.doorbell(bell);
        return;
    }
    // Several controllers: which of them created the queue may have been guessed. QEMU knows, and says so
    // next.
    last_bell_ = bell;
    Doorbell innocent = bell;
    innocent.problem = DoorbellProblem::none;
    signals_.doorbell(innocent);
    if (bell.problem == DoorbellProblem::no_queue && !bell.completion) {
        for (auto& [bdf, other] : controllers_) {
            const auto like = other.submission.find(bell.queue);
            if (bdf != bell.bdf && like != other.submission.end()) {
                NvmeSubmissionQueue adopted = like->second;
                adopted.tail = static_cast<std::uint32_t>(bell.value);
                adopted.head = 0;
                adopted.rung = bell.at.sequence;
                controllers_[bell.bdf].submission.emplace(bell.queue, adopted);
                return;
            }
        }
    }
}

void Nvme::complaint(const trace::Event& event) {
    constexpr std::int64_t near = 64;  // lines of other vCPUs may come between
    const std::string name = devices_.text(trace::get<Kind::nvme_misuse, "name_text">(event));
    if (!last_bell_.at || event.sequence - last_bell_.at.sequence > near ||
        name.find("db_wr_invalid") == std::string::npos) {
        return;
    }
    signals_.doorbell(std::exchange(last_bell_, {}));
}

void Nvme::shadow_doorbell(const trace::Event& event) {
    // Read by the controller from memory: of any controller that uses shadow doorbells. Judged when all
    // agree.
    Doorbell bell;
    bell.at = place_of(event);
    bell.queue = static_cast<std::uint32_t>(event.args[0]);
    bell.value = event.args[1];
    bell.completion = event.kind == Kind::nvme_shadow_cq;
    int candidates = 0;
    for (auto& [bdf, controller] : controllers_) {
        if (!controller.shadow) {
            continue;
        }
        std::uint32_t size = 0;
        if (bell.completion) {
            const auto found = controller.completion.find(bell.queue);
            size = found == controller.completion.end() ? 0 : found->second.size;
        } else {
            const auto found = controller.submission.find(bell.queue);
            if (found != controller.submission.end()) {
                size = found->second.size;
            }
        }
        if (size != 0) {
            ++candidates;
            bell.bdf = candidates == 1 ? bdf : no_device;
            bell.size = std::max(bell.size, size);
        }
    }
    if (candidates == 0) {
        return;
    }
    bell.problem = bell.value >= bell.size ? DoorbellProblem::out_of_range : DoorbellProblem::none;
    if (!bell.completion && candidates == 1 && bell.problem == DoorbellProblem::none) {
        controllers_[bell.bdf].submission[bell.queue].tail = static_cast<std::uint32_t>(bell.value);
    }
    signals_.doorbell(bell);
}

NvmeController* Nvme::choose(std::uint32_t queue, std::uint16_t id, bool& ambiguous) {
    std::vector<NvmeController*> candidates;
    for (auto& [bdf, controller] : controllers_) {
        const auto found = controller.submission.find(queue);
        if (found != controller.submission.end()) {
            candidates.push_back(&controller);
        }
    }
    ambiguous = false;
    if (candidates.empty()) {
        return controllers_.size() == 1 ? &controllers_.begin()->second : nullptr;
    }
    const auto narrow = [&](auto&& fits) {
        std::vector<NvmeController*> fitting;
        std::ranges::copy_if(candidates, std::back_inserter(fitting), fits);
        if (!fitting.empty()) {
            candidates = std::move(fitting);
        }
    };
    if (candidates.size() > 1) {
        narrow([&](NvmeController* c) {
            return c->submission[queue].pending() > 0 || (c->shadow && queue != 0);
        });
    }
    if (candidates.size() > 1) {
        narrow([&](NvmeController* c) {
            const auto commands = ledger_.with_id(c->bdf, queue, id);
            return std::ranges::any_of(commands, [](const Command* command) {
                return command != nullptr && command->submitted && !command->taken;
            });
        });
    }
    ambiguous = candidates.size() > 1;
    return *std::ranges::min_element(candidates, {},
                                     [&](NvmeController* c) { return c->submission[queue].rung; });
}

void Nvme::command(const trace::Event& event, bool admin) {
    const auto id = static_cast<std::uint16_t>(event.args[0]);
    const auto queue = static_cast<std::uint32_t>(event.args[1]);
    const auto opcode = static_cast<std::uint32_t>(event.args[2]);
    static_assert(trace::argument(Kind::nvme_io_command, "queue") ==
                  trace::argument(Kind::nvme_admin_command, "queue"));
    current_ = 0;
    current_bdf_ = no_device;
    current_opcode_ = opcode;
    pending_ = {};
    bool ambiguous = false;
    NvmeController* controller = choose(queue, id, ambiguous);
    if (controller == nullptr) {
        return;
    }
    ambiguous_ += ambiguous ? 1 : 0;
    NvmeSubmissionQueue& state = controller->submission[queue];
    if (state.size != 0) {
        state.head = (state.head + 1) % state.size;
    }
    current_bdf_ = controller->bdf;
    current_ =
        ledger_.take({controller->bdf, queue, id, operation_of(opcode, admin), ambiguous}, place_of(event));
    if (admin && opcode == admin_event_request) {
        ledger_.mark_event_wait(current_);
    } else if (admin && opcode == admin_abort) {
        controller->troubled = true;
        ledger_.abort(controller->bdf, current_, place_of(event));
    }
}

void Nvme::map_address(const trace::Event& event) {
    // The data's direction is in the opcode (NVMe 2.0, figure 87): bit 0 host to controller, bit 1 the
    // reverse.
    const std::uint32_t direction = current_opcode_ & 3;
    const std::uint64_t length = trace::get<Kind::nvme_map_address, "length">(event);
    const Command* command = ledger_.find(current_);
    if (command == nullptr || length == 0 || direction == 0) {
        return;
    }
    Transfer transfer;
    transfer.at = place_of(event);
    transfer.bdf = command->ambiguous ? no_device : command->bdf;
    transfer.address = trace::get<Kind::nvme_map_address, "address">(event);
    transfer.length = length;
    transfer.device_writes = direction == 2;
    transfer.doubtful = command->ambiguous;
    ledger_.begin_transfer(current_, transfer);
}

bool Nvme::claims_space(std::uint64_t space, const trace::Event& event) {
    static_cast<void>(event);
    const auto known = spaces_.find(space);
    if (known != spaces_.end()) {
        return true;
    }
    // The first access right after a command's addresses were mapped is that controller's.
    const Command* command = ledger_.find(current_);
    if (command == nullptr || command->ambiguous || (current_opcode_ & 3) == 0 || command->completed) {
        return false;
    }
    bool mapped = false;
    ledger_.in_flight(command->bdf, trace::get<Kind::dma_access, "address">(event), 1,
                      [&](const Transfer& transfer) {
                          mapped = transfer.command == current_;
                          return !mapped;
                      });
    if (mapped && spaces_.size() < 4096) {
        spaces_.emplace(space, command->bdf);
    }
    return mapped;
}

void Nvme::completion(const trace::Event& event) {
    const auto id = static_cast<std::uint16_t>(trace::get<Kind::nvme_completion, "command">(event));
    const auto queue = static_cast<std::uint32_t>(trace::get<Kind::nvme_completion, "queue">(event));
    const std::uint64_t status = trace::get<Kind::nvme_completion, "status">(event);
    const Place at = place_of(event);
    // Candidates: taken, not completed, of this id, in a queue that completes into this one. Newest last.
    std::vector<std::uint64_t> serials;
    for (const auto& [bdf, controller] : controllers_) {
        for (const auto& [number, submission] : controller.submission) {
            if (submission.completion_queue != queue) {
                continue;
            }
            for (const Command* command : ledger_.with_id(bdf, number, id)) {
                if (command != nullptr && command->taken && !command->completed && !command->reset) {
                    serials.push_back(command->serial);
                }
            }
        }
    }
    if (serials.empty()) {
        if (single() && !controllers_.empty() && controllers_.begin()->second.submission.contains(queue)) {
            signals_.stray({at, controllers_.begin()->first, queue, id});
        }
        current_ = 0;
        return;
    }
    std::uint64_t chosen = serials.front();
    if (std::ranges::find(serials, current_) != serials.end() && serials.size() > 1) {
        chosen = current_;
    }
    const Bdf bdf = ledger_.find(chosen)->bdf;
    std::vector<std::uint64_t> others;
    for (const std::uint64_t serial : serials) {
        if (ledger_.find(serial)->bdf != bdf) {
            others.push_back(serial);
        }
    }
    if (!others.empty()) {
        // Two controllers owe a command of this id: the newest is likelier (the other may be stuck).
        constexpr std::size_t most = 4096;
        chosen = *std::ranges::max_element(serials);
        others.clear();
        for (const std::uint64_t serial : serials) {
            ledger_.doubt(serial);
            if (ledger_.find(serial)->bdf != ledger_.find(chosen)->bdf) {
                others.push_back(serial);
            }
        }
        ++ambiguous_;
        if (ties_.size() >= most) {
            ties_.erase(ties_.begin());
        }
        ties_.push_back({chosen, others, at, status});
    }
    NvmeController& controller = controllers_[ledger_.find(chosen)->bdf];
    const auto completion_queue = controller.completion.find(queue);
    if (completion_queue != controller.completion.end()) {
        ++completion_queue->second.unread;
    }
    if (pending_.what != Pending::What::none && pending_.serial == chosen && status == 0) {
        const std::uint32_t number = pending_.queue;
        switch (pending_.what) {
            case Pending::What::create_sq:
                controller.submission[number] = {pending_.size, pending_.completion_queue, 0, 0, 0};
                break;
            case Pending::What::create_cq:
                controller.completion[number] = {pending_.size, 0, 0};
                break;
            case Pending::What::delete_sq:
                ledger_.reset_queue(controller.bdf, number, at);
                controller.submission.erase(number);
                break;
            case Pending::What::delete_cq:
                controller.completion.erase(number);
                break;
            case Pending::What::shadow:
                controller.shadow = true;
                break;
            case Pending::What::none:
                break;
        }
    }
    pending_ = {};
    if (chosen == current_) {
        current_ = 0;
    }
    ledger_.complete(chosen, status, at);
}

void Nvme::acknowledged(const trace::Event& event) {
    const auto bdf = static_cast<Bdf>(trace::get<Kind::marker_command_complete, "device">(event));
    const std::uint64_t id = trace::get<Kind::marker_command_complete, "command">(event);
    for (auto tie = ties_.begin(); tie != ties_.end(); ++tie) {
        const Command* chosen = ledger_.find(tie->chosen);
        if (chosen != nullptr && chosen->bdf == bdf && chosen->marker_id == id) {
            ties_.erase(tie);
            return;
        }
        for (const std::uint64_t other : tie->others) {
            const Command* command = ledger_.find(other);
            if (command != nullptr && command->bdf == bdf && command->marker_id == id &&
                !command->completed) {
                // The guest knows better: it was this one.
                ledger_.reopen(tie->chosen);
                ledger_.complete(other, tie->status, tie->at);
                ties_.erase(tie);
                return;
            }
        }
    }
}

}  // namespace pv::checks
