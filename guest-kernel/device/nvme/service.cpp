// A controller's registers and queues: taken into service, made again one by one or all at once, put to rest.
// SPDX-License-Identifier: MIT
#include "device/nvme/service.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "arch/processor.hpp"
#include "base/log.hpp"
#include "device/iommu/registry.hpp"
#include "device/mmio/poll.hpp"
#include "misbehave/device_fault.hpp"

namespace pv::nvme {
namespace {

using namespace literals;

constexpr std::size_t admin_entries = 32;
/// The ring that holds as many commands as a queue has slots: a full ring holds one less than it has.
constexpr std::size_t io_entries = block::maximum_in_flight;
constexpr std::size_t admin_vector = 0;

constexpr bool failed(std::uint32_t status) {
    return status == Status::gone || (status & Status::fatal) != 0;
}

}  // namespace

Result<> Service::take() {
    const pci::BarWindow bar = PV_TRY(pci_.map_bar(0));
    if (bar.bar.size < Registers::minimum_length) {
        log::error("{}: {} bytes of registers are too few for an NVMe controller", name_, bar.bar.size);
        return fail(Error::corrupt);
    }
    registers_ = bar.window;
    marker::device(device(), marker::DeviceKind::nvme, bar.bar.address, bar.bar.size);
    taken_ = true;
    capabilities_ = Capabilities{registers_.read(Registers::capabilities)};
    if (capabilities_.value() == ~std::uint64_t{0}) {
        log::error("{}: its registers read as all ones: it is not there", name_);
        return fail(Error::device_failed);
    }
    if (capabilities_.queue_entries() < 2) {
        log::error("{}: queues of {} entry cannot be", name_, capabilities_.queue_entries());
        return fail(Error::corrupt);
    }
    if (!capabilities_.nvm_command_set() || capabilities_.minimum_page_shift() > page_shift ||
        capabilities_.maximum_page_shift() < page_shift) {
        log::error("{}: no NVM command set, or no 4 KiB memory pages", name_);
        return fail(Error::not_supported);
    }
    return {};
}

Duration Service::ready_timeout() const {
    // CAP.TO counts 500 ms; a controller that says 0 gets one.
    return 500_ms * std::max<std::uint32_t>(capabilities_.timeout_units(), 1);
}

std::uint32_t Service::status() const {
    // Registers that nobody answers for read as all ones on a bus, as zeros in some machines.
    const std::uint32_t status = registers_.read(Registers::status);
    return status == 0 && !pci_.present() ? Status::gone : status;
}

Result<> Service::disable(marker::ResetReason reason) {
    if (!pci_.present()) {
        return fail(Error::device_failed);
    }
    marker::device_reset(device(), reason);
    // An interrupt that was on its way may still be looked at: there are no doorbells for it to ring then.
    for (auto& queue : io_) {
        queue->silence();
    }
    if (admin_ != nullptr) {
        admin_->silence();
    }
    const std::uint32_t configuration = registers_.read(Registers::configuration);
    if ((configuration & Configuration::enable) != 0) {
        registers_.write(Registers::configuration,
                         configuration & ~(Configuration::enable | Configuration::shutdown_mask));
    }
    const auto quiet = mmio::poll(
        registers_, Registers::status, Deadline::after(ready_timeout()),
        [](std::uint32_t status) { return status == Status::gone || (status & Status::ready) == 0; });
    if (!quiet) {
        log::error("{}: still ready {} after it was disabled", name_, ready_timeout());
        return fail(quiet.error());
    }
    if (*quiet == Status::gone) {
        log::error("{}: it is gone", name_);
        return fail(Error::device_failed);
    }
    return {};
}

Result<> Service::make_admin_queue() {
    const std::size_t entries = std::min<std::size_t>(admin_entries, capabilities_.queue_entries());
    admin_ = PV_TRY(Queue::create({name_, device(), 0}, registers_, capabilities_.doorbell_stride(), entries,
                                  patience_.admin));
    program_admin_queue();
    PV_TRY(pci_.enable_msix());
    std::unique_ptr<Line> line{new (std::nothrow) Line{.queues = {admin_.get()}, .vector = {}}};
    if (line == nullptr) {
        return fail(Error::out_of_memory);
    }
    line->vector = PV_TRY(interrupt::Vector::allocate("nvme admin", raise, line.get()));
    PV_TRY(pci_.set_vector(admin_vector, line->vector.message()));
    return lines_.push_back(std::move(line));
}

void Service::program_admin_queue() {
    const auto size = static_cast<std::uint32_t>(admin_->entries() - 1);
    registers_.write(Registers::admin_queue_sizes, size << 16 | size);
    registers_.write(Registers::admin_submission, admin_->submission_bus().value());
    registers_.write(Registers::admin_completion, admin_->completion_bus().value());
}

void Service::raise(void* line) {
    for (Queue* queue : static_cast<Line*>(line)->queues) {
        if (queue != nullptr && !misbehave::happens(misbehave::DeviceFault::lost_interrupt)) {
            queue->interrupt();
        }
    }
}

Result<> Service::enable() {
    pci_.set_bus_mastering(true);
    registers_.write(Registers::configuration, Configuration::enable | Configuration::page_shift(page_shift) |
                                                   Configuration::submission_entry_64 |
                                                   Configuration::completion_entry_16);
    const auto ready =
        mmio::poll(registers_, Registers::status, Deadline::after(ready_timeout()), [](std::uint32_t status) {
            return (status & Status::ready) != 0 ? !misbehave::happens(misbehave::DeviceFault::never_ready)
                                                 : failed(status);
        });
    if (!ready) {
        log::error("{}: not ready {} after it was enabled", name_, ready_timeout());
        return fail(ready.error());
    }
    if (failed(*ready)) {
        log::error("{}: fatal status {:#x} on enabling", name_, *ready);
        return fail(Error::device_failed);
    }
    return {};
}

Result<block::Outcome> Service::ask(const SubmissionEntry& entry, Duration patience) {
    return admin_->run(entry, {.operation = marker::Operation::admin, .deadline = Deadline::after(patience)});
}

Result<std::uint32_t> Service::admin(SubmissionEntry entry, std::string_view what, dma::Mapping data) {
    const auto outcome = admin_->run(entry, {.operation = marker::Operation::admin,
                                             .deadline = Deadline::after(patience_.admin),
                                             .data = std::move(data)});
    if (!outcome) {
        log::error("{}: {}: {}", name_, what, outcome.error());
        return fail(outcome.error());
    }
    if ((outcome->status & status_code_mask) != status_success) {
        log::error("{}: {} failed: status {:#x}", name_, what, outcome->status & status_code_mask);
        return fail(Error::io);
    }
    return outcome->result;
}

Result<const dma::Pages*> Service::identify(IdentifyStructure structure, std::uint32_t name_space) {
    if (!identify_) {
        identify_ = PV_TRY(dma::Pages::allocate(page_size));
    }
    std::ranges::fill(identify_.bytes(), std::byte{0});
    SubmissionEntry entry;
    entry.opcode = static_cast<std::uint8_t>(AdminOpcode::identify);
    entry.name_space = name_space;
    entry.dword10 = static_cast<std::uint32_t>(structure);
    dma::Mapping mapping =
        PV_TRY(dma::Mapping::map(device(), identify_, 0, page_size, dma::Direction::from_device));
    (void)PV_TRY(admin(entry, "identify", std::move(mapping)));
    return &identify_;
}

Result<std::size_t> Service::grant(std::size_t wanted) {
    SubmissionEntry count;
    count.opcode = static_cast<std::uint8_t>(AdminOpcode::set_features);
    count.dword10 = static_cast<std::uint32_t>(Feature::queue_count);
    const auto zero_based = static_cast<std::uint32_t>(wanted - 1);
    count.dword11 = zero_based << 16 | zero_based;
    const std::uint32_t granted = PV_TRY(admin(count, "set features: number of queues"));
    return std::min<std::size_t>({wanted, (granted & 0xffff) + 1U, (granted >> 16) + 1U});
}

std::uint16_t Service::vector_of(std::size_t index) const {
    // Entry 0 is the admin queue's alone, unless it is the only one.
    return static_cast<std::uint16_t>(lines_.size() > 1 ? index + 1 : admin_vector);
}

Result<> Service::announce_shadows() {
    std::ranges::fill(shadows_.bytes(), std::byte{0});
    std::ranges::fill(events_.bytes(), std::byte{0});
    SubmissionEntry entry;
    entry.opcode = static_cast<std::uint8_t>(AdminOpcode::doorbell_buffer);
    entry.prp1 = shadows_.bus().value();
    entry.prp2 = events_.bus().value();
    (void)PV_TRY(admin(entry, "doorbell buffer config"));
    return {};
}

void Service::make_shadows(std::size_t count) {
    // Laid out as the registers are, admin queue included; each is one page.
    if (!shadows_offered_ || 2 * (count + 1) * capabilities_.doorbell_stride() > page_size) {
        return;
    }
    // Both ways: controllers keep the admin queue's doorbells in them, too.
    auto shadows = dma::Buffer::allocate(device(), page_size, dma::Direction::bidirectional);
    auto events = dma::Buffer::allocate(device(), page_size, dma::Direction::bidirectional);
    if (shadows) {
        shadows_ = std::move(*shadows);
    }
    if (events) {
        events_ = std::move(*events);
    }
    if (!shadows_ || !events_ || !announce_shadows()) {
        log::warning("{}: no doorbells in memory; registers do as well", name_);
        shadows_offered_ = false;
    }
}

Result<> Service::make_io_queues() {
    const std::size_t vectors = std::max<std::size_t>(pci_.vector_count(), 2) - 1;
    const std::size_t wanted = std::min<std::size_t>(arch::cpu_count(), vectors);
    const std::size_t count = PV_TRY(grant(wanted));
    const std::size_t entries = std::min<std::size_t>(io_entries, capabilities_.queue_entries());
    // A queue belongs to this service as soon as it is there: whatever fails then, its memory is given back.
    PV_TRY(io_.reserve(count));
    make_shadows(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto number = static_cast<std::uint16_t>(i + 1);
        auto queue = Queue::create({name_, device(), number}, registers_, capabilities_.doorbell_stride(),
                                   entries, patience_.command);
        if (!queue) {
            if (i != 0) {
                break;  // doorbells, or memory, for fewer queues than there are CPUs: they share
            }
            return fail(queue.error());
        }
        Queue* const made = queue->get();
        PV_TRY(io_.push_back(std::move(*queue)));
        if (shadows_offered_ && shadows_) {
            const std::size_t stride = capabilities_.doorbell_stride();
            const auto word = [&](const dma::Buffer& page, std::size_t doorbell) {
                return reinterpret_cast<std::uint32_t*>(page.bytes().data() + doorbell * stride);
            };
            const std::size_t tail = std::size_t{2} * number;
            made->use_shadow({word(shadows_, tail), word(events_, tail)},
                             {word(shadows_, tail + 1), word(events_, tail + 1)});
        }
        if (pci_.vector_count() == 1) {
            lines_[admin_vector]->queues[1] = made;
        } else {
            std::unique_ptr<Line> line{new (std::nothrow) Line{.queues = {made}, .vector = {}}};
            if (line == nullptr) {
                return fail(Error::out_of_memory);
            }
            line->vector = PV_TRY(
                interrupt::Vector::allocate("nvme queue", raise, line.get(), static_cast<unsigned>(i)));
            PV_TRY(pci_.set_vector(i + 1, line->vector.message()));
            PV_TRY(lines_.push_back(std::move(line)));
        }
        PV_TRY(create_queue(i));
    }
    log::info("{}: {} queue pairs of {} entries for {} CPUs, {} vectors{}", name_, io_.size(), entries,
              arch::cpu_count(), lines_.size(), shadows_offered_ && shadows_ ? ", doorbells in memory" : "");
    return {};
}

Result<> Service::create_queue(std::size_t index) {
    constexpr std::uint32_t contiguous = 1;
    constexpr std::uint32_t interrupts = 2;
    const Queue& queue = *io_[index];
    const std::uint16_t number = queue.identity().number;
    const auto size_and_number = static_cast<std::uint32_t>((queue.entries() - 1) << 16 | number);
    SubmissionEntry completion;
    completion.opcode = static_cast<std::uint8_t>(AdminOpcode::create_completion_queue);
    completion.prp1 = queue.completion_bus().value();
    completion.dword10 = size_and_number;
    completion.dword11 = static_cast<std::uint32_t>(vector_of(index)) << 16 | interrupts | contiguous;
    (void)PV_TRY(admin(completion, "create completion queue"));
    SubmissionEntry submission;
    submission.opcode = static_cast<std::uint8_t>(AdminOpcode::create_submission_queue);
    submission.prp1 = queue.submission_bus().value();
    submission.dword10 = size_and_number;
    submission.dword11 = static_cast<std::uint32_t>(number) << 16 | contiguous;
    (void)PV_TRY(admin(submission, "create submission queue"));
    return {};
}

Result<> Service::delete_queue(std::size_t index) {
    Queue& queue = *io_[index];
    SubmissionEntry entry;
    entry.dword10 = queue.identity().number;
    entry.opcode = static_cast<std::uint8_t>(AdminOpcode::delete_submission_queue);
    (void)PV_TRY(admin(entry, "delete submission queue"));
    // The deletion completes after all commands were completed or aborted (5.6). What was completed is in the
    // completion queue; the others get no answer any more.
    queue.interrupt();
    queue.silence();
    queue.fail_all(Error::interrupted);
    entry.opcode = static_cast<std::uint8_t>(AdminOpcode::delete_completion_queue);
    (void)PV_TRY(admin(entry, "delete completion queue"));
    return {};
}

Result<> Service::make_queue_again(std::size_t index) {
    PV_TRY(delete_queue(index));
    io_[index]->renew();
    return create_queue(index);
}

void Service::empty_queues(Error error) {
    for (auto& queue : io_) {
        queue->fail_all(error);
        queue->renew();
    }
    if (admin_ != nullptr) {
        admin_->fail_all(error);
        admin_->renew();
    }
}

Result<> Service::bring_back() {
    program_admin_queue();
    PV_TRY(enable());
    if (PV_TRY(grant(io_.size())) < io_.size()) {
        log::error("{}: gives fewer queues than before", name_);
        return fail(Error::device_failed);
    }
    if (shadows_offered_ && shadows_) {
        PV_TRY(announce_shadows());
    }
    for (std::size_t i = 0; i < io_.size(); ++i) {
        PV_TRY(create_queue(i));
    }
    return {};
}

void Service::notify_shutdown() {
    const std::uint32_t configuration = registers_.read(Registers::configuration);
    if ((configuration & Configuration::enable) == 0 || failed(status())) {
        return;
    }
    registers_.write(Registers::configuration,
                     (configuration & ~Configuration::shutdown_mask) | Configuration::shutdown_normal);
    const auto complete = mmio::poll(
        registers_, Registers::status, Deadline::after(patience_.shutdown), [](std::uint32_t status) {
            return failed(status) || (status & Status::shutdown_mask) == Status::shutdown_complete;
        });
    if (!complete) {
        log::error("{}: its shutdown is not complete after {}", name_, patience_.shutdown);
    }
}

void Service::close(std::string_view why) {
    log::error("{}: given up: {}", name_, why);
    for (auto& queue : io_) {
        queue->close({});
    }
    if (admin_ != nullptr) {
        admin_->close({});
    }
}

bool Service::confined() const {
    return iommu::domain_of(device()) != nullptr;
}

void Service::cut_off() {
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        pci_.mask_vector(i);
    }
    pci_.disable_msix();
    pci_.set_bus_mastering(false);
}

void Service::release(bool quiet) {
    for (auto& queue : io_) {
        queue->release(quiet);
    }
    if (admin_ != nullptr) {
        admin_->release(quiet);
    }
    for (dma::Buffer* page : {&shadows_, &events_}) {
        if (*page && quiet) {
            page->release();
        } else if (*page) {
            page->quarantine();
        }
    }
}

std::uint16_t Service::for_this_cpu() const {
    return static_cast<std::uint16_t>(arch::current_cpu() % io_.size());
}

}  // namespace pv::nvme
