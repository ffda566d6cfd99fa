// Calls that wait for readiness: poll and select.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>

#include <algorithm>

#include "fs/poll.hpp"
#include "linux/descriptors.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"

namespace pv::linux {
namespace {

struct PollValue {
    int descriptor;
    std::uint16_t wanted;
    std::uint16_t found;
};

static_assert(sizeof(PollValue) == 8);

/// The files asked about, kept open meanwhile.
struct Files {
    Vector<Ref<fs::OpenFile>> kept;
    Vector<fs::PollEntry> entries;

    Outcome<> add(Call& call, int descriptor, std::uint32_t wanted) {
        fs::PollEntry entry{.wanted = wanted};
        if (descriptor >= 0) {
            auto file = get(call, descriptor);
            entry.is_open = file.has_value();
            if (file) {
                entry.file = file->get();
                PV_TRY(as_outcome(kept.push_back(std::move(*file))));
            }
        }
        return as_outcome(entries.push_back(entry));
    }
};

// While it waits, the thread has another mask; a signal's frame restores the old one.
void mask_meanwhile(Call& call, task::SignalSet during) {
    call.thread.saved_blocked = call.thread.blocked.load(std::memory_order_relaxed);
    task::set_blocked(call.thread, during);
    call.thread.has_saved_blocked = true;
}

void unmask(Call& call, bool interrupted) {
    if (!interrupted && call.thread.has_saved_blocked) {
        call.thread.has_saved_blocked = false;
        task::set_blocked(call.thread, call.thread.saved_blocked);
    }
}

Value poll_until(Call& call, UserPointer<PollValue> list, std::uint32_t count, Deadline deadline) {
    if (count > limit(call)) {
        return fail(Errno::einval);
    }
    Files files;
    for (std::uint32_t i = 0; i < count; ++i) {
        const PollValue value = PV_TRY((list + i).read());
        PV_TRY(files.add(call, value.descriptor, value.wanted));
    }
    const std::size_t ready = PV_TRY(fs::poll(files.entries, deadline));
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto found = static_cast<std::uint16_t>(files.entries[i].found);
        PV_TRY(copy_out((list + i).address() + offsetof(PollValue, found), fs::bytes_of(found)));
    }
    return ready;
}

Value poll(Call& call, UserPointer<PollValue> list, std::uint32_t count, int milliseconds) {
    const Deadline deadline =
        milliseconds < 0 ? Deadline::never("a program waits for readiness")
                         : Deadline::after(Duration::milliseconds(static_cast<std::uint64_t>(milliseconds)));
    return poll_until(call, list, count, deadline);
}

Outcome<Deadline> deadline_of(UserPointer<const timespec> timeout) {
    if (timeout.is_null()) {
        return Deadline::never("a program waits for readiness");
    }
    const timespec span = PV_TRY(timeout.read());
    return deadline_after(span);
}

Outcome<> apply_mask(Call& call, UserPointer<const task::SignalSet> mask, std::uint64_t size) {
    if (mask.is_null()) {
        return {};
    }
    if (size != sizeof(task::SignalSet)) {
        return fail(Errno::einval);
    }
    mask_meanwhile(call, PV_TRY(mask.read()));
    return {};
}

Value ppoll(Call& call, UserPointer<PollValue> list, std::uint32_t count, UserPointer<const timespec> timeout,
            UserPointer<const task::SignalSet> mask, std::uint64_t size) {
    const Deadline deadline = PV_TRY(deadline_of(timeout));
    PV_TRY(apply_mask(call, mask, size));
    const Value result = poll_until(call, list, count, deadline);
    unmask(call, !result && result.error() == Errno::eintr);
    return result;
}

/// One of select's three sets: a bit a descriptor.
struct DescriptorSet {
    static constexpr std::size_t words_max = 1024 / 64;
    std::array<std::uint64_t, words_max> bits{};

    [[nodiscard]] bool has(unsigned i) const { return (bits[i / 64] >> (i % 64) & 1) != 0; }

