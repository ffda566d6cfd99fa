// Whether a guest's markers are believed: only after a hello of a version known here (paravane/marker.h).
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "paravane/marker.h"

namespace pv::plugin {

/// How many of the six registers a marker uses; all six for a number this version does not know (a newer
/// minor version may add it).
constexpr std::size_t marker_arguments(std::uint16_t number) {
    constexpr auto count = [](auto... names) {
        return (std::size_t{0} + ... + (names[0] == '_' && names[1] == '\0' ? 0U : 1U));
    };
    switch (number) {
#define PV_PLUGIN_ARGUMENTS(value, name, a0, a1, a2, a3, a4, a5) \
    case value:                                                  \
        return count(#a0, #a1, #a2, #a3, #a4, #a5);
        PV_MARKERS(PV_PLUGIN_ARGUMENTS)
#undef PV_PLUGIN_ARGUMENTS
        default:
            return 6;
    }
}

class Handshake {
  public:
    enum class Answer : std::uint8_t {
        take,    ///< write it
        refuse,  ///< ignore it and say so: the first that is ignored
        ignore,  ///< ignore it
    };

    /// Judges a marker with its first argument. Any thread.
    Answer judge(std::uint16_t number, std::uint64_t first_argument) {
        State state = state_.load(std::memory_order_relaxed);
        if (number == PV_MARKER_hello && state != State::refused) {
            const bool known = first_argument >> 16 == PV_MARKER_VERSION_MAJOR;
            state = known ? State::accepted : State::refused;
            state_.store(state, std::memory_order_relaxed);
            return known ? Answer::take : Answer::refuse;
        }
        if (state == State::accepted) {
            return Answer::take;
        }
        if (state == State::waiting && !spoke_.exchange(true, std::memory_order_relaxed)) {
            return Answer::refuse;
        }
        return Answer::ignore;
    }

  private:
    enum class State : std::uint8_t { waiting, accepted, refused };

    std::atomic<State> state_ = State::waiting;
    std::atomic<bool> spoke_ = false;
};

}  // namespace pv::plugin
