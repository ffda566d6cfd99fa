// Descriptors: a growing array, and a bitmap in which the lowest free number is found.
// SPDX-License-Identifier: MIT
#include "fs/descriptor_table.hpp"

#include <algorithm>
#include <bit>
#include <new>

#include "fs/file_locks.hpp"

namespace pv::fs {
namespace {

constexpr unsigned word_bits = 64;

bool bit(const Vector<std::uint64_t>& words, unsigned index) {
    return ((words[index / word_bits] >> (index % word_bits)) & 1) != 0;
}

void set_bit(Vector<std::uint64_t>& words, unsigned index, bool on) {
    const std::uint64_t mask = std::uint64_t{1} << (index % word_bits);
    std::uint64_t& word = words[index / word_bits];
    word = on ? word | mask : word & ~mask;
}

}  // namespace

// A process that closes any descriptor of a file loses all its locks on it (fcntl(2)).
void DescriptorTable::left(OpenFile& file) {
    if (file.node() != nullptr) {
        drop_locks(*file.node(), this);
    }
    file.closed_once();
}

DescriptorTable::~DescriptorTable() {
    close_all();
}

Outcome<Ref<DescriptorTable>> DescriptorTable::create() {
    auto table = Ref<DescriptorTable>::adopt(new (std::nothrow) DescriptorTable);
    if (!table) {
        return fail(Errno::enomem);
    }
    PV_TRY(table->make_room(word_bits));
    return table;
}

Outcome<Ref<DescriptorTable>> DescriptorTable::duplicate() {
    auto copy = PV_TRY(create());
    while (true) {
        // A table that was large once would otherwise cost each child as much.
        PV_TRY(copy->make_room(state_.with([](const State& state) { return end_of(state); })));
        // Nobody else knows the copy yet: its lock is not needed, and would be of the same rank.
        State& to = copy->state_.unguarded();
        const bool copied = state_.with([&](State& from) {
            const unsigned end = end_of(from);
            if (end > to.slots.size()) {
                return false;  // another thread opened more
            }
            for (unsigned i = 0; i < end; ++i) {
                if (from.slots[i].file != nullptr) {
                    from.slots[i].file->add_owner();
                    place(to, i, from.slots[i].file, bit(from.on_exec, i));
                }
            }
            to.lowest_free = from.lowest_free;
            return true;
        });
        if (copied) {
            return copy;
        }
    }
}

Outcome<> DescriptorTable::make_room(unsigned count) {
    const unsigned wanted = (count + word_bits - 1) / word_bits * word_bits;
    // Filled outside the lock, which keeps interrupts off.
    while (true) {
        const auto size = state_.with([](const State& state) { return state.slots.size(); });
        if (size >= wanted) {
            return {};
        }
        const std::size_t larger = std::max<std::size_t>(wanted, size * 2);
        Vector<Slot> slots;
        Vector<std::uint64_t> used;
        Vector<std::uint64_t> on_exec;
        PV_TRY(as_outcome(slots.reserve(larger)));
        PV_TRY(as_outcome(used.reserve(larger / word_bits)));
        PV_TRY(as_outcome(on_exec.reserve(larger / word_bits)));
        state_.with([&](State& state) {
            if (state.slots.size() >= larger) {
                return;
            }
            // There is room: pushing cannot fail.
            for (std::size_t i = 0; i < larger; ++i) {
                (void)slots.push_back(i < state.slots.size() ? state.slots[i] : Slot{});
            }
            for (std::size_t i = 0; i < larger / word_bits; ++i) {
                (void)used.push_back(i < state.used.size() ? state.used[i] : 0);
                (void)on_exec.push_back(i < state.on_exec.size() ? state.on_exec[i] : 0);
            }
            std::swap(state.slots, slots);
            std::swap(state.used, used);
            std::swap(state.on_exec, on_exec);
        });
    }
}

unsigned DescriptorTable::free_from(const State& state, unsigned from) {
    unsigned index = std::max(from, state.lowest_free);
    while (index < state.slots.size()) {
        const std::uint64_t free = ~state.used[index / word_bits] >> (index % word_bits);
        if (free != 0) {
            return index + static_cast<unsigned>(std::countr_zero(free));
        }
        index = (index / word_bits + 1) * word_bits;
    }
    return index;
}

unsigned DescriptorTable::end_of(const State& state) {
    for (std::size_t i = state.used.size(); i > 0; --i) {
        if (const std::uint64_t word = state.used[i - 1]; word != 0) {
            return static_cast<unsigned>(i * word_bits) - static_cast<unsigned>(std::countl_zero(word));
        }
    }
    return 0;
}

void DescriptorTable::place(State& state, unsigned index, OpenFile* file, bool on_exec) {
    state.slots[index].file = file;
    set_bit(state.used, index, true);
    set_bit(state.on_exec, index, on_exec);
    ++state.count;
}

OpenFile* DescriptorTable::take(State& state, unsigned index) {
    OpenFile* file = std::exchange(state.slots[index].file, nullptr);
    if (file != nullptr) {
        set_bit(state.used, index, false);
        set_bit(state.on_exec, index, false);
        state.lowest_free = std::min(state.lowest_free, index);
        --state.count;
    }
    return file;
}

Outcome<Ref<OpenFile>> DescriptorTable::get(int descriptor) const {
    OpenFile* file = state_.with([&](const State& state) -> OpenFile* {
        if (descriptor < 0 || static_cast<unsigned>(descriptor) >= state.slots.size()) {
            return nullptr;
        }
        OpenFile* found = state.slots[static_cast<unsigned>(descriptor)].file;
        if (found != nullptr) {
            found->add_owner();
        }
        return found;
    });
    if (file == nullptr) {
        return fail(Errno::ebadf);
    }
    return Ref<OpenFile>::adopt(file);
}

Outcome<int> DescriptorTable::add(Ref<OpenFile> file, bool close_on_exec, unsigned limit, unsigned from) {
    limit = std::min(limit, count_max);
    if (from >= limit) {
        return fail(from == 0 ? Errno::emfile : Errno::einval);
    }
    while (true) {
        unsigned index = 0;
        const bool placed = state_.with([&](State& state) {
            index = free_from(state, from);
            if (index >= limit || index >= state.slots.size()) {
                return false;
            }
            place(state, index, file.release(), close_on_exec);
            if (from <= state.lowest_free) {
                state.lowest_free = index + 1;
            }
            return true;
        });
        if (placed) {
            return static_cast<int>(index);
        }
        if (index >= limit) {
            return fail(Errno::emfile);
        }
        PV_TRY(make_room(index + 1));
    }
}

Outcome<> DescriptorTable::set(int descriptor, Ref<OpenFile> file, bool close_on_exec, unsigned limit) {
    limit = std::min(limit, count_max);
    if (descriptor < 0 || static_cast<unsigned>(descriptor) >= limit) {
        return fail(Errno::ebadf);
    }
    const auto index = static_cast<unsigned>(descriptor);
    PV_TRY(make_room(index + 1));
    const Ref<OpenFile> before = Ref<OpenFile>::adopt(state_.with([&](State& state) {
        OpenFile* old = take(state, index);
        place(state, index, file.release(), close_on_exec);
        return old;
    }));
    if (before) {
        left(*before);
    }
    return {};
}

Outcome<> DescriptorTable::close(int descriptor) {
    const Ref<OpenFile> file = Ref<OpenFile>::adopt(state_.with([&](State& state) -> OpenFile* {
        if (descriptor < 0 || static_cast<unsigned>(descriptor) >= state.slots.size()) {
            return nullptr;
        }
        return take(state, static_cast<unsigned>(descriptor));
    }));
    if (!file) {
        return fail(Errno::ebadf);
    }
    left(*file);
    return {};
}

void DescriptorTable::close_range(unsigned first, unsigned last) {
    for (int at = next_open(static_cast<int>(std::min(first, count_max)));
         at >= 0 && static_cast<unsigned>(at) <= last; at = next_open(at + 1)) {
        (void)close(at);
    }
}

void DescriptorTable::mark_range(unsigned first, unsigned last) {
    for (int at = next_open(static_cast<int>(std::min(first, count_max)));
         at >= 0 && static_cast<unsigned>(at) <= last; at = next_open(at + 1)) {
        (void)set_close_on_exec(at, true);
    }
}

void DescriptorTable::close_on_exec() {
    for (int at = next_open(0); at >= 0; at = next_open(at + 1)) {
        if (closes_on_exec(at).value_or(false)) {
            (void)close(at);
        }
    }
}

Outcome<bool> DescriptorTable::closes_on_exec(int descriptor) const {
    return state_.with([&](const State& state) -> Outcome<bool> {
        if (descriptor < 0 || static_cast<unsigned>(descriptor) >= state.slots.size() ||
            state.slots[static_cast<unsigned>(descriptor)].file == nullptr) {
            return fail(Errno::ebadf);
        }
        return bit(state.on_exec, static_cast<unsigned>(descriptor));
    });
}

Outcome<> DescriptorTable::set_close_on_exec(int descriptor, bool on) {
    return state_.with([&](State& state) -> Outcome<> {
        if (descriptor < 0 || static_cast<unsigned>(descriptor) >= state.slots.size() ||
            state.slots[static_cast<unsigned>(descriptor)].file == nullptr) {
            return fail(Errno::ebadf);
        }
        set_bit(state.on_exec, static_cast<unsigned>(descriptor), on);
        return {};
    });
}

std::size_t DescriptorTable::room() const {
    return state_.with([](const State& state) { return state.slots.size(); });
}

std::size_t DescriptorTable::count() const {
    return state_.with([](const State& state) { return state.count; });
}

int DescriptorTable::next_open(int from) const {
    return state_.with([&](const State& state) {
        auto index = static_cast<unsigned>(std::max(from, 0));
        while (index < state.slots.size()) {
            const std::uint64_t used = state.used[index / word_bits] >> (index % word_bits);
            if (used != 0) {
                return static_cast<int>(index + static_cast<unsigned>(std::countr_zero(used)));
            }
            index = (index / word_bits + 1) * word_bits;
        }
        return -1;
    });
}

}  // namespace pv::fs
