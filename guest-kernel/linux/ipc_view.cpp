// /proc/sysvipc: all System V objects.
// SPDX-License-Identifier: MIT
#include "linux/ipc_view.hpp"

namespace pv::linux {
namespace {

Outcome<> write(fs::IpcText which, fs::Text& text) {
    switch (which) {
        case fs::IpcText::queues:
            write_queues(text);
            break;
        case fs::IpcText::semaphores:
            write_semaphores(text);
            break;
        case fs::IpcText::segments:
            write_segments(text);
            break;
    }
    return {};
}

}  // namespace

void start_ipc_view() {
    fs::set_ipc_writer(write);
}

}  // namespace pv::linux
