// How calls change who the caller is.
// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "linux/call.hpp"
#include "task/lock.hpp"

namespace pv::linux {

/// The calling thread becomes what `change`, an Outcome<>(Identity&), makes of it. Errors: those of `change`.
template <class F>
[[nodiscard]] Outcome<> become(Call& call, F&& change) {
    task::Identity identity = call.thread.identity;
    PV_TRY(std::forward<F>(change)(identity));
    const task::SpinGuard guard(task::tree_lock());
    task::change_identity(call.thread, identity);
    return {};
}

}  // namespace pv::linux
