// The parser of `--fault`: one pass over the words; each error names its word and what could stand there.
// SPDX-License-Identifier: MIT
#include "faults/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace pv::faults {
namespace {

/// Longest text accepted: a fault is a sentence, not a file.
constexpr std::size_t longest = 1'000;
constexpr std::chrono::nanoseconds longest_time = std::chrono::hours{24};

template <class T>
struct Named {
    std::string_view name;
    T value;
};

constexpr std::array<Named<Operation>, 6> operations{{{"any", Operation::any},
                                                      {"read", Operation::read},
                                                      {"write", Operation::write},
                                                      {"flush", Operation::flush},
                                                      {"trim", Operation::trim},
                                                      {"zero", Operation::zero}}};
constexpr std::array<Named<Action>, 5> actions{{{"stall", Action::hold},
                                                {"delay", Action::delay},
                                                {"fail", Action::fail},
                                                {"corrupt", Action::corrupt},
                                                {"reorder", Action::reorder}}};

// What reaches the client as itself through NBD and nbdkit; EROFS comes as EPERM, any other as EINVAL.
constexpr std::array<Named<int>, 5> errors{
    {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EPERM", EPERM}, {"EINVAL", EINVAL}, {"ENOMEM", ENOMEM}}};

template <class T, std::size_t N>
std::string names(const std::array<Named<T>, N>& table) {
    std::string list;
    for (std::size_t i = 0; i < N; ++i) {
        list += i == 0 ? "" : (i + 1 == N ? " or " : ", ");
        list += table[i].name;
    }
    return list;
}

template <class T, std::size_t N>
const T* lookup(const std::array<Named<T>, N>& table, std::string_view word) {
    const auto found = std::ranges::find(table, word, &Named<T>::name);
    return found == table.end() ? nullptr : &found->value;
}

/// A word as it may be shown: what a terminal would act on is replaced. (nbdkit's plugin has this file, and
/// nothing of base/.)
std::string printable(std::string_view word) {
    std::string shown{word.substr(0, 60)};
    std::ranges::replace_if(shown, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
    return word.size() > 60 ? shown + "..." : shown;
}

/// A number from 0 without sign or space, and what follows it; nothing when there is none or it does not fit.
std::optional<std::pair<std::uint64_t, std::string_view>> number(std::string_view word) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{}) {
        return std::nullopt;
    }
    return std::pair{value, word.substr(static_cast<std::size_t>(end - word.data()))};
}

std::optional<std::uint64_t> count(std::string_view word) {
    const auto parsed = number(word);
    return parsed && parsed->second.empty() ? std::optional{parsed->first} : std::nullopt;
}

std::optional<std::uint64_t> bytes(std::string_view word) {
    const auto parsed = number(word);
    if (!parsed || parsed->second.size() > 1) {
        return std::nullopt;
    }
    unsigned shift = 0;
    if (!parsed->second.empty()) {
        constexpr std::string_view suffixes = "kmgt";
        const auto at = suffixes.find(
            static_cast<char>(std::tolower(static_cast<unsigned char>(parsed->second.front()))));
        if (at == std::string_view::npos) {
            return std::nullopt;
        }
        shift = 10 * (static_cast<unsigned>(at) + 1);
    }
    if (parsed->first > (std::numeric_limits<std::uint64_t>::max() >> shift)) {
        return std::nullopt;
    }
    return parsed->first << shift;
}

std::optional<std::chrono::nanoseconds> time(std::string_view word) {
    constexpr std::array<Named<std::uint64_t>, 4> units{
        {{"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}}};
    const auto parsed = number(word);
    const std::uint64_t* unit = parsed ? lookup(units, parsed->second) : nullptr;
    const auto most = static_cast<std::uint64_t>(longest_time.count());
    if (unit == nullptr || parsed->first == 0 || parsed->first > most / *unit) {
        return std::nullopt;
    }
    return std::chrono::nanoseconds{static_cast<std::int64_t>(parsed->first * *unit)};
}

std::optional<Range> range(std::string_view word) {
    const auto plus = word.find('+');
    if (plus == std::string_view::npos) {
        return std::nullopt;
    }
    const auto offset = bytes(word.substr(0, plus));
    const auto length = bytes(word.substr(plus + 1));
    if (!offset || !length || *length == 0 || *offset > std::numeric_limits<std::uint64_t>::max() - *length) {
        return std::nullopt;
    }
    return Range{*offset, *length};
}

bool is_disk_name(std::string_view word) {
    constexpr std::string_view prefix = "disk";
    if (!word.starts_with(prefix)) {
        return false;
    }
    const std::string_view digits = word.substr(prefix.size());
    return !digits.empty() && digits.size() <= 3 && (digits.size() == 1 || digits.front() != '0') &&
           std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
}

/// The words of one fault, and what has been understood of them.
class Parser {
  public:
    explicit Parser(std::string_view text) {
        constexpr std::string_view blank = " \t";
        for (std::size_t at = text.find_first_not_of(blank); at != std::string_view::npos;) {
            const std::size_t end = std::min(text.find_first_of(blank, at), text.size());
            words_.push_back(text.substr(at, end - at));
            at = text.find_first_not_of(blank, end);
        }
        fault_.text = printable_text();
    }

    Result<Fault> parse() {
        const Action* action = lookup(actions, word());
        if (action == nullptr) {
            return wrong("is no action", names(actions));
        }
        fault_.action = *action;
        ++at_;
        if (!is_disk_name(word())) {
            return wrong("is no disk", "disk0, disk1, ...: disks are numbered in the order they are given");
        }
        fault_.disk = word();
        ++at_;
        const Operation* operation = lookup(operations, word());
        if (operation == nullptr) {
            return wrong("is no operation", names(operations));
        }
        fault_.operation = *operation;
        if (fault_.action == Action::corrupt && fault_.operation != Operation::read &&
            fault_.operation != Operation::write) {
            return wrong("has no data that could be wrong", "read or write");
        }
        ++at_;
        while (at_ < words_.size()) {
            PV_TRY(clause());
            ++at_;
        }
        if (fault_.action == Action::delay && fault_.delay.count() == 0) {
            return wrong("does not say how long", "'by TIME', as in 'by 5ms'");
        }
        if (fault_.action == Action::fail && !errored_) {
            fault_.error = EIO;
        }
        return std::move(fault_);
    }

  private:
    [[nodiscard]] std::string_view word() const {
        return at_ < words_.size() ? words_[at_] : std::string_view{};
    }

    std::string printable_text() const {
        std::string joined;
        for (const std::string_view w : words_) {
            joined += (joined.empty() ? "" : " ") + printable(w);
        }
        return joined;
    }

    [[nodiscard]] std::unexpected<Error> wrong(std::string_view what, std::string_view expected) const {
        const std::string subject = at_ < words_.size()
                                        ? fmt::format("word {}, '{}',", at_ + 1, printable(word()))
                                        : std::string{"the end"};
        return fail(ExitStatus::usage, fmt::format("fault '{}': {} {}", fault_.text, subject, what),
                    fmt::format("expected {}", expected));
    }

    /// The value after a clause's first word; goes on to it.
    template <class T>
    Result<T> value(std::optional<T> (*understand)(std::string_view), std::string_view what,
                    std::string_view expected) {
        ++at_;
        const std::optional<T> parsed = understand(word());
        if (!parsed) {
            return wrong(what, expected);
        }
        return *parsed;
    }

    /// Each clause may stand once: a second one would silently win over the first.
    Result<> once(bool& seen) {
        if (std::exchange(seen, true)) {
            return wrong("repeats or contradicts what was said before", "each clause once");
        }
        return {};
    }

    Result<> clause() {
        const std::string_view first = word();
        constexpr std::string_view time_hint =
            "a time from 1us to 24 hours, a number with us, ms, s or m, as in 8s";
        if (first == "after") {
            PV_TRY(once(placed_));
            fault_.skip = PV_TRY(value(count, "is no number of requests", "a number, as in 'after 100'"));
        } else if (first == "every") {
            PV_TRY(once(repeated_));
            fault_.every = PV_TRY(value(count, "is no number of requests", "a number, as in 'every 7'"));
            if (fault_.every == 0) {
                return wrong("would catch nothing", "a number of at least 1");
            }
        } else if (first == "times") {
            PV_TRY(once(counted_));
            fault_.count = PV_TRY(value(count, "is no number of requests", "a number, as in 'times 3'"));
            if (*fault_.count == 0) {
                return wrong("would catch nothing", "a number of at least 1");
            }
        } else if (first == "at") {
            PV_TRY(once(ranged_));
            fault_.range = PV_TRY(value(range, "is no range", "OFFSET+LENGTH in bytes, as in 'at 1M+64k'"));
            if (fault_.operation == Operation::flush) {
                return wrong("is a range, and a flush has none", "no 'at' with flush");
            }
        } else if (first == "for") {
            PV_TRY(once(windowed_));
            fault_.window = PV_TRY(value(time, "is no time", time_hint));
        } else if (first == "by" && fault_.action == Action::delay) {
            PV_TRY(once(delayed_));
            fault_.delay = PV_TRY(value(time, "is no time", time_hint));
        } else if (const int* error = lookup(errors, first); error != nullptr) {
            if (fault_.action != Action::fail) {
                return wrong("is an error, and only 'fail' has one", clauses());
            }
            PV_TRY(once(errored_));
            fault_.error = *error;
        } else if (const auto nth = count(first); nth) {
            PV_TRY(once(placed_));
            PV_TRY(once(counted_));
            if (*nth == 0) {
                return wrong("is no request", "requests are counted from 1");
            }
            fault_.skip = *nth - 1;
            fault_.count = 1;
        } else {
            return wrong("is not understood", clauses());
        }
        return {};
    }

    [[nodiscard]] std::string clauses() const {
        std::string list =
            "a request's number, 'after N', 'every N', 'times N', 'at OFFSET+LENGTH', 'for TIME'";
        if (fault_.action == Action::delay) {
            list += ", 'by TIME'";
        }
        if (fault_.action == Action::fail) {
            list += " or an error: " + names(errors);
        }
        return list;
    }

    std::vector<std::string_view> words_;
    std::size_t at_ = 0;
    Fault fault_;
    bool placed_ = false, counted_ = false, ranged_ = false, windowed_ = false, delayed_ = false,
         errored_ = false, repeated_ = false;
};

}  // namespace

Result<Fault> parse_fault(std::string_view text) {
    if (text.size() > longest) {
        return fail(ExitStatus::usage, fmt::format("fault of {} characters", text.size()),
                    fmt::format("at most {}; several faults are several --fault options", longest));
    }
    return Parser{text}.parse();
}

std::string_view name(Operation operation) {
    const auto found = std::ranges::find(operations, operation, &Named<Operation>::value);
    return found == operations.end() ? "?" : found->name;
}

std::string_view name(Action action) {
    const auto found = std::ranges::find(actions, action, &Named<Action>::value);
    return found == actions.end() ? "?" : found->name;
}

std::string_view error_name(int error) {
    const auto found = std::ranges::find(errors, error, &Named<int>::value);
    return found == errors.end() ? "E?" : found->name;
}

}  // namespace pv::faults
