// Lines about how things stand, for whoever asked: the console, or a program that reads a file.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string_view>
#include <type_traits>

#include "base/format.hpp"
#include "base/log.hpp"

namespace pv {

/// Takes lines. Threads only, no spinlock held: a console may be slow, and a text takes memory.
class StatusLines {
  public:
    StatusLines(const StatusLines&) = delete;
    StatusLines& operator=(const StatusLines&) = delete;

    /// One line, without an end. What is longer than log::line_max is cut.
    template <class... Args>
    void add(format::String<std::type_identity_t<Args>...> pattern, const Args&... args) {
        std::array<char, log::line_max> room;
        put(format::to(room, pattern, args...));
    }

  protected:
    StatusLines() = default;
    ~StatusLines() = default;

    virtual void put(std::string_view line) = 0;
};

/// To the log, each line after `before`.
class LoggedStatus final : public StatusLines {
  public:
    explicit LoggedStatus(std::string_view before = "status: ") : before_(before) {}

  private:
    void put(std::string_view line) override { log::info("{}{}", before_, line); }

    std::string_view before_;
};

}  // namespace pv
