// An NVMe controller: brought up, identified, its namespaces, and put to rest again.
// SPDX-License-Identifier: MIT
#include "device/nvme/controller.hpp"

#include <new>
#include <utility>

#include "base/format.hpp"
#include "base/log.hpp"

namespace pv::nvme {
namespace {

using namespace literals;

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

template <class T>
const T& as(const dma::Pages& pages) {
    static_assert(alignof(T) == 1);
    return *reinterpret_cast<const T*>(pages.bytes().data());
}

}  // namespace

Controller::Controller(pci::Function function, unsigned number, const Patience& patience,
                       bool doorbells_in_memory)
    : name_length_{format::to(name_, "nvme{}", number).size()},
      pci_{function, Controller::name()},
      service_{pci_, Controller::name(), patience},
      doorbells_in_memory_{doorbells_in_memory} {}

Controller::~Controller() = default;

Result<std::unique_ptr<block::Controller>> Controller::create(pci::Function function, unsigned number,
                                                              const Patience& patience,
                                                              bool doorbells_in_memory) {
    std::unique_ptr<Controller> controller{new (std::nothrow)
                                               Controller{function, number, patience, doorbells_in_memory}};
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
    PV_TRY(service_.take());
    PV_TRY(service_.disable(marker::ResetReason::set_up));
    PV_TRY(service_.make_admin_queue());
    PV_TRY(service_.enable());
    PV_TRY(identify());
    PV_TRY(service_.make_io_queues());
    PV_TRY(find_namespaces());
    recovery_ = PV_TRY(Recovery::create(service_, *this));
    return {};
}

Result<> Controller::identify() {
    const dma::Pages* pages = PV_TRY(service_.identify(IdentifyStructure::controller, 0));
    const auto& data = as<IdentifyController>(*pages);
    if ((data.submission_entry_sizes & 0xf) > 6 || (data.completion_entry_sizes & 0xf) > 4) {
        log::error("{}: wants larger queue entries than there are", name());
        return fail(Error::not_supported);
    }
    serial_ = data.serial;
    limits_.transfer = transfer_limit(data.maximum_transfer, service_.capabilities().minimum_page_shift());
    limits_.write_zeroes = (data.optional_commands & OptionalCommands::write_zeroes) != 0;
    limits_.deallocate = (data.optional_commands & OptionalCommands::dataset_management) != 0;
    if (doorbells_in_memory_ && (data.optional_admin_commands & optional_doorbell_buffer) != 0) {
        service_.offer_shadows();
    }
    const bool has_cache = (data.volatile_write_cache & 1) != 0;
    log::info("{}: {} serial {}, transfers up to {} KiB{}{}", name(), text(data.model), text(data.serial),
              limits_.transfer / 1024, limits_.write_zeroes ? ", write zeroes" : "",
              limits_.deallocate ? ", deallocate" : "");
    limits_.write_cache = write_cache_on(data);
    log::info("{}: {}", name(),
              limits_.write_cache ? "volatile write cache: flushes are sent"
              : has_cache         ? "volatile write cache is off: no flush is sent"
                                  : "no volatile write cache: no flush is sent");
    return {};
}

bool Controller::write_cache_on(const IdentifyController& data) {
    if ((data.volatile_write_cache & 1) == 0) {
        return false;
    }
    SubmissionEntry entry;
    entry.opcode = static_cast<std::uint8_t>(AdminOpcode::get_features);
    entry.dword10 = static_cast<std::uint32_t>(Feature::volatile_write_cache);
    const auto enabled = service_.admin(entry, "get features: volatile write cache");
    // Who does not know sends flushes.
    return !enabled || (*enabled & 1) != 0;
}

Result<> Controller::find_namespaces() {
    const dma::Pages* pages = PV_TRY(service_.identify(IdentifyStructure::active_namespaces, 0));
    // A copy: the next identify uses the same pages.
    std::array<std::uint32_t, namespace_limit + 1> ids{};
    std::size_t count = 0;
    for (const le32 id : as<NamespaceList>(*pages).ids) {
        if (id == 0 || count == ids.size()) {
            break;
        }
        ids[count++] = id;
    }
    if (count > namespace_limit) {
        log::warning("{}: more than {} namespaces; the rest is not used", name(), namespace_limit);
        count = namespace_limit;
    }
    for (std::size_t i = 0; i < count; ++i) {
        // The list is ascending (5.17.2.2): whoever names one twice would get two devices over one.
        if (i != 0 && ids[i] <= ids[i - 1]) {
            log::error("{}: namespace {} is listed behind {}: the rest of the list is not believed", name(),
                       ids[i], ids[i - 1]);
            break;
        }
        PV_TRY(add_namespace(ids[i]));
    }
    if (namespaces_.empty()) {
        log::warning("{}: no namespace is active", name());
    }
    return {};
}

Result<> Controller::add_namespace(std::uint32_t id) {
    const auto pages = service_.identify(IdentifyStructure::name_space, id);
    if (!pages) {
        return pages.error() == Error::io ? Result<>{} : Result<>{fail(pages.error())};
    }
    const auto geometry = geometry_of(as<IdentifyNamespace>(**pages), limits_);
    if (!geometry) {
        log::warning("{}: namespace {} is not used: {}", name(), id,
                     geometry.error() == Error::not_found ? "it has no blocks" : to_string(geometry.error()));
        return {};
    }
    std::unique_ptr<Namespace> added{new (std::nothrow) Namespace{service_, id, *geometry}};
    if (added == nullptr) {
        return fail(Error::out_of_memory);
    }
    log::info("{}: {} blocks of {} bytes ({} MiB), {} blocks a command", added->name(), geometry->blocks,
              geometry->block_size, geometry->bytes() >> 20, geometry->command_blocks);
    return namespaces_.push_back(std::move(added));
}

Result<> Controller::verify() {
    const dma::Pages* pages = PV_TRY(service_.identify(IdentifyStructure::controller, 0));
    if (as<IdentifyController>(*pages).serial != serial_) {
        log::error("{}: another serial number than before: {}", name(),
                   text(as<IdentifyController>(*pages).serial));
        return fail(Error::device_failed);
    }
    for (auto& one : namespaces_) {
        const auto data = service_.identify(IdentifyStructure::name_space, one->id());
        if (!data && data.error() != Error::io) {
            return fail(data.error());
        }
        const auto geometry = data ? geometry_of(as<IdentifyNamespace>(**data), limits_)
                                   : Result<block::Geometry>{fail(Error::io)};
        if (!geometry || geometry->blocks != one->geometry().blocks ||
            geometry->block_size != one->geometry().block_size) {
            log::error("{}: not what it was before the reset: it is not used any more", one->name());
            one->retire();
        }
    }
    return {};
}

void Controller::print_status(StatusLines& lines) {
    service_.admin_queue().print_status(lines);
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        service_.queue(i).print_status(lines);
    }
    if (recovery_ != nullptr) {
        const Recovery::Counts& counts = recovery_->counts();
        lines.add("{}: {}; {} recoveries, {} aborts ({} aborted), {} queues made again, {} resets", name(),
                  recovery_->state(), recovery_->begun(), counts.aborts.load(std::memory_order_relaxed),
                  counts.aborted.load(std::memory_order_relaxed),
                  counts.queues.load(std::memory_order_relaxed),
                  counts.resets.load(std::memory_order_relaxed));
    }
}

