// A virtio-iommu: domains by request, faults by event.
// SPDX-License-Identifier: MIT
#include "device/iommu/virtio_unit.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "base/log.hpp"
#include "device/iommu/registry.hpp"
#include "device/iommu/virtio_domain.hpp"
#include "device/virtio/spec.hpp"
#include "memory/frames.hpp"

namespace pv::iommu {
namespace {

using namespace literals;
using virtio::DeviceStatus;
using virtio_spec::RequestType;

constexpr Duration reset_deadline = 2_s;
constexpr std::uint16_t vector_index = 0;
/// A device that was refused something is cut off this much later at the most.
constexpr Duration look_every = 5_ms;
constexpr Duration stop_deadline = 5_s;
constexpr std::size_t probe_max = 65536;
/// As for VT-d: an address of a domain is never mistaken for one of memory.
constexpr std::uint64_t first_address = std::uint64_t{1} << 32;

void raise(void* unit) {
    static_cast<VirtioUnit*>(unit)->take_faults();
}

constexpr virtio_spec::RequestHead head(RequestType type) {
    return {static_cast<std::uint8_t>(type), {}};
}

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span{&value, 1});
}

/// Runs a request whose answer is only a status.
template <class T>
Result<> ask(VirtioRequests& requests, const T& request) {
    std::array<std::byte, sizeof(virtio_spec::RequestTail)> tail{};
    return requests.run(bytes_of(request), tail);
}

/// The larger part of `range` that [first, last] leaves.
AddressRange without(AddressRange range, std::uint64_t first, std::uint64_t last) {
    if (last < range.begin || first >= range.end) {
        return range;
    }
    const AddressRange below{range.begin, std::max(range.begin, align_down(first, page_size))};
    const AddressRange above{
        last >= range.end ? range.end : std::min(range.end, align_up(last + 1, page_size)), range.end};
    return above.end - above.begin >= below.end - below.begin ? above : below;
}

Attempt attempt_of(std::uint32_t flags) {
    if ((flags & virtio_spec::fault_write) != 0) {
        return Attempt::write;
    }
    return (flags & virtio_spec::fault_read) != 0 ? Attempt::read : Attempt::unknown;
}

std::string_view reason_words(std::uint8_t reason) {
    switch (reason) {
        case 1:
            return "it has no domain";
        case 2:
            return "not mapped for that";
        default:
            return "unknown reason";
    }
}

}  // namespace

VirtioUnit::VirtioUnit(pci::Function function, const Vector<acpi::TranslatedRange>& ranges)
    : pci_{function, "virtio-iommu"}, ranges_{ranges} {}

VirtioUnit::~VirtioUnit() = default;

Result<std::unique_ptr<VirtioUnit>> VirtioUnit::create(pci::Function function,
                                                       const Vector<acpi::TranslatedRange>& ranges) {
    std::unique_ptr<VirtioUnit> unit{new (std::nothrow) VirtioUnit{function, ranges}};
    if (unit == nullptr) {
        return fail(Error::out_of_memory);
    }
    if (const Result<> up = unit->bring_up(); !up) {
        unit->disable();
        return fail(up.error());
    }
    return unit;
}

Result<> VirtioUnit::bring_up() {
    using virtio_spec::Feature;
    const virtio::Transport found = PV_TRY(virtio::Transport::find(pci_));
    transport_.reset(new (std::nothrow) virtio::Transport{found});
    if (transport_ == nullptr) {
        return fail(Error::out_of_memory);
    }
    marker::device(self(), marker::DeviceKind::other, transport_->registers().address,
                   transport_->registers().size);
    taken_ = true;
    marker::device_reset(self(), marker::ResetReason::set_up);
    PV_TRY(transport_->reset(Deadline::after(reset_deadline)));
    transport_->add_status(DeviceStatus::acknowledge);
    transport_->add_status(DeviceStatus::driver);
    const std::uint64_t features = PV_TRY(transport_->negotiate(
        Feature::input_range | Feature::domain_range | Feature::probe | Feature::bypass_config,
        virtio::Feature::version_1 | Feature::map_unmap));
    bypass_config_ = (features & Feature::bypass_config) != 0;
    PV_TRY(read_configuration());
    if ((features & Feature::probe) == 0) {
        probe_size_ = 0;
    }
    requests_ = PV_TRY(VirtioRequests::create(self(), *transport_, probe_size_ + page_size));
    pci_.set_bus_mastering(true);
    PV_TRY(requests_->enable(*transport_));
    PV_TRY(start_events());
    transport_->add_status(DeviceStatus::driver_ok);
    ring_events(event_entries);
    return {};
}