    void set(unsigned i) { bits[i / 64] |= 1ULL << (i % 64); }
};

constexpr std::array<std::uint32_t, 3> select_wanted{fs::poll_event::readable | fs::poll_event::read_band,
                                                     fs::poll_event::writable | fs::poll_event::write_band,
                                                     fs::poll_event::priority};
constexpr std::array<std::uint32_t, 3> select_found{
    fs::poll_event::readable | fs::poll_event::read_band | fs::poll_event::hang_up | fs::poll_event::error,
    fs::poll_event::writable | fs::poll_event::write_band | fs::poll_event::error, fs::poll_event::priority};

Value select_until(Call& call, int count, const std::array<UserAddress, 3>& places, Deadline deadline) {
    if (count < 0) {
        return fail(Errno::einval);
    }
    const auto descriptors = std::min(static_cast<unsigned>(count), 1024U);
    const std::size_t bytes = align_up(descriptors, 64) / 8;
    std::array<DescriptorSet, 3> wanted;
    for (std::size_t s = 0; s < 3; ++s) {
        if (places[s].value() != 0) {
            PV_TRY(copy_in(std::as_writable_bytes(std::span(wanted[s].bits)).first(bytes), places[s]));
        }
    }
    Files files;
    Vector<unsigned> numbers;
    for (unsigned i = 0; i < descriptors; ++i) {
        std::uint32_t events = 0;
        for (std::size_t s = 0; s < 3; ++s) {
            events |= wanted[s].has(i) ? select_wanted[s] : 0;
        }
        if (events != 0) {
            PV_TRY(files.add(call, static_cast<int>(i), events));
            if (!files.entries[files.entries.size() - 1].is_open) {
                return fail(Errno::ebadf);
            }
            PV_TRY(as_outcome(numbers.push_back(i)));
        }
    }
    PV_TRY(fs::poll(files.entries, deadline));
    std::array<DescriptorSet, 3> found;
    std::uint64_t ready = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        for (std::size_t s = 0; s < 3; ++s) {
            if (wanted[s].has(numbers[i]) && (files.entries[i].found & select_found[s]) != 0) {
                found[s].set(numbers[i]);
                ++ready;
            }
        }
    }
    for (std::size_t s = 0; s < 3; ++s) {
        if (places[s].value() != 0) {
            PV_TRY(copy_out(places[s], std::as_bytes(std::span(found[s].bits)).first(bytes)));
        }
    }
    return ready;
}

Value select(Call& call, int count, UserAddress readable, UserAddress writable, UserAddress exceptional,
             UserPointer<TimevalValue> timeout) {
    Deadline deadline = Deadline::never("a program waits for readiness");
    if (!timeout.is_null()) {
        const TimevalValue span = PV_TRY(timeout.read());
        if (span.seconds < 0 || span.microseconds < 0) {
            return fail(Errno::einval);
        }
        deadline = Deadline::after(Duration::seconds(static_cast<std::uint64_t>(span.seconds)) +
                                   Duration::microseconds(static_cast<std::uint64_t>(span.microseconds)));
    }
    const Value result = select_until(call, count, {readable, writable, exceptional}, deadline);
    if (!timeout.is_null()) {
        // What is left of the time, as Linux tells it; a place that cannot be written is no error.
        static_cast<void>(timeout.write(TimevalValue::from(deadline.remaining())));
    }
    return result;
}

struct MaskArgument {
    std::uint64_t mask;
    std::uint64_t size;
};

Value pselect6(Call& call, int count, UserAddress readable, UserAddress writable, UserAddress exceptional,
               UserPointer<timespec> timeout, UserPointer<const MaskArgument> mask) {
    const Deadline deadline = PV_TRY(deadline_of(UserPointer<const timespec>(timeout.address().value())));
    if (!mask.is_null()) {
        const MaskArgument given = PV_TRY(mask.read());
        PV_TRY(apply_mask(call, UserPointer<const task::SignalSet>(given.mask), given.size));
    }
    const Value result = select_until(call, count, {readable, writable, exceptional}, deadline);
    unmask(call, !result && result.error() == Errno::eintr);
    if (!timeout.is_null()) {
        static_cast<void>(timeout.write(timespec_of(deadline.remaining())));
    }
    return result;
}

constexpr Entry entries[] = {
    {__NR_poll, "poll", handler_of<poll>, Support::full, {}, Restart::unless_handled},
    {__NR_ppoll, "ppoll", handler_of<ppoll>, Support::full, {}, Restart::unless_handled},
    {__NR_select, "select", handler_of<select>, Support::partial,
     "descriptors from 1024 on are not looked at", Restart::unless_handled},
    {__NR_pselect6, "pselect6", handler_of<pselect6>, Support::partial, "as select", Restart::unless_handled},
};

}  // namespace

constinit const std::span<const Entry> poll_calls = entries;

}  // namespace pv::linux
