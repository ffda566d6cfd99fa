// Who a program's thread is, and what that lets it do: users, groups, capabilities.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/capability.hpp"
#include "base/errno.hpp"
#include "fs/types.hpp"

namespace pv::task {

struct Executed;

/// What a program's file and its execution change of who executes it.
struct ExecutedFile {
    bool sets_user = false;   ///< and its mount lets it
    bool sets_group = false;  ///< the same
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    bool is_shared = false;   ///< others share the root and the current directory, and stay as they are
    bool is_watched = false;  ///< by a tracer that may not trace everybody
};

/// Who a thread is (credentials(7), capabilities(7)). Changed by its own calls, under the tree's lock.
struct Identity {
    std::uint32_t user = 0, effective_user = 0, saved_user = 0, file_user = 0;
    std::uint32_t group = 0, effective_group = 0, saved_group = 0, file_group = 0;
    static constexpr std::size_t groups_max = 32;
    std::array<std::uint32_t, groups_max> groups{};
    std::size_t group_count = 0;

    CapabilitySet inheritable;
    CapabilitySet permitted = CapabilitySet::all();
    CapabilitySet effective = CapabilitySet::all();
    CapabilitySet bounding = CapabilitySet::all();
    CapabilitySet ambient;
    std::uint32_t secure_bits = 0;   ///< SECBIT_*
    bool no_new_privileges = false;  ///< PR_SET_NO_NEW_PRIVS

    [[nodiscard]] bool has(Capability capability) const { return effective.has(capability); }

    [[nodiscard]] std::span<const std::uint32_t> other_groups() const {
        return std::span(groups).first(group_count);
    }

    /// Whether nothing sets it apart from who started it.
    [[nodiscard]] bool is_plain() const { return user == effective_user && group == effective_group; }

    /// kill(2): whether one with these numbers may send it signals, whatever capabilities that one has.
    [[nodiscard]] bool takes_signals_of(std::uint32_t sender, std::uint32_t effective_sender) const {
        return effective_sender == user || effective_sender == saved_user || sender == user ||
               sender == saved_user;
    }

    /// ptrace(2)'s rule: whether this one may look into `other`, where that is another process. By its real
    /// numbers, or by those that files are reached with.
    enum class By : std::uint8_t { real, file };
    [[nodiscard]] bool may_look_into(const Identity& other, bool is_dumpable, By by) const;

    /// After its users were changed from those of `before`: with the last of user 0 go the capabilities.
    void follow_users(const Identity& before);
    /// The same after setfsuid(2): those that files ask for.
    void follow_file_user(const Identity& before);
    /// After any of it: whether others that could look into the program may not any more.
    [[nodiscard]] bool is_withdrawn(const Identity& before) const;

    /// capset(2). Error: eperm.
    [[nodiscard]] Outcome<> set_capabilities(CapabilitySet new_effective, CapabilitySet new_permitted,
                                             CapabilitySet new_inheritable);
    /// PR_SET_SECUREBITS. Error: eperm.
    [[nodiscard]] Outcome<> set_secure_bits(std::uint64_t bits);
    /// PR_SET_KEEPCAPS. Error: eperm.
    [[nodiscard]] Outcome<> set_keeps_capabilities(bool keeps);
    [[nodiscard]] bool keeps_capabilities() const;
    /// PR_CAP_AMBIENT_RAISE. Error: eperm.
    [[nodiscard]] Outcome<> raise_ambient(CapabilitySet one);

    /// What access(2) asks by.
    [[nodiscard]] CapabilitySet real_capabilities() const;
    /// Who it is once it has executed the file.
    [[nodiscard]] Executed executed(const ExecutedFile& file) const;

  private:
    [[nodiscard]] bool is_in(std::uint32_t id) const;
};

struct Executed {
    Identity identity;
    bool is_secure = false;  ///< the program's libraries must not trust who started it (AT_SECURE)
};

}  // namespace pv::task
