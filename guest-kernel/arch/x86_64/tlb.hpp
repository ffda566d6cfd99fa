// Making all CPUs forget address translations: the shootdown.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "arch/processor.hpp"
#include "base/address.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

/// PROTOCOL (Intel SDM vol. 3, 4.10.4 and 4.10.5).
///  1. The caller has changed the page tables already: whoever walks them from now on finds the new entries.
///  2. One sender at a time (rank shootdown); whoever waits for its turn serves requests meanwhile, so that
///  the
///     sender gets its answer.
///  3. It writes the one record - number and range - and then gives the number to each CPU that is meant.
///  4. It interrupts them. A CPU with interrupts on takes the interrupt; one with interrupts off sees the
///  request
///     where it spins (SpinLock, relax_and_serve), or when it turns them on.
///  5. Each carries the request out with instructions that reach global entries, then acknowledges its
///  number.
///     A CPU that missed a number, or sees the record change under its eyes, forgets everything: never too
///     little.
///  6. The sender waits for all numbers, until its deadline. Only then may frames behind the old entries be
///  used
///     for something else: on timed_out they must not be, ever, and the sender has said which CPU is silent.
/// tests/models/shootdown.pml, whose steps have these numbers, is checked in every order of two shootdowns.
/// A CPU that answers after the deadline finds the record of a later request, or its own: step 5 covers both.
namespace pv::arch::tlb {

using CpuSet = arch::CpuSet;

/// Ranges of more pages than this are flushed by forgetting everything.
inline constexpr std::uint64_t pages_one_by_one = 32;

/// Invalidates [begin, begin + size) on all CPUs that run, this one included; global entries too. Any context
/// but NMI; waits up to the patience. Error: timed_out, with a line on the console for each CPU that did not
/// answer.
Result<> flush(VirtualAddress begin, std::uint64_t size);
/// The same on the CPUs of `cpus` that run: for the address space of the tables at `root`, which not all of
/// them use.
Result<> flush(VirtualAddress begin, std::uint64_t size, const CpuSet& cpus, PhysicalAddress root);

/// Carries out what others ask of this CPU. Interrupts are off. Not for NMI.
void serve();

/// How long flush waits for an answer; 5 s unless set. For tests.
void set_patience(Duration patience);

struct Statistics {
    std::uint64_t requests = 0;  ///< that other CPUs had to carry out
    std::uint64_t late = 0;      ///< answers that did not come in time
};

[[nodiscard]] Statistics statistics();

}  // namespace pv::arch::tlb
