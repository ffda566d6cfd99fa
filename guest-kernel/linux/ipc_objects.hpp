// System V objects: numbers, keys and permissions, which shared memory, semaphores and messages have in
// common.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/ipc.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/ref.hpp"
#include "base/wall_time.hpp"
#include "fs/synthetic.hpp"
#include "linux/call.hpp"
#include "task/lock.hpp"

namespace pv::linux::ipc {

/// Who may do what with an object: guarded by the lock of its table.
struct Permission {
    key_t key = IPC_PRIVATE;
    std::uint32_t user = 0, group = 0;
    std::uint32_t maker = 0, maker_group = 0;
    std::uint32_t mode = 0;  ///< rwxrwxrwx, and what a kind marks besides
    std::uint32_t sequence = 0;
};

/// What IPC_SET may change, as a program gives it.
struct NewPermission {
    std::uint32_t user = 0, group = 0, mode = 0;
};

/// Rights that may be asked for.
constexpr std::uint32_t reading = 0444;
constexpr std::uint32_t writing = 0222;
/// The marks of a mode that are rights.
constexpr std::uint32_t rights_mask = 0777;

/// What each of them has besides being RefCounted.
class Object {
  public:
    /// Its number: constant once it is in its table.
    [[nodiscard]] int number() const { return number_; }

  protected:
    Object() = default;
    ~Object() = default;

  private:
    template <class T>
    friend class Objects;

    int number_ = -1;
    Permission permission_;
    Timestamp changed_{};  ///< under the table's lock, as the permission
};

/// Whether the caller may do what `flags` asks, as the nine bits of a mode do (ipc(2)).
[[nodiscard]] bool may(const Call& call, const Permission& permission, std::uint32_t flags);
/// Whether the caller may change or remove an object: its owner, its maker, or who has `beside`.
[[nodiscard]] bool owns(const Call& call, const Permission& permission,
                        Capability beside = Capability::sys_admin);
[[nodiscard]] ipc_perm value_of(const Permission& permission);

// Parts of a line of /proc/sysvipc: key, number and mode; users and groups.
void write_head(fs::Text& text, const ipc_perm& permission, int number);
void write_users(fs::Text& text, const ipc_perm& permission);

/// Whole seconds since 1970, 0 for never.
[[nodiscard]] inline time_t seconds_of(Timestamp time) {
    return time.seconds;
}

/// All objects of one kind. The table owns one part of each until it is removed; one that others still use
/// may stay findable by its number (`keep_listed`), until `forget`.
template <class T>
class Objects {
  public:
    static constexpr std::size_t count_max = 4096;

    /// The object with that number. Error: einval.
    [[nodiscard]] Outcome<Ref<T>> find(int number) {
        return table_.with([&](Table& table) -> Outcome<Ref<T>> {
            T* object = table.at(number);
            if (object == nullptr || !object->try_add_owner()) {
                return fail(Errno::einval);
            }
            return Ref<T>::adopt(object);
        });
    }

    /// The same for whom its mode lets. Errors: einval, eacces.
    [[nodiscard]] Outcome<Ref<T>> find(const Call& call, int number, std::uint32_t flags) {
        auto object = PV_TRY(find(number));
        if (!may(call, permission(*object), flags)) {
            return fail(Errno::eacces);
        }
        return object;
    }

    /// By place in the table, for who lists all (SHM_STAT and its kin). Error: einval.
    [[nodiscard]] Outcome<Ref<T>> find_at(int index) {
        return table_.with([&](Table& table) -> Outcome<Ref<T>> {
            const bool is_in = index >= 0 && static_cast<std::size_t>(index) < count_max;
            T* object = is_in ? table.slots[static_cast<std::size_t>(index)] : nullptr;
            if (object == nullptr || !object->try_add_owner()) {
                return fail(Errno::einval);
            }
            return Ref<T>::adopt(object);
        });
    }

    /// shmget(2) and its kin: `fits(T&)` looks at one that has the key already, `make()` makes another.
    /// Errors: enoent, eexist, eacces, enospc; theirs.
    template <class Fits, class Make>
    [[nodiscard]] Outcome<int> get(const Call& call, key_t key, int flags, Fits&& fits, Make&& make) {
        while (true) {
            if (const Ref<T> found = key == IPC_PRIVATE ? Ref<T>() : with_key(key)) {
                if ((flags & IPC_CREAT) != 0 && (flags & IPC_EXCL) != 0) {
                    return fail(Errno::eexist);
                }
                PV_TRY(fits(*found));
                if (!may(call, permission(*found), static_cast<std::uint32_t>(flags))) {
                    return fail(Errno::eacces);
                }
                return found->number();
            }
            if (key != IPC_PRIVATE && (flags & IPC_CREAT) == 0) {
                return fail(Errno::enoent);
            }
            Ref<T> made = PV_TRY(make());
            const auto& who = call.thread.identity;
            made->permission_ = {key,
                                 who.effective_user,
                                 who.effective_group,
                                 who.effective_user,
                                 who.effective_group,
                                 static_cast<std::uint32_t>(flags) & rights_mask,
                                 0};
            made->changed_ = wall_time();
            const Outcome<bool> listed = table_.with([&](Table& table) { return table.add(*made); });
            if (!listed) {
                return fail(listed.error());
            }
            if (*listed) {
                return made.release()->number_;  // the table's part
            }
        }
    }

