// Interrupt messages of a host: an address that only hosted::raise understands.
// SPDX-License-Identifier: MIT
#include "hosted/control.hpp"
#include "interrupt/delivery.hpp"

namespace pv::interrupt {

Message message_for(std::uint8_t number) {
    return {0xfee0'0000, number};
}

}  // namespace pv::interrupt

namespace pv::hosted {

void raise(const interrupt::Message& message) {
    if (message.address == 0xfee0'0000) {
        interrupt::dispatch(static_cast<std::uint8_t>(message.data));
    }
}

}  // namespace pv::hosted