bool Controller::settle(Deadline deadline) {
    bool settled = true;
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        Queue& queue = service_.queue(i);
        if (!queue.settle(deadline) || queue.owed() != 0) {
            log::error("{}: {} commands are still owed on queue {}", name(), queue.owed(), i + 1);
            settled = false;
        }
    }
    return settled;
}

void Controller::shut_down(Deadline deadline) {
    if (!service_.taken()) {
        return;
    }
    // While it waits, the recovery goes on.
    const bool settled = settle(deadline);
    const bool dead = recovery_ != nullptr && recovery_->dead();
    if (recovery_ != nullptr) {
        recovery_->stop();
    }
    if (!dead) {
        for (std::size_t i = 0; settled && i < service_.queue_count(); ++i) {
            if (!service_.delete_queue(i)) {
                break;  // said on the console; the reset that follows ends it too
            }
        }
        service_.notify_shutdown();
    }
    const Result<> disabled = service_.disable(marker::ResetReason::shutdown);
    const bool quiet = disabled || disabled.error() == Error::device_failed || service_.confined();
    service_.cut_off();
    marker::device_release(service_.device());
    service_.release(quiet);
    log::info("{}: {}", name(), quiet ? "at rest" : "did not stop: cut off from memory");
}

}  // namespace pv::nvme
