// What calls on sockets share.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/socket.hpp"
#include "linux/descriptors.hpp"

namespace pv::linux {

/// Errors: ebadf, enotsock.
[[nodiscard]] inline Outcome<Ref<fs::Socket>> get_socket(Call& call, int descriptor) {
    auto file = PV_TRY(get(call, descriptor));
    if (file->kind() != fs::FileKind::socket) {
        return fail(Errno::enotsock);
    }
    return Ref<fs::Socket>::adopt(static_cast<fs::Socket*>(file.release()));
}

}  // namespace pv::linux
