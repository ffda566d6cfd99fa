// The network of this machine.
// SPDX-License-Identifier: MIT
#include "exercise/network.hpp"

#include <utility>

#include "base/log.hpp"
#include "device/pci/machine.hpp"
#include "device/virtio/net.hpp"
#include "device/virtio/spec.hpp"
#include "exercise/occupants.hpp"
#include "net/echo_client.hpp"
#include "net/machine.hpp"
#include "net/ping.hpp"
#include "net/services.hpp"

namespace pv::exercise {
namespace {

bool is_virtio_net(const pci::Found& found) {
    return virtio::device_type(found.vendor, found.device) == virtio::DeviceType::network;
}

net::Ip4 from_number(std::uint32_t address) {
    return {{static_cast<std::uint8_t>(address >> 24), static_cast<std::uint8_t>(address >> 16),
             static_cast<std::uint8_t>(address >> 8), static_cast<std::uint8_t>(address)}};
}

}  // namespace

void Network::take(const pci::Found& found) {
    if (!is_virtio_net(found)) {
        return;
    }
    auto device = virtio::Net::create(pci::function_at(found.address), number_++);
    if (!device || !addresses_.push_back(found.address) || !devices_.push_back(std::move(*device))) {
        ++failed_;
    }
}

Result<> Network::occupy(pci::Slots& slots) {
    for (std::size_t i = 0; stack_ != nullptr && i < stack_->count(); ++i) {
        PV_TRY(exercise::occupy(slots, stack_->interface(i).device(), addresses_[i]));
    }
    return {};
}

Result<> Network::start(const NetPlan& plan, bool for_programs) {
    if (devices_.empty() && !for_programs) {
        return {};
    }
    stack_ = PV_TRY(net::Stack::create());
    net::Addressing addressing{plan.address, plan.gateway};
    for (auto& device : devices_) {
        PV_TRY(stack_->add(std::move(device), addressing));
        addressing = {};  // one address is one interface's
    }
    devices_.clear();
    PV_TRY(stack_->start());
    if (for_programs) {
        net::offer(*stack_);
    }
    return {};
}

NetFigures Network::run(const NetPlan& plan) {
    NetFigures figures;
    if (stack_ == nullptr) {
        return figures;
    }
    const Deadline address_by = Deadline::after(plan.wait);
    for (std::size_t i = 0; i < stack_->count(); ++i) {
        net::Interface& interface = stack_->interface(i);
        const auto has_address = [&] {
            return interface.view().address.load(std::memory_order_acquire) != 0;
        };
        if (!interface.view().changed.wait(address_by, has_address)) {
            log::error("net: {} has no address after {}", interface.device().name(), plan.wait);
            ++figures.timeouts;
        } else if (i == 0) {
            ask(interface, plan, figures);
        }
    }
    if (plan.serve != Duration{}) {
        log::info("net: serves echo and discard for {}", plan.serve);
        const std::uint64_t served = plan.connections == 0 ? ~std::uint64_t{0} : plan.connections;
        if (!net::wait_for_served(served, Deadline::after(plan.serve)) && plan.connections != 0) {
            log::error("net: {} of {} connections came and ended", net::service_counts().ended,
                       plan.connections);
            ++figures.timeouts;
        }
        const net::ServiceCounts count = net::service_counts();
        log::info("net: served {} connections and {} bytes, {} datagrams and {} bytes", count.ended,
                  count.bytes, count.datagrams, count.datagram_bytes);
    }
    if (stack_->stopped()) {
        ++figures.errors;
    }
    return figures;
}

void Network::ask(net::Interface& interface, const NetPlan& plan, NetFigures& figures) {
    const net::Ip4 peer = plan.peer.is_set()
                              ? plan.peer
                              : from_number(interface.view().gateway.load(std::memory_order_acquire));
    const Deadline deadline = Deadline::after(plan.limit);
    if (!peer.is_set()) {
        if (plan.echo != 0) {
            log::error("net: there is neither a peer nor a gateway to ask");
            figures.set_up = false;
        }
        return;
    }
    if (plan.pings != 0) {
        const auto pings = net::ping(*stack_, {.peer = peer, .count = plan.pings}, deadline);
        const net::PingFigures found = pings.value_or(net::PingFigures{});
        log::info("net: {} answered {} of {} echo requests ({} bytes), {} wrong, {} lost, {} asked again",
                  net::AddressText{peer}, found.answered, plan.pings, found.bytes, found.wrong, found.lost,
                  found.repeated);
        figures.mismatches += found.wrong;
        figures.timeouts += found.lost;
        figures.errors += pings ? 0U : 1U;
    }
    if (plan.echo != 0) {
        net::EchoFigures found;
        const Result<> echoed = net::echo(*stack_, peer, plan.echo, deadline, found);
        log::info("net: {} returned {} of {} bytes by TCP in {}, {} wrong{}{}", net::AddressText{peer},
                  found.returned, plan.echo, found.span, found.wrong, echoed ? "" : ": ",
                  echoed ? std::string_view{} : to_string(echoed.error()));
        figures.mismatches += found.wrong;
        if (!echoed) {
            ++(echoed.error() == Error::timed_out ? figures.timeouts : figures.errors);
        }
    }
}

void Network::print_status() {
    if (stack_ != nullptr) {
        stack_->print_status();
    }
}

void Network::let_go(Duration patience) {
    if (stack_ != nullptr) {
        net::withdraw();
        stack_->set_patience(patience);
        stack_ = nullptr;
    }
    for (auto& device : devices_) {
        device->shut_down(Deadline::after(patience));
    }
    devices_.clear();
}

}  // namespace pv::exercise
