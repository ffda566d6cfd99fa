// A virtio-net device: brought up, its link, its queues.
// SPDX-License-Identifier: MIT
#include "device/virtio/net.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "arch/processor.hpp"
#include "base/format.hpp"
#include "base/log.hpp"
#include "device/virtio/spec.hpp"
#include "task/thread.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

/// The specification states no time for either; a device that takes longer is given up.
constexpr Duration reset_deadline = 2_s;
constexpr Duration control_deadline = 2_s;

constexpr std::uint16_t configuration_entry = 0;
constexpr std::size_t largest_queue = 256;
constexpr std::size_t control_entries = 16;
/// One thread serves all queues: more of them than this help nobody.
constexpr std::size_t pairs_limit = 8;

constexpr std::uint64_t wanted_features = NetFeature::sum_on_send | NetFeature::sum_on_receive |
                                          NetFeature::mtu | NetFeature::mac | NetFeature::mergeable_buffers |
                                          NetFeature::status | NetFeature::control_queue |
                                          NetFeature::multi_queue | Feature::access_platform;

constexpr std::uint16_t receive_number(std::size_t pair) {
    return static_cast<std::uint16_t>(2 * pair);
}

constexpr std::uint16_t transmit_number(std::size_t pair) {
    return static_cast<std::uint16_t>(2 * pair + 1);
}

struct Configuration {
    net::MacAddress mac{};
    std::uint16_t status = 0;
    std::uint16_t most_pairs = 1;
    std::uint16_t mtu = 0;
};

Configuration read(const mmio::Window& window) {
    Configuration configuration;
    for (std::size_t i = 0; i < configuration.mac.size(); ++i) {
        configuration.mac[i] = window.read(NetRegisters::ReadOnly<std::uint8_t>{i});
    }
    configuration.status = window.read(NetRegisters::status);
    if (window.length() >= NetRegisters::full_length) {
        configuration.most_pairs = window.read(NetRegisters::most_pairs);
        configuration.mtu = window.read(NetRegisters::mtu);
    }
    return configuration;
}

}  // namespace

Net::Net(pci::Function function, unsigned number)
    : name_length_{format::to(name_, "net{}", number).size()}, pci_{function, Net::name()} {}

Net::~Net() = default;

Result<std::unique_ptr<net::Device>> Net::create(pci::Function function, unsigned number) {
    std::unique_ptr<Net> net{new (std::nothrow) Net{function, number}};
    if (net == nullptr) {
        return fail(Error::out_of_memory);
    }
    if (const Result<> up = net->bring_up(); !up) {
        log::error("{}: not usable: {}", net->name(), up.error());
        net->shut_down(Deadline::after(1_s));
        return fail(up.error());
    }
    return std::unique_ptr<net::Device>{std::move(net)};
}

Result<> Net::bring_up() {
    const Transport found = PV_TRY(Transport::find(pci_));
    transport_.reset(new (std::nothrow) Transport{found});
    if (transport_ == nullptr) {
        return fail(Error::out_of_memory);
    }
    marker::device(marker_device(), marker::DeviceKind::virtio_net, transport_->registers().address,
                   transport_->registers().size);
    taken_ = true;
    PV_TRY(reset(marker::ResetReason::set_up));
    PV_TRY(set_up());
    log::info("{}: {:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}, MTU {}, {} queue pair{} of {} entries{}{}{}{}",
              name(), mac_[0], mac_[1], mac_[2], mac_[3], mac_[4], mac_[5], mtu_, used_pairs_,
              used_pairs_ == 1 ? "" : "s", pairs_[0].receive->ring().entries(),
              (features_ & NetFeature::mergeable_buffers) != 0 ? ", mergeable buffers" : "",
              sums_on_send() ? ", sums on sending" : "",
              (features_ & NetFeature::sum_on_receive) != 0 ? ", sums on receiving" : "",
              (features_ & Feature::access_platform) != 0 ? ", platform access" : "");
    return {};
}

