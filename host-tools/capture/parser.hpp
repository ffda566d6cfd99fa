// One line of QEMU's log becomes one event, or is counted as what it is.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "capture/statistics.hpp"
#include "paravane/trace_event.hpp"

namespace pv::capture {

/// Not thread-safe; no memory but its counts. Lines may hold any bytes.
class Parser {
  public:
    /// Turns a text into the number that an event carries for it (store::Writer::intern).
    using Intern = std::function<std::uint64_t(std::string_view)>;

    static constexpr std::size_t max_line = 65'536;  ///< bytes; a longer line is not understood
    static constexpr std::size_t max_samples = 8;

    explicit Parser(Intern intern) : intern_(std::move(intern)) {}

    /// `line` without its newline. Nothing: the line was ignored or not understood, and counted so. The
    /// event's sequence is 0 (the store gives it); its time never goes back: see docs/trace.md, "Time".
    [[nodiscard]] std::optional<trace::Event> feed(std::string_view line);

    /// A line that was too long to be kept: counted, and sampled by its beginning.
    void refuse(std::string_view beginning);

    /// Time of the last line that had one: what happens beside the log is put there.
    [[nodiscard]] std::int64_t last_time() const { return last_time_; }

    [[nodiscard]] const Statistics& statistics() const { return statistics_; }

    [[nodiscard]] Statistics& statistics() { return statistics_; }

  private:
    enum class Class : std::uint8_t { event, ignored, not_understood };

    Class parse(std::string_view line, trace::Event& event);
    Class parse_plain(std::string_view line, trace::Event& event);
    std::int64_t relative_time(std::int64_t microseconds);

    Intern intern_;
    Statistics statistics_;
    bool started_ = false;
    std::int64_t origin_ = 0;     ///< host microseconds that are time 0
    std::int64_t last_time_ = 0;  ///< time of the last line, microseconds since origin_
};

/// The beginning of a line, other bytes than printable ASCII as \xHH.
[[nodiscard]] std::string printable(std::string_view line);

}  // namespace pv::capture
