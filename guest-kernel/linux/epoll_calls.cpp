// Calls on epoll instances and event descriptors.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <limits>

#include "fs/epoll.hpp"
#include "fs/event_file.hpp"
#include "fs/tmpfs.hpp"
#include "linux/descriptors.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"

namespace pv::linux {
namespace {

struct [[gnu::packed]] EventValue {
    std::uint32_t events;
    std::uint64_t data;
};

static_assert(sizeof(EventValue) == 12);

Outcome<Ref<fs::OpenFile>> get_epoll(Call& call, int descriptor) {
    auto file = PV_TRY(get(call, descriptor));
    if (file->kind() != fs::FileKind::epoll) {
        return fail(Errno::einval);
    }
    return file;
}

Value epoll_create1(Call& call, int flags) {
    if ((flags & ~EPOLL_CLOEXEC) != 0) {
        return fail(Errno::einval);
    }
    return as_value(add(call, PV_TRY(fs::Epoll::create()), (flags & EPOLL_CLOEXEC) != 0));
}

Value epoll_create(Call& call, int size) {
    return size <= 0 ? Value(fail(Errno::einval)) : epoll_create1(call, 0);
}

Value epoll_ctl(Call& call, int epoll, int operation, int descriptor, UserPointer<const EventValue> event) {
    fs::EpollEvent given;
    if (operation != EPOLL_CTL_DEL) {
        const EventValue value = PV_TRY(event.read());
        given = {value.events, value.data};
    }
    const auto instance = PV_TRY(get(call, epoll));
    const auto file = PV_TRY(get(call, descriptor));
    if (!file->is_pollable()) {
        return fail(Errno::eperm);
    }
    if (instance->kind() != fs::FileKind::epoll || instance == file) {
        return fail(Errno::einval);
    }
    auto& watched = static_cast<fs::Epoll&>(*instance);
    switch (operation) {
        case EPOLL_CTL_ADD:
            return done(watched.add(*file, descriptor, given));
        case EPOLL_CTL_MOD:
            return done(watched.modify(*file, descriptor, given));
        case EPOLL_CTL_DEL:
            return done(watched.remove(*file, descriptor));
        default:
            return fail(Errno::einval);
    }
}

Value wait_until(Call& call, int epoll, UserPointer<EventValue> events, int count, Deadline deadline) {
    constexpr int count_max = std::numeric_limits<int>::max() / static_cast<int>(sizeof(EventValue));
    if (count <= 0 || count > count_max) {
        return fail(Errno::einval);
    }
    const auto instance = PV_TRY(get_epoll(call, epoll));
    auto& watched = static_cast<fs::Epoll&>(*instance);
    const auto wanted = static_cast<std::size_t>(count);
    std::array<fs::EpollEvent, 64> room;
    std::uint64_t round = 0;
    std::size_t found =
        PV_TRY(watched.wait_for(std::span(room).first(std::min(room.size(), wanted)), deadline, round));
    std::size_t done = 0;
    while (true) {
        for (std::size_t i = 0; i < found; ++i, ++done) {
            const auto put = (events + done).write({room[i].events, room[i].data});
            if (!put) {
                return done != 0 ? Value(done) : fail(put.error());
            }
        }
        if (found < room.size() || done == wanted) {
            return done;
        }
        found = watched.take_more(std::span(room).first(std::min(room.size(), wanted - done)), round);
    }
}

Deadline after(int milliseconds) {
    return milliseconds < 0
               ? Deadline::never("a program waits for readiness")
               : Deadline::after(Duration::milliseconds(static_cast<std::uint64_t>(milliseconds)));
}

Value epoll_wait(Call& call, int epoll, UserPointer<EventValue> events, int count, int milliseconds) {
    return wait_until(call, epoll, events, count, after(milliseconds));
}

// With a mask of signals for as long as it waits, if there is one.
Value wait_masked(Call& call, int epoll, UserPointer<EventValue> events, int count, Deadline deadline,
                  UserPointer<const task::SignalSet> mask, std::uint64_t mask_size) {
    const bool masks = !mask.is_null();
    if (masks) {
        if (mask_size != sizeof(task::SignalSet)) {
            return fail(Errno::einval);
        }
        const task::SignalSet during = PV_TRY(mask.read());
        call.thread.saved_blocked = call.thread.blocked.load(std::memory_order_relaxed);
        task::set_blocked(call.thread, during);
        call.thread.has_saved_blocked = true;
    }
    const Value result = wait_until(call, epoll, events, count, deadline);
    if (masks && (result || result.error() != Errno::eintr)) {
        call.thread.has_saved_blocked = false;
        task::set_blocked(call.thread, call.thread.saved_blocked);
    }
    return result;
}

Value epoll_pwait(Call& call, int epoll, UserPointer<EventValue> events, int count, int milliseconds,
                  UserPointer<const task::SignalSet> mask, std::uint64_t mask_size) {
    return wait_masked(call, epoll, events, count, after(milliseconds), mask, mask_size);
}

Value epoll_pwait2(Call& call, int epoll, UserPointer<EventValue> events, int count,
                   UserPointer<const timespec> timeout, UserPointer<const task::SignalSet> mask,
                   std::uint64_t mask_size) {
    Deadline deadline = after(-1);
    if (!timeout.is_null()) {
        const timespec span = PV_TRY(timeout.read());
        deadline = PV_TRY(deadline_after(span));
    }
    return wait_masked(call, epoll, events, count, deadline, mask, mask_size);
}

Value eventfd2(Call& call, std::uint32_t initial, int flags) {
    if ((flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) != 0) {
        return fail(Errno::einval);
    }
    auto file = PV_TRY(fs::create_event_file(initial, (flags & EFD_SEMAPHORE) != 0,
                                             static_cast<std::uint32_t>(flags & EFD_NONBLOCK)));
    return as_value(add(call, std::move(file), (flags & EFD_CLOEXEC) != 0));
}

Value eventfd(Call& call, std::uint32_t initial) {
    return eventfd2(call, initial, 0);
}

Value memfd_create(Call& call, UserString name, std::uint32_t flags) {
    constexpr std::uint32_t close_on_exec = 1;
    constexpr std::uint32_t allow_sealing = 2;
    if ((flags & ~(close_on_exec | allow_sealing)) != 0) {
        return fail(Errno::einval);
    }
    std::array<char, 250> text{};
    const auto length = name.read(text);
    if (!length) {
        return fail(length.error() == Errno::enametoolong ? Errno::einval : length.error());
    }
    auto file = PV_TRY(fs::create_memfd({text.data(), *length}, (flags & allow_sealing) != 0));
    return as_value(add(call, std::move(file), (flags & close_on_exec) != 0));
}

constexpr Entry entries[] = {
    {__NR_epoll_create, "epoll_create", handler_of<epoll_create>},
    {__NR_epoll_create1, "epoll_create1", handler_of<epoll_create1>},
    {__NR_epoll_ctl, "epoll_ctl", handler_of<epoll_ctl>},
    {__NR_epoll_wait, "epoll_wait", handler_of<epoll_wait>, Support::full, {}, Restart::no},
    {__NR_epoll_pwait, "epoll_pwait", handler_of<epoll_pwait>, Support::full, {}, Restart::no},
    {__NR_epoll_pwait2, "epoll_pwait2", handler_of<epoll_pwait2>, Support::full, {}, Restart::no},
    {__NR_eventfd, "eventfd", handler_of<eventfd>},
    {__NR_eventfd2, "eventfd2", handler_of<eventfd2>},
    {__NR_memfd_create, "memfd_create", handler_of<memfd_create>, Support::partial, "no huge pages"},
};

}  // namespace

constinit const std::span<const Entry> epoll_calls = entries;

}  // namespace pv::linux