// The order of steps is 3.1.1's.
Result<> Net::set_up() {
    transport_->add_status(DeviceStatus::acknowledge);
    transport_->add_status(DeviceStatus::driver);
    features_ = PV_TRY(transport_->negotiate(wanted_features, Feature::version_1));
    PV_TRY(read_configuration());
    PV_TRY(make_queues());
    transport_->add_status(DeviceStatus::driver_ok);
    for (Pair& pair : pairs_) {
        pair.receive->fill();
    }
    use_pairs();
    read_link();
    return {};
}

Result<> Net::read_configuration() {
    const Configuration configuration = PV_TRY(transport_->configuration(NetRegisters::minimum_length, read));
    if ((features_ & NetFeature::mac) != 0 && (configuration.mac[0] & 1) == 0 &&
        configuration.mac != net::MacAddress{}) {
        mac_ = configuration.mac;
    } else if (mac_ == net::MacAddress{}) {
        // Locally administered (IEEE 802, 8.2.2), told apart by the function's address.
        const auto own = static_cast<std::uint32_t>(marker_device());
        mac_ = {0x02,
                0x50,
                0x56,
                static_cast<std::uint8_t>(own >> 16),
                static_cast<std::uint8_t>(own >> 8),
                static_cast<std::uint8_t>(own)};
        log::warning("{}: the device has no usable address of its own", name());
    }
    mtu_ = net::largest_mtu;
    if ((features_ & NetFeature::mtu) != 0) {
        constexpr std::size_t least = 1280;  // what IPv6 asks of a link (RFC 8200, 5)
        if (configuration.mtu < least) {
            log::error("{}: an MTU of {} is less than IPv6 allows", name(), configuration.mtu);
            return fail(Error::corrupt);
        }
        mtu_ = std::min<std::size_t>(mtu_, configuration.mtu);
    }
    most_pairs_ = 1;
    constexpr std::uint64_t several = NetFeature::multi_queue | NetFeature::control_queue;
    if ((features_ & several) == several) {
        constexpr std::uint16_t most = 0x8000;
        if (configuration.most_pairs == 0 || configuration.most_pairs > most) {
            log::error("{}: {} queue pairs cannot be", name(), configuration.most_pairs);
            return fail(Error::corrupt);
        }
        most_pairs_ = configuration.most_pairs;
    }
    return {};
}

Result<> Net::allocate_vectors() {
    if (vectors_) {
        return {};
    }
    PV_TRY(pci_.enable_msix());
    const std::size_t entries = pci_.vector_count();
    if (entries < 2) {
        return fail(Error::not_supported);
    }
    const std::size_t count =
        std::min({std::size_t{arch::cpu_count()}, most_pairs_, entries - 1, pairs_limit});
    PV_TRY(pairs_.reserve(count));
    configuration_vector_ =
        PV_TRY(interrupt::Vector::allocate("virtio-net configuration", on_configuration, this));
    PV_TRY(pci_.set_vector(configuration_entry, configuration_vector_.message()));
    for (std::size_t i = 0; i < count; ++i) {
        Pair pair;
        pair.vector =
            PV_TRY(interrupt::Vector::allocate("virtio-net queue", on_queue, this, static_cast<unsigned>(i)));
        PV_TRY(pci_.set_vector(i + 1, pair.vector.message()));
        PV_TRY(pairs_.push_back(std::move(pair)));
    }
    vectors_ = true;
    return {};
}

Result<> Net::make_queues() {
    PV_TRY(allocate_vectors());
    pci_.set_bus_mastering(true);
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
        PV_TRY(make_pair(i));
    }
    if ((features_ & NetFeature::control_queue) != 0) {
        const auto number = static_cast<std::uint16_t>(2 * most_pairs_);
        const std::size_t entries =
            std::bit_floor(std::min<std::size_t>(transport_->queue_size_limit(number), control_entries));
        control_ = PV_TRY(NetControlQueue::create(marker_device(), number, entries));
        NetRing& ring = control_->ring();
        ring.set_doorbell(PV_TRY(transport_->enable_queue(number, static_cast<std::uint16_t>(entries),
                                                          ring.announce(), CommonRegisters::no_vector)));
    }
    return transport_->set_configuration_vector(configuration_entry);
}