Result<> VirtioUnit::read_configuration() {
    using virtio_spec::Configuration;

    struct Read {
        std::uint32_t pages;
        std::uint64_t first;
        std::uint64_t last;
        std::uint32_t domain_first;
        std::uint32_t domain_last;
        std::uint32_t probe;
    };

    const Read read = PV_TRY(transport_->configuration(Configuration::length, [](const mmio::Window& window) {
        const auto wide = [&](auto low, auto high) {
            return static_cast<std::uint64_t>(window.read(high)) << 32 | window.read(low);
        };
        return Read{window.read(Configuration::page_sizes_low),
                    wide(Configuration::input_first_low, Configuration::input_first_high),
                    wide(Configuration::input_last_low, Configuration::input_last_high),
                    window.read(Configuration::domain_first),
                    window.read(Configuration::domain_last),
                    window.read(Configuration::probe_size)};
    }));
    // The grain is the smallest size there is; it must divide our pages.
    if ((read.pages & (2 * page_size - 1)) == 0) {
        log::error("virtio-iommu: its pages are larger than 4 KiB");
        return fail(Error::not_supported);
    }
    const std::uint64_t limit = std::min(read.last, (std::uint64_t{1} << 52) - 1) + 1;
    input_ = usable_addresses(limit > 2 * first_address ? std::max(read.first, first_address) : read.first,
                              align_down(limit, page_size));
    if (read.first > read.last || input_.begin >= input_.end || read.domain_first > read.domain_last ||
        read.probe > probe_max) {
        log::error("virtio-iommu: its configuration contradicts itself");
        return fail(Error::corrupt);
    }
    next_domain_ = std::max(read.domain_first, 1U);
    last_domain_ = read.domain_last;
    probe_size_ = read.probe;
    return {};
}

Result<> VirtioUnit::start_events() {
    using Ring = virtio::SplitRing;
    if (transport_->queue_size_limit(virtio_spec::event_queue) < event_entries) {
        return fail(Error::corrupt);
    }
    constexpr std::size_t available = Ring::table_bytes(event_entries);
    constexpr std::size_t used = align_up(available + Ring::available_bytes(event_entries), 4);
    constexpr auto both = dma::Direction::bidirectional;
    event_rings_ = PV_TRY(dma::Buffer::allocate(self(), used + Ring::used_bytes(event_entries), both));
    events_ = PV_TRY(dma::Buffer::allocate(self(), event_entries * sizeof(virtio_spec::FaultReport),
                                           dma::Direction::from_device));
    const std::span<std::byte> bytes = event_rings_.bytes();
    Ring ring = PV_TRY(Ring::create(bytes.first(available), bytes.subspan(available, used - available),
                                    bytes.subspan(used), event_entries));
    for (std::size_t i = 0; i < event_entries; ++i) {
        ring.descriptor(i) = {(events_.bus() + i * sizeof(virtio_spec::FaultReport)).value(),
                              sizeof(virtio_spec::FaultReport), virtio::Descriptor::flag_device_writes, 0};
        (void)ring.make_available(static_cast<std::uint16_t>(i));
    }
    event_ring_.with([&](Events& events) { events.ring = ring; });
    const std::uint16_t vector = PV_TRY(start_watching());
    const virtio::QueueAreas areas{event_rings_.bus(), event_rings_.bus() + available,
                                   event_rings_.bus() + used};
    marker::queue_areas(self(), virtio_spec::event_queue, areas.driver, areas.device);
    marker::queue_create(self(), marker::QueueKind::virtio_split, virtio_spec::event_queue, event_entries,
                         areas.table);
    event_doorbell_ =
        PV_TRY(transport_->enable_queue(virtio_spec::event_queue, event_entries, areas, vector));
    return {};
}

