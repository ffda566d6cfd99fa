// Registers whose accesses have effects at once, for models of devices.
// SPDX-License-Identifier: MIT
#include "hosted/registers.hpp"

#include <map>
#include <mutex>
#include <shared_mutex>

#include "boot/memory.hpp"

namespace pv::boot {

// Models have registers only.
bool overlaps_ram(PhysicalAddress, std::uint64_t) {
    return false;
}

}  // namespace pv::boot

namespace pv::hosted {
namespace {

struct Range {
    std::size_t length;
    Registers* model;
};

std::shared_mutex lock;
std::map<std::uintptr_t, Range> ranges;

}  // namespace

void model_registers(const volatile std::byte* base, std::size_t length, Registers* model) {
    const std::unique_lock guard(lock);
    if (model == nullptr) {
        ranges.erase(reinterpret_cast<std::uintptr_t>(base));
    } else {
        ranges[reinterpret_cast<std::uintptr_t>(base)] = {length, model};
    }
}

std::optional<ModelledRegister> modelled_register(const volatile std::byte* address) {
    const std::shared_lock guard(lock);
    const auto place = reinterpret_cast<std::uintptr_t>(address);
    auto found = ranges.upper_bound(place);
    if (found == ranges.begin()) {
        return std::nullopt;
    }
    --found;
    if (place - found->first >= found->second.length) {
        return std::nullopt;
    }
    return ModelledRegister{found->second.model, place - found->first};
}

}  // namespace pv::hosted
