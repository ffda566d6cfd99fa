// Writes a new trace: bulk load in transactions, indexes last, valid up to the last transaction at any
// moment.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "base/error.hpp"
#include "paravane/trace_event.hpp"
#include "store/results.hpp"

namespace pv::store {

enum class Overwrite : bool { no, yes };

/// One thread at a time may use a Writer. Memory does not grow with the trace.
///
/// A process killed at any point leaves a trace that Trace::open reads, with everything committed so far (at
/// most `transaction_events` events or `transaction_time` are missing). When the disk is full, append or
/// finish returns that error once and every later call repeats it; what was committed before stays valid.
class Writer {
  public:
    static constexpr std::int64_t transaction_events = 65'536;
    static constexpr int transaction_milliseconds =
        1'000;                                      ///< looked at when events arrive, and in checkpoint()
    static constexpr std::size_t max_text = 1'024;  ///< bytes of an interned text; longer is cut

    /// Creates `path`. An existing file is an error unless `overwrite`; with it, only a trace (or an empty
    /// file) is replaced, never another kind of file.
    [[nodiscard]] static Result<Writer> create(const std::filesystem::path& path,
                                               Overwrite overwrite = Overwrite::no);
    Writer(Writer&&) noexcept;
    Writer& operator=(Writer&&) noexcept;
    ~Writer();  ///< commits what there is; without finish() the trace has no indexes

    /// `event.sequence` is given here (1, 2, ...) whatever it holds. Kinds unknown to this version are stored
    /// too.
    [[nodiscard]] Result<> append(const trace::Event& event);

    /// Id of `text` in the table `string`, from 1; 0 for an empty text. Invalid UTF-8 and NUL become U+FFFD.
    /// The same text usually gets the same id, but ids are not a proof of difference.
    [[nodiscard]] std::uint64_t intern(std::string_view text);

    [[nodiscard]] Result<> set_meta(std::string_view key, std::string_view value);
    [[nodiscard]] Result<> add_device(const Device& device);  ///< replaces one with the same bdf
    [[nodiscard]] Result<> add_symbol(const Symbol& symbol);  ///< first one at an address wins

    /// Commits when the running transaction is older than transaction_milliseconds: call it when nothing
    /// arrives.
    [[nodiscard]] Result<> checkpoint();
    /// Commits, builds the indexes, notes in meta that the trace is whole. Only meta and devices may follow.
    [[nodiscard]] Result<> finish();

    [[nodiscard]] std::int64_t event_count() const;
    [[nodiscard]] const std::filesystem::path& path() const;

  private:
    struct State;
    explicit Writer(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

}  // namespace pv::store
