// Who answers for /proc/sysvipc.
// SPDX-License-Identifier: MIT
#include "fs/ipc_view.hpp"

#include "base/atomic.hpp"

namespace pv::fs {
namespace {

constinit Atomic<IpcWriter> ipc_writer{nullptr};

}  // namespace

void set_ipc_writer(IpcWriter writer) {
    ipc_writer.store(writer, std::memory_order_release);
}

Outcome<> write_ipc(IpcText which, Text& text) {
    const IpcWriter writer = ipc_writer.load(std::memory_order_acquire);
    return writer == nullptr ? Outcome<>() : writer(which, text);
}

}  // namespace pv::fs