    [[nodiscard]] Permission permission(const T& object) {
        return table_.with([&](Table&) { return object.permission_; });
    }

    [[nodiscard]] Timestamp changed(const T& object) {
        return table_.with([&](Table&) { return object.changed_; });
    }

    /// It was changed just now.
    void touch(T& object) {
        table_.with([&](Table&) { object.changed_ = wall_time(); });
    }

    /// IPC_SET. Errors: eperm; einval: such users are none.
    [[nodiscard]] Outcome<> set(const Call& call, T& object, const NewPermission& wanted) {
        return table_.with([&](Table&) -> Outcome<> {
            if (!owns(call, object.permission_)) {
                return fail(Errno::eperm);
            }
            if (wanted.user == ~0U || wanted.group == ~0U) {
                return fail(Errno::einval);
            }
            object.permission_.user = wanted.user;
            object.permission_.group = wanted.group;
            object.permission_.mode = (object.permission_.mode & ~rights_mask) | (wanted.mode & rights_mask);
            object.changed_ = wall_time();
            return {};
        });
    }

    /// IPC_RMID: the table's part goes. With `marks` it stays findable by its number alone, and its mode has
    /// the marks besides, until `forget`; then once only. Errors: eperm; einval: it was removed before.
    [[nodiscard]] Outcome<> remove(const Call& call, T& object, std::uint32_t marks = 0) {
        Ref<T> own;
        const Outcome<> removed = table_.with([&](Table& table) -> Outcome<> {
            if (!owns(call, object.permission_)) {
                return fail(Errno::eperm);
            }
            if (table.at(object.number_) != &object) {
                return fail(Errno::einval);
            }
            if (marks != 0 && (object.permission_.mode & marks) != 0) {
                return {};
            }
            object.permission_.mode |= marks;
            object.permission_.key = IPC_PRIVATE;
            if (marks == 0) {
                table.drop(object);
            }
            own = Ref<T>::adopt(&object);
            return {};
        });
        return removed;
    }

    /// Takes out what `remove` left: from the object's own end.
    void forget(T& object) {
        table_.with([&](Table& table) {
            if (table.at(object.number_) == &object) {
                table.drop(object);
            }
        });
    }

    [[nodiscard]] std::size_t count() {
        return table_.with([](Table& table) { return table.count; });
    }

    /// Calls f(const Ref<T>&) for each, in order of their places.
    template <class F>
    void for_each(F&& f) {
        for (std::size_t i = 0; i < count_max; ++i) {
            if (const auto object = find_at(static_cast<int>(i))) {
                f(*object);
            }
        }
    }

    /// The highest place that is taken, 0 where none is: what IPC_INFO returns.
    [[nodiscard]] std::uint64_t highest() {
        return table_.with([](Table& table) -> std::uint64_t {
            for (std::size_t i = count_max; i-- > 0;) {
                if (table.slots[i] != nullptr) {
                    return i;
                }
            }
            return 0;
        });
    }

  private:
    /// A number is a place in the table and, above it, how often places were given anew.
    static constexpr int place_bits = 15;
    static_assert(count_max <= std::size_t{1} << place_bits);

    struct Table {
        std::array<T*, count_max> slots{};
        std::size_t count = 0;
        std::size_t last = 0;
        std::uint32_t sequence = 0;

        [[nodiscard]] T* at(int number) const {
            const auto place = static_cast<std::uint32_t>(number) & ((1U << place_bits) - 1);
            T* object = number >= 0 && place < count_max ? slots[place] : nullptr;
            return object != nullptr && object->number_ == number ? object : nullptr;
        }

        /// False where its key is taken. Error: enospc.
        Outcome<bool> add(T& object) {
            const key_t key = object.permission_.key;
            std::size_t place = count_max;
            for (std::size_t i = 0; i < count_max; ++i) {
                if (slots[i] == nullptr) {
                    place = std::min(place, i);
                } else if (key != IPC_PRIVATE && slots[i]->permission_.key == key) {
                    return false;
                }
            }
            if (place == count_max) {
                return fail(Errno::enospc);
            }
            if (place <= last && ++sequence > 0xffff) {
                sequence = 0;
            }
            last = place;
            object.permission_.sequence = sequence;
            object.number_ = static_cast<int>(sequence << place_bits | place);
            slots[place] = &object;
            ++count;
            return true;
        }

        void drop(const T& object) {
            slots[static_cast<std::uint32_t>(object.number_) & ((1U << place_bits) - 1)] = nullptr;
            --count;
        }
    };

    [[nodiscard]] Ref<T> with_key(key_t key) {
        return table_.with([&](Table& table) -> Ref<T> {
            for (T* object : table.slots) {
                if (object != nullptr && object->permission_.key == key && object->try_add_owner()) {
                    return Ref<T>::adopt(object);
                }
            }
            return {};
        });
    }

    task::Guarded<Table, task::Rank::ipc> table_;
};

}  // namespace pv::linux::ipc