Result<std::uint16_t> VirtioUnit::start_watching() {
    if (const Result<> msix = pci_.enable_msix(); msix) {
        vector_ = PV_TRY(interrupt::Vector::allocate("virtio-iommu faults", raise, this));
        PV_TRY(pci_.set_vector(vector_index, vector_.message()));
        return vector_index;
    } else if (msix.error() != Error::not_supported) {
        return fail(msix.error());
    }
    watcher_ = PV_TRY(task::Thread::create("virtio-iommu faults", watch, this, task::Priority::high));
    return virtio::CommonRegisters::no_vector;
}

void VirtioUnit::watch(void* unit) {
    auto& self = *static_cast<VirtioUnit*>(unit);
    while (!self.stopping_.load(std::memory_order_acquire)) {
        self.take_faults();
        task::sleep(look_every);
    }
}

void VirtioUnit::stop_watching() {
    if (!watcher_.joinable()) {
        return;
    }
    stopping_.store(true, std::memory_order_release);
    // It sleeps for a few milliseconds, and a report waits for one request at most.
    if (!watcher_.join(Deadline::after(stop_deadline))) {
        log::error("virtio-iommu: its watcher does not end");
    }
}

void VirtioUnit::ring_events(std::uint16_t available) const {
    marker::doorbell(self(), marker::QueueKind::virtio_split, virtio_spec::event_queue, available);
    event_doorbell_.ring(virtio_spec::event_queue);
}

void VirtioUnit::take_faults() {
    while (true) {
        std::uint16_t available = 0;
        const auto report = event_ring_.with([&](Events& events) -> std::optional<virtio_spec::FaultReport> {
            if (!events.ring) {
                return std::nullopt;
            }
            const auto used = events.ring->next_used(event_entries);
            if (!used || used->id >= event_entries || used->length < sizeof(virtio_spec::FaultReport)) {
                return std::nullopt;
            }
            virtio_spec::FaultReport copy{};
            std::memcpy(&copy, events_.bytes().data() + used->id * sizeof copy, sizeof copy);
            available = events.ring->make_available(static_cast<std::uint16_t>(used->id));
            return copy;
        });
        if (!report) {
            return;
        }
        ring_events(available);
        report_fault({.device = device_of(report->endpoint),
                      .address = align_down(report->address, page_size),
                      .reason = report->reason,
                      .attempt = attempt_of(report->flags),
                      .interrupt = false,
                      .words = reason_words(report->reason)});
    }
}

Result<std::uint32_t> VirtioUnit::endpoint_of(marker::Device device) const {
    const auto number = static_cast<std::uint32_t>(device);
    for (const acpi::TranslatedRange& range : ranges_) {
        if (number >= range.first && number <= range.last) {
            return range.endpoint + (number - range.first);
        }
    }
    return fail(Error::not_found);
}

marker::Device VirtioUnit::device_of(std::uint32_t endpoint) const {
    for (const acpi::TranslatedRange& range : ranges_) {
        if (endpoint >= range.endpoint && endpoint - range.endpoint <= range.last - range.first) {
            return marker::Device{range.first + (endpoint - range.endpoint)};
        }
    }
    return marker::Device{endpoint};
}

Result<AddressRange> VirtioUnit::addresses_of(std::uint32_t endpoint) {
    AddressRange usable = input_;
    if (probe_size_ == 0) {
        return usable;
    }
    auto answer = PV_TRY(memory::Frames::allocate_zeroed(probe_size_ + sizeof(virtio_spec::RequestTail)));
    const std::span<std::byte> bytes = answer.bytes().first(probe_size_ + sizeof(virtio_spec::RequestTail));
    const virtio_spec::Probe probe{head(RequestType::probe), endpoint, {}};
    PV_TRY(requests_->run(bytes_of(probe), bytes));
    for (std::size_t at = 0; at + sizeof(virtio_spec::Property) <= probe_size_;) {
        virtio_spec::Property property{};
        std::memcpy(&property, bytes.data() + at, sizeof property);
        const std::size_t length = sizeof property + property.length;
        if ((property.type & virtio_spec::property_type_mask) == virtio_spec::property_none ||
            length > probe_size_ - at) {
            break;
        }
        if ((property.type & virtio_spec::property_type_mask) == virtio_spec::property_reserved_memory &&
            length >= sizeof(virtio_spec::ReservedMemory)) {
            virtio_spec::ReservedMemory reserved{};
            std::memcpy(&reserved, bytes.data() + at, sizeof reserved);
            usable = without(usable, reserved.first, reserved.last);
        }
        at += length;
    }
    return usable.begin < usable.end ? Result<AddressRange>{usable} : fail(Error::no_space);
}

