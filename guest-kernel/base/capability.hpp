// What a program may do beyond everybody's rights, one by one (capabilities(7)).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv {

/// By Linux's numbers: task/abi_values.cpp holds them to the headers of the system-call interface.
enum class Capability : std::uint8_t {
    chown = 0,
    dac_override = 1,
    dac_read_search = 2,
    fowner = 3,
    fsetid = 4,
    kill = 5,
    setgid = 6,
    setuid = 7,
    setpcap = 8,
    linux_immutable = 9,
    net_bind_service = 10,
    net_admin = 12,
    net_raw = 13,
    ipc_lock = 14,
    ipc_owner = 15,
    sys_chroot = 18,
    sys_ptrace = 19,
    sys_admin = 21,
    sys_nice = 23,
    sys_resource = 24,
    sys_time = 25,
    mknod = 27,
    mac_override = 32,
    syslog = 34,
};

/// Some of them.
class CapabilitySet {
  public:
    static constexpr unsigned count = 41;  ///< Linux 6.1's, those that nothing here asks for among them

    constexpr CapabilitySet() = default;

    template <class... More>
    constexpr explicit CapabilitySet(Capability one, More... more)
        : bits_(bit(one) | CapabilitySet(more...).bits_) {}

    /// Bits that stand for none are left out.
    static constexpr CapabilitySet of_bits(std::uint64_t bits) {
        CapabilitySet set;
        set.bits_ = bits & ((std::uint64_t{1} << count) - 1);
        return set;
    }

    static constexpr CapabilitySet all() { return of_bits(~std::uint64_t{0}); }

    [[nodiscard]] constexpr std::uint64_t bits() const { return bits_; }

    [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }

    [[nodiscard]] constexpr bool has(Capability one) const { return (bits_ & bit(one)) != 0; }

    [[nodiscard]] constexpr bool has_all(CapabilitySet others) const { return (others.bits_ & ~bits_) == 0; }

    friend constexpr CapabilitySet operator|(CapabilitySet a, CapabilitySet b) {
        return of_bits(a.bits_ | b.bits_);
    }

    friend constexpr CapabilitySet operator&(CapabilitySet a, CapabilitySet b) {
        return of_bits(a.bits_ & b.bits_);
    }

    /// Those of the first that the second has not.
    friend constexpr CapabilitySet operator-(CapabilitySet a, CapabilitySet b) {
        return of_bits(a.bits_ & ~b.bits_);
    }

    friend constexpr bool operator==(CapabilitySet, CapabilitySet) = default;

  private:
    static constexpr std::uint64_t bit(Capability one) {
        return std::uint64_t{1} << static_cast<unsigned>(one);
    }

    std::uint64_t bits_ = 0;
};

}  // namespace pv
