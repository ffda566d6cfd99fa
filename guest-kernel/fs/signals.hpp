// The signals files send, by number. fs/signal_values.cpp holds them to the system-call interface.
// SPDX-License-Identifier: MIT
#pragma once

namespace pv::fs::signals {

inline constexpr int hang_up = 1;
inline constexpr int interrupt = 2;
inline constexpr int quit = 3;
inline constexpr int go_on = 18;
inline constexpr int keyboard_stop = 20;
inline constexpr int background_read = 21;
inline constexpr int background_write = 22;
inline constexpr int window_change = 28;

}  // namespace pv::fs::signals