Result<std::unique_ptr<Domain>> VirtioUnit::attach(marker::Device device) {
    if (next_domain_ > last_domain_ || next_domain_ == 0) {
        return fail(Error::no_space);
    }
    const std::uint32_t endpoint = PV_TRY(endpoint_of(device));
    const AddressRange addresses = PV_TRY(addresses_of(endpoint));
    const std::uint32_t number = next_domain_;
    std::unique_ptr<Domain> domain{new (std::nothrow) VirtioDomain{*this, device, number, addresses}};
    if (domain == nullptr) {
        return fail(Error::out_of_memory);
    }
    ++next_domain_;
    PV_TRY(ask(*requests_, virtio_spec::Attach{head(RequestType::attach), number, endpoint, 0U, 0U}));
    return domain;
}

void VirtioUnit::set_bypass(bool on) const {
    if (bypass_config_) {
        // Read back: a device may refuse to change it.
        const auto now =
            transport_->configuration(virtio_spec::Configuration::length, [=](const mmio::Window& window) {
                window.write(virtio_spec::Configuration::bypass, static_cast<std::uint8_t>(on ? 1 : 0));
                return window.read(virtio_spec::Configuration::bypass) != 0;
            });
        if (!now || *now != on) {
            log::error("virtio-iommu: devices without a domain {} memory",
                       on ? "do not reach" : "still reach");
        }
    }
}

Result<> VirtioUnit::enable() {
    set_bypass(false);
    return {};
}

void VirtioUnit::disable() {
    if (!taken_) {
        return;
    }
    taken_ = false;
    stop_watching();
    take_faults();
    marker::device_reset(self(), marker::ResetReason::shutdown);
    if (!transport_->reset(Deadline::after(reset_deadline))) {
        log::error("virtio-iommu: its reset is not done after {}", reset_deadline);
    }
    pci_.disable_msix();
    pci_.set_bus_mastering(false);
    marker::device_release(self());
    event_ring_.with([](Events& events) { events.ring.reset(); });
    if (event_rings_) {
        marker::queue_delete(self(), marker::QueueKind::virtio_split, virtio_spec::event_queue);
    }
    event_rings_.release();
    events_.release();
    if (requests_ != nullptr) {
        requests_->release();
    }
}

Result<> VirtioUnit::map(std::uint32_t domain, std::uint64_t iova, PhysicalAddress physical,
                         std::size_t pages, marker::Direction direction) {
    const std::uint32_t flags = (direction == marker::Direction::from_device ? 0 : virtio_spec::map_read) |
                                (direction == marker::Direction::to_device ? 0 : virtio_spec::map_write);
    return ask(*requests_,
               virtio_spec::Map{head(RequestType::map), domain, iova,
                                iova + std::uint64_t{pages} * page_size - 1, physical.value(), flags});
}

Result<> VirtioUnit::unmap(std::uint32_t domain, std::uint64_t iova, std::size_t pages) {
    return ask(*requests_, virtio_spec::Unmap{head(RequestType::unmap), domain, iova,
                                              iova + std::uint64_t{pages} * page_size - 1, 0U});
}

Result<> VirtioUnit::detach(std::uint32_t domain, marker::Device device) {
    const std::uint32_t endpoint = PV_TRY(endpoint_of(device));
    return ask(*requests_, virtio_spec::Attach{head(RequestType::detach), domain, endpoint, 0U, 0U});
}

}  // namespace pv::iommu
