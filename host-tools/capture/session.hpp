// The log's reader while a guest runs: a thread that turns what comes through the FIFO into rows, and loses
// nothing.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "capture/statistics.hpp"
#include "paravane/trace_event.hpp"
#include "store/writer.hpp"

namespace pv::capture {

/// How far the capture is; given about four times a second, from the reader's thread.
struct Progress {
    std::uint64_t lines = 0;
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    std::uint64_t not_understood = 0;
};

/// The reader owns `writer` from start to the end of join(): nobody else may touch it meanwhile.
///
/// What comes is never dropped: a reader that is slow fills the pipe, and that slows QEMU. A writer that
/// closes the FIFO and opens it again is followed; the session ends in join(), once all have closed. Every
/// line that was not understood leaves a row of kind `lost` where it stood (from the 1,000th on, one row for
/// 1,000 lines).
///
/// When the store fails (disk full) the session keeps reading and discards, so that QEMU is never blocked by
/// a full disk; failed() tells at once, join() returns that error.
class Session {
  public:
    using OnProgress = std::function<void(const Progress&)>;
    /// Called in the reader's thread with the kind of each event as it is stored: it must be quick.
    using OnEvent = std::function<void(trace::Kind)>;

    /// Makes a FIFO at `path` (mode 0600, must not exist) and starts reading; removed again at the end.
    [[nodiscard]] static Result<std::unique_ptr<Session>> start_fifo(const std::filesystem::path& path,
                                                                     store::Writer& writer,
                                                                     OnProgress progress = {},
                                                                     OnEvent on_event = {});
    /// Reads from an open descriptor (pipe, file), which the session takes and closes.
    [[nodiscard]] static Result<std::unique_ptr<Session>> start(int descriptor, store::Writer& writer,
                                                                OnProgress progress = {},
                                                                OnEvent on_event = {});
    ~Session();  ///< stops at once; what was read is stored

    /// Puts a line of the tool's own among QEMU's, at this moment; any thread, never blocks on QEMU. `name`
    /// as in PV_TRACE_EVENTS' log_name, `fields` = "key value key value 'text'" (see line.hpp).
    void inject(std::string_view name, std::string_view fields);

    /// Waits until what was injected so far has its place: what QEMU writes from now on stands behind it.
    /// False when `limit` passed first. Any thread but the reader's.
    [[nodiscard]] bool settle(std::chrono::milliseconds limit);

    /// Waits until every writer has closed the FIFO, then until all is stored. After `limit`: reads what is
    /// there already, stops, and the statistics say so in `lost` (the writers were still open). Call once.
    [[nodiscard]] Result<Statistics> join(std::chrono::milliseconds limit);

    /// true once the store failed: the run should be ended, the trace is valid up to there.
    [[nodiscard]] bool failed() const;
    /// Counts so far; any thread.
    [[nodiscard]] Progress progress() const;

  private:
    struct State;
    explicit Session(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

}  // namespace pv::capture