Result<> Net::make_pair(std::size_t index) {
    const auto entries_of = [&](std::uint16_t number) {
        return std::bit_floor(std::min<std::size_t>(transport_->queue_size_limit(number), largest_queue));
    };
    const auto enable = [&](NetRing& ring) -> Result<> {
        const std::size_t entries = ring.entries();
        ring.set_doorbell(
            PV_TRY(transport_->enable_queue(ring.number(), static_cast<std::uint16_t>(entries),
                                            ring.announce(), static_cast<std::uint16_t>(index + 1))));
        return {};
    };
    Pair& pair = pairs_[index];
    pair.receive =
        PV_TRY(NetReceive::create(marker_device(), receive_number(index), entries_of(receive_number(index)),
                                  (features_ & NetFeature::mergeable_buffers) != 0));
    pair.transmit = PV_TRY(
        NetTransmit::create(marker_device(), transmit_number(index), entries_of(transmit_number(index))));
    PV_TRY(enable(pair.receive->ring()));
    PV_TRY(enable(pair.transmit->ring()));
    pair.transmit->ring().want_interrupts(false);
    return {};
}

void Net::use_pairs() {
    used_pairs_ = 1;
    if (pairs_.size() == 1 || control_ == nullptr) {
        return;
    }
    const le16 count{static_cast<std::uint16_t>(pairs_.size())};
    const Result<> set =
        control_->execute(NetControl::class_pairs, NetControl::pairs_set, std::as_bytes(std::span{&count, 1}),
                          Deadline::after(control_deadline));
    if (!set) {
        log::warning("{}: it does not serve {} queue pairs: {}", name(), pairs_.size(), set.error());
        return;
    }
    used_pairs_ = pairs_.size();
}

Result<> Net::reset(marker::ResetReason reason) {
    marker::device_reset(marker_device(), reason);
    const Result<> quiet = transport_->reset(Deadline::after(reset_deadline));
    if (!quiet) {
        log::error("{}: its reset is not done after {}", name(), reset_deadline);
    }
    return quiet;
}

void Net::read_link() {
    if ((features_ & NetFeature::status) == 0) {
        link_ = true;
        return;
    }
    const auto status = transport_->configuration(
        NetRegisters::minimum_length,
        [](const mmio::Window& window) { return window.read(NetRegisters::status); });
    link_ = status && (*status & NetRegisters::status_link_up) != 0;
}

void Net::release_queues() {
    for (Pair& pair : pairs_) {
        if (pair.receive != nullptr) {
            before_.received += pair.receive->frames();
            before_.received_bytes += pair.receive->bytes();
            pair.receive->release();
            pair.receive = nullptr;
        }
        if (pair.transmit != nullptr) {
            before_.sent += pair.transmit->frames();
            before_.sent_bytes += pair.transmit->bytes();
            before_.send_full += pair.transmit->full();
            pair.transmit->release();
            pair.transmit = nullptr;
        }
    }
    if (control_ != nullptr) {
        control_->release();
        control_ = nullptr;
    }
}

void Net::shut_down(Deadline deadline) {
    if (!taken_) {
        return;
    }
    taken_ = false;
    const auto owed = [&] {
        std::size_t frames = 0;
        for (Pair& pair : pairs_) {
            if (pair.transmit != nullptr) {
                (void)pair.transmit->reclaim();
                frames += pair.transmit->lie().empty() ? pair.transmit->outstanding() : 0;
            }
        }
        return frames;
    };
    while (!dead_.load(std::memory_order_seq_cst) && link_ && owed() != 0 && !deadline.expired()) {
        task::sleep(1_ms);
    }
    if (const std::size_t frames = owed(); frames != 0) {
        log::warning("{}: {} frames are still to be sent; the device is reset with them", name(), frames);
    }
    const Result<> quiet = dead_.load(std::memory_order_seq_cst) ? fail(Error::device_failed)
                                                                 : reset(marker::ResetReason::shutdown);
    for (std::size_t entry = 0; entry <= pairs_.size(); ++entry) {
        pci_.mask_vector(entry);
    }
    pci_.disable_msix();
    // Without bus mastering it cannot reach memory, even if it did not obey: all mappings may end.
    pci_.set_bus_mastering(false);
    marker::device_release(marker_device());
    release_queues();
    log::info("{}: {}", name(), quiet ? "at rest" : "cut off from memory");
}

}  // namespace pv::virtio
