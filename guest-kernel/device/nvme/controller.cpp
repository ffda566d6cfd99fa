// An NVMe controller: brought up, identified, its queues and namespaces, and put to rest again.
// SPDX-License-Identifier: MIT
#include "device/nvme/controller.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/format.hpp"
#include "base/log.hpp"
#include "device/mmio/poll.hpp"

namespace pv::nvme {
namespace {

using namespace literals;

/// What an admin command may take when nothing is wrong with the controller.
constexpr Duration admin_deadline = 2_s;
/// How long CSTS.SHST may take to say that a shutdown is complete.
constexpr Duration shutdown_deadline = 5_s;
constexpr std::size_t admin_entries = 32;
constexpr std::size_t io_entries = 64;
constexpr std::size_t admin_vector_index = 0;
constexpr std::size_t io_vector_index = 1;
constexpr std::uint16_t io_queue = 1;
/// Namespaces of one controller that are used; more are named on the console and left alone.
constexpr std::size_t namespace_limit = 64;

/// The printable part of a field the device filled, without the blanks that pad it. The log replaces control
/// characters.
template <std::size_t N>
std::string_view text(const std::array<char, N>& field) {
    std::size_t length = N;
    while (length > 0 && (field[length - 1] == ' ' || field[length - 1] == '\0')) {
        --length;
    }
    return {field.data(), length};
}

void raise(void* queue) {
    static_cast<Queue*>(queue)->interrupt();
}

template <class T>
const T& as(const dma::Pages& pages) {
    static_assert(alignof(T) == 1);
    return *reinterpret_cast<const T*>(pages.bytes().data());
}

}  // namespace

Controller::Controller(pci::Function function, unsigned number)
    : name_length_{format::to(name_, "nvme{}", number).size()}, pci_{function, name()} {}

Controller::~Controller() = default;

Result<std::unique_ptr<block::Controller>> Controller::create(pci::Function function, unsigned number) {
    std::unique_ptr<Controller> controller{new (std::nothrow) Controller{function, number}};
    if (controller == nullptr) {
        return fail(Error::out_of_memory);
    }
    if (const Result<> up = controller->bring_up(); !up) {
        log::error("{}: not usable: {}", controller->name(), up.error());
        controller->shut_down(Deadline::after(1_s));
        return fail(up.error());
    }
    return std::unique_ptr<block::Controller>{std::move(controller)};
}

Result<> Controller::bring_up() {
    PV_TRY(take_registers());
    PV_TRY(disable(marker::ResetReason::set_up));
    PV_TRY(make_admin_queue());
    PV_TRY(enable());
    PV_TRY(identify());
    PV_TRY(make_io_queue());
    return find_namespaces();
}

Result<> Controller::take_registers() {
    const pci::BarWindow bar = PV_TRY(pci_.map_bar(0));
    if (bar.bar.size < Registers::minimum_length) {
        log::error("{}: {} bytes of registers are too few for an NVMe controller", name(), bar.bar.size);
        return fail(Error::corrupt);
    }
    registers_ = bar.window;
    marker::device(marker_device(), marker::DeviceKind::nvme, bar.bar.address, bar.bar.size);
    taken_ = true;
    capabilities_ = Capabilities{registers_.read(Registers::capabilities)};
    if (!capabilities_.nvm_command_set() || capabilities_.minimum_page_shift() > page_shift ||
        capabilities_.maximum_page_shift() < page_shift) {
        log::error("{}: no NVM command set, or no 4 KiB memory pages", name());
        return fail(Error::not_supported);
    }
    return {};
}

Duration Controller::ready_timeout() const {
    // CAP.TO counts 500 ms; a controller that says 0 gets one.
    return 500_ms * std::max<std::uint32_t>(capabilities_.timeout_units(), 1);
}

Result<> Controller::disable(marker::ResetReason reason) {
    marker::device_reset(marker_device(), reason);
    const std::uint32_t configuration = registers_.read(Registers::configuration);
    if ((configuration & Configuration::enable) != 0) {
        registers_.write(Registers::configuration,
                         configuration & ~(Configuration::enable | Configuration::shutdown_mask));
    }
    const auto quiet = mmio::poll(registers_, Registers::status, Deadline::after(ready_timeout()),
                                  [](std::uint32_t status) { return (status & Status::ready) == 0; });
    if (!quiet) {
        log::error("{}: still ready {} after it was disabled", name(), ready_timeout());
        return fail(quiet.error());
    }
    return {};
}

Result<> Controller::make_admin_queue() {
    const std::size_t entries = std::min<std::size_t>(admin_entries, capabilities_.queue_entries());
    admin_ = PV_TRY(
        Queue::create({name(), marker_device(), 0}, registers_, capabilities_.doorbell_stride(), entries));
    registers_.write(Registers::admin_queue_sizes,
                     static_cast<std::uint32_t>((entries - 1) << 16 | (entries - 1)));
    registers_.write(Registers::admin_submission, admin_->submission_bus().value());
    registers_.write(Registers::admin_completion, admin_->completion_bus().value());
    PV_TRY(pci_.enable_msix());
    admin_vector_ = PV_TRY(interrupt::Vector::allocate("nvme admin", raise, admin_.get()));
    return pci_.set_vector(admin_vector_index, admin_vector_.message());
}

Result<> Controller::enable() {
    pci_.set_bus_mastering(true);
    registers_.write(Registers::configuration, Configuration::enable | Configuration::page_shift(page_shift) |
                                                   Configuration::submission_entry_64 |
                                                   Configuration::completion_entry_16);
    const auto ready =
        mmio::poll(registers_, Registers::status, Deadline::after(ready_timeout()),
                   [](std::uint32_t status) { return (status & (Status::ready | Status::fatal)) != 0; });
    if (!ready) {
        log::error("{}: not ready {} after it was enabled", name(), ready_timeout());
        return fail(ready.error());
    }
    if (*ready == Status::gone || (*ready & Status::fatal) != 0) {
        log::error("{}: fatal status {:#x} on enabling", name(), *ready);
        return fail(Error::device_failed);
    }
    return {};
}

Result<std::uint32_t> Controller::admin(SubmissionEntry entry, std::string_view what, dma::Mapping data) {
    const auto outcome = admin_->run(entry, {.operation = marker::Operation::admin,
                                             .deadline = Deadline::after(admin_deadline),
                                             .data = std::move(data)});
    if (!outcome) {
        log::error("{}: {}: {}", name(), what, outcome.error());
        return fail(outcome.error());
    }
    if ((outcome->status & status_code_mask) != status_success) {
        log::error("{}: {} failed: status {:#x}", name(), what, outcome->status & status_code_mask);
        return fail(Error::io);
    }
    return outcome->result;
}

Result<dma::Pages> Controller::identify(IdentifyStructure structure, std::uint32_t name_space) {
    const dma::Pages pages = PV_TRY(dma::Pages::allocate(page_size));
    SubmissionEntry entry;
    entry.opcode = static_cast<std::uint8_t>(AdminOpcode::identify);
    entry.name_space = name_space;
    entry.dword10 = static_cast<std::uint32_t>(structure);
    dma::Mapping mapping =
        PV_TRY(dma::Mapping::map(marker_device(), pages, 0, page_size, dma::Direction::from_device));
    PV_TRY(admin(entry, "identify", std::move(mapping)));
    return pages;
}

Result<> Controller::identify() {
    const dma::Pages pages = PV_TRY(identify(IdentifyStructure::controller, 0));
    const auto& data = as<IdentifyController>(pages);
    if ((data.submission_entry_sizes & 0xf) > 6 || (data.completion_entry_sizes & 0xf) > 4) {
        log::error("{}: wants larger queue entries than there are", name());
        return fail(Error::not_supported);
    }
    limits_.transfer = transfer_limit(data.maximum_transfer, capabilities_.minimum_page_shift());
    limits_.write_cache = (data.volatile_write_cache & 1) != 0;
    log::info("{}: {} serial {}, transfers up to {} KiB, {}", name(), text(data.model), text(data.serial),
              limits_.transfer / 1024, limits_.write_cache ? "volatile write cache" : "no write cache");
    return {};
}

Result<> Controller::make_io_queue() {
    SubmissionEntry count;
    count.opcode = static_cast<std::uint8_t>(AdminOpcode::set_features);
    count.dword10 = static_cast<std::uint32_t>(Feature::queue_count);
    count.dword11 = 0;  // one submission and one completion queue, both 0's based
    PV_TRY(admin(count, "set features: number of queues"));

    const std::size_t entries = std::min<std::size_t>(io_entries, capabilities_.queue_entries());
    io_ = PV_TRY(Queue::create({name(), marker_device(), io_queue}, registers_,
                               capabilities_.doorbell_stride(), entries));
    io_vector_ = PV_TRY(interrupt::Vector::allocate("nvme queue", raise, io_.get()));
    PV_TRY(pci_.set_vector(io_vector_index, io_vector_.message()));

    constexpr std::uint32_t contiguous = 1;
    constexpr std::uint32_t interrupts = 2;
    const auto size_and_number = static_cast<std::uint32_t>((entries - 1) << 16 | io_queue);
    SubmissionEntry completion;
    completion.opcode = static_cast<std::uint8_t>(AdminOpcode::create_completion_queue);
    completion.prp1 = io_->completion_bus().value();
    completion.dword10 = size_and_number;
    completion.dword11 = static_cast<std::uint32_t>(io_vector_index << 16) | interrupts | contiguous;
    PV_TRY(admin(completion, "create completion queue"));
    SubmissionEntry submission;
    submission.opcode = static_cast<std::uint8_t>(AdminOpcode::create_submission_queue);
    submission.prp1 = io_->submission_bus().value();
    submission.dword10 = size_and_number;
    submission.dword11 = static_cast<std::uint32_t>(io_queue) << 16 | contiguous;
    PV_TRY(admin(submission, "create submission queue"));
    aborts_ = PV_TRY(AbortService::create(name(), *admin_, *io_, registers_));
    return {};
}

Result<> Controller::find_namespaces() {
    const dma::Pages pages = PV_TRY(identify(IdentifyStructure::active_namespaces, 0));
    for (const le32 id : as<NamespaceList>(pages).ids) {
        if (id == 0) {
            break;
        }
        if (namespaces_.size() == namespace_limit) {
            log::warning("{}: more than {} namespaces; the rest is not used", name(), namespace_limit);
            break;
        }
        PV_TRY(add_namespace(id));
    }
    if (namespaces_.empty()) {
        log::warning("{}: no namespace is active", name());
    }
    return {};
}

Result<> Controller::add_namespace(std::uint32_t id) {
    const dma::Pages pages = PV_TRY(identify(IdentifyStructure::name_space, id));
    const auto geometry = geometry_of(as<IdentifyNamespace>(pages), limits_);
    if (!geometry) {
        log::warning("{}: namespace {} is not used: {}", name(), id, geometry.error());
        return {};
    }
    std::unique_ptr<Namespace> added{new (std::nothrow) Namespace{name(), id, *geometry, *io_}};
    if (added == nullptr) {
        return fail(Error::out_of_memory);
    }
    log::info("{}: {} blocks of {} bytes ({} MiB), {} blocks a command", added->name(), geometry->blocks,
              geometry->block_size, geometry->bytes() >> 20, geometry->command_blocks);
    return namespaces_.push_back(std::move(added));
}

void Controller::delete_io_queue() {
    SubmissionEntry entry;
    entry.dword10 = io_queue;
    entry.opcode = static_cast<std::uint8_t>(AdminOpcode::delete_submission_queue);
    if (admin(entry, "delete submission queue")) {
        entry.opcode = static_cast<std::uint8_t>(AdminOpcode::delete_completion_queue);
        (void)admin(entry,
                    "delete completion queue");  // said on the console; the reset that follows ends it too
    }
}

void Controller::notify_shutdown() {
    const std::uint32_t configuration = registers_.read(Registers::configuration);
    if ((configuration & Configuration::enable) == 0) {
        return;
    }
    registers_.write(Registers::configuration,
                     (configuration & ~Configuration::shutdown_mask) | Configuration::shutdown_normal);
    const auto complete = mmio::poll(
        registers_, Registers::status, Deadline::after(shutdown_deadline),
        [](std::uint32_t status) { return (status & Status::shutdown_mask) == Status::shutdown_complete; });
    if (!complete) {
        log::error("{}: its shutdown is not complete after {}", name(), shutdown_deadline);
    }
}

void Controller::shut_down(Deadline deadline) {
    if (!taken_) {
        return;
    }
    taken_ = false;
    if (aborts_ != nullptr) {
        aborts_->stop();
    }
    if (io_ != nullptr) {
        if (!io_->settle(deadline)) {
            log::error("{}: {} commands are still owed; the controller is disabled with them", name(),
                       io_->owed());
        } else if (admin_ != nullptr && io_->owed() == 0) {
            delete_io_queue();
        }
    }
    notify_shutdown();
    const Result<> disabled = disable(marker::ResetReason::shutdown);
    pci_.mask_vector(admin_vector_index);
    pci_.mask_vector(io_vector_index);
    pci_.disable_msix();
    // Without bus mastering it cannot reach memory, even if it did not obey: all mappings may end.
    pci_.set_bus_mastering(false);
    marker::device_release(marker_device());
    for (Queue* queue : {io_.get(), admin_.get()}) {
        if (queue != nullptr) {
            queue->release();
        }
    }
    log::info("{}: {}", name(), disabled ? "at rest" : "cut off from memory");
}

}  // namespace pv::nvme
