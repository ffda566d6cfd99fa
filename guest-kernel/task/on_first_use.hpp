// Static objects that cannot be constant-initialised.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace pv::task {

/// A static T that is made when it is first asked for and never destroyed: for what has no constexpr
/// constructor, as boost::intrusive's containers, in a kernel that runs no constructors at its start and no
/// destructors at its end. Who asks first must be alone: with the lock that guards the T, or on its only
/// thread. Inside Guarded it is seen as the T (task/lock.hpp).
template <class T>
class OnFirstUse {
  public:
    constexpr OnFirstUse() = default;

    OnFirstUse(const OnFirstUse&) = delete;
    OnFirstUse& operator=(const OnFirstUse&) = delete;

    T& operator*() {
        if (made_ == nullptr) {
            made_ = ::new (room_.data()) T;
        }
        return *made_;
    }

    T* operator->() { return &**this; }

  private:
    alignas(T) std::array<std::byte, sizeof(T)> room_{};
    T* made_ = nullptr;
};

}  // namespace pv::task
