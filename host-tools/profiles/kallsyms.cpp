// The parts of the table, in the order in which they are found: tokens, names by their marks, offsets.
// SPDX-License-Identifier: MIT
#include "profiles/kallsyms.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>

namespace pv::profiles {
namespace {

constexpr std::size_t tokens = 256;
constexpr std::size_t longest_token = 512;  // KSYM_NAME_LEN
constexpr std::size_t names_a_mark = 256;
constexpr std::uint32_t fewest = 64;
constexpr std::uint32_t most = 4'000'000;
constexpr std::size_t most_looked_at = 16;  // tables of tokens: a kernel has one, a file made up any number
constexpr std::uint64_t kernel_half = 0xffff'8000'0000'0000;

constexpr std::size_t aligned(std::size_t at) {
    return (at + 7) & ~std::size_t{7};
}

template <class T>
std::optional<T> load(std::string_view data, std::size_t at) {
    T value;
    if (at > data.size() || data.size() - at < sizeof value) {
        return std::nullopt;
    }
    std::memcpy(&value, data.data() + at, sizeof value);
    return value;
}

struct Tokens {
    std::size_t begin = 0;  ///< of their text
    std::size_t end = 0;    ///< of the index behind it
    std::array<std::string_view, tokens> text;
};

/// The index at `at`: 16-bit offsets into the tokens before it, from 0 upwards.
std::optional<Tokens> tokens_at(std::string_view data, std::size_t at) {
    std::array<std::uint16_t, tokens> index{};
    if (data.size() - at < sizeof index) {
        return std::nullopt;
    }
    std::memcpy(index.data(), data.data() + at, sizeof index);
    if (index[0] != 0) {
        return std::nullopt;
    }
    for (std::size_t i = 1; i < tokens; ++i) {
        if (index[i] < index[i - 1] + 2 || index[i] > index[i - 1] + longest_token) {
            return std::nullopt;
        }
    }
    // Each token ends with a NUL, right before the next; the last one is as long as there is room.
    const std::size_t last = index[tokens - 1];
    for (std::size_t room = aligned(last + 2); room <= last + longest_token + 8 && room <= at; room += 8) {
        const std::string_view table = data.substr(at - room, room);
        bool ends = true;
        for (std::size_t i = 1; i < tokens && ends; ++i) {
            ends = table[index[i] - 1U] == '\0';
        }
        const std::size_t end = table.find('\0', last);
        if (!ends || end == std::string_view::npos || aligned(end + 1) != room) {
            continue;
        }
        Tokens found{.begin = at - room, .end = at + sizeof index, .text = {}};
        for (std::size_t i = 0; i < tokens; ++i) {
            const std::size_t stop = i + 1 < tokens ? index[i + 1] - 1U : end;
            found.text.at(i) = table.substr(index[i], stop - index[i]);
        }
        return found;
    }
    return std::nullopt;
}

struct Names {
    std::size_t begin = 0;
    std::uint32_t count = 0;
};

/// The bytes of the name at `at`, each a token, and moves behind it; empty at what is none.
std::string_view next_name(std::string_view data, std::size_t& at) {
    std::size_t length = at < data.size() ? static_cast<unsigned char>(data[at++]) : 0;
    if ((length & 0x80) != 0 && at < data.size()) {
        length = (length & 0x7f) | static_cast<std::size_t>(static_cast<unsigned char>(data[at++])) << 7;
    }
    if (length == 0 || length > data.size() - at) {
        return {};
    }
    at += length;
    return data.substr(at - length, length);
}

/// Whether `count` names stand at `begin`, with the marks of every 256th behind them.
bool are_names(std::string_view data, std::size_t begin, std::uint32_t count) {
    std::vector<std::uint32_t> marks;
    std::size_t at = begin;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (i % names_a_mark == 0) {
            marks.push_back(static_cast<std::uint32_t>(at - begin));
        }
        if (next_name(data, at).empty()) {
            return false;
        }
    }
    const std::size_t size = marks.size() * sizeof(std::uint32_t);
    return aligned(at) + size <= data.size() &&
           std::memcmp(data.data() + aligned(at), marks.data(), size) == 0;
}

/// Their number stands before them, in eight bytes; `data` ends where they have to.
std::optional<Names> find_names(std::string_view data) {
    for (std::size_t begin = data.size() & ~std::size_t{7}; begin >= 8; begin -= 8) {
        const std::uint64_t count = load<std::uint64_t>(data, begin - 8).value_or(0);
        if (count >= fewest && count <= most && are_names(data, begin, static_cast<std::uint32_t>(count))) {
            return Names{begin, static_cast<std::uint32_t>(count)};
        }
    }
    return std::nullopt;
}

struct Offsets {
    std::size_t begin = 0;
    std::uint64_t base = 0;
};

/// Before the number of names, with the base behind them (up to Linux 6.3), or behind the tokens (from 6.4).
std::optional<Offsets> find_offsets(std::string_view data, const Tokens& table, const Names& names) {
    const std::size_t size = aligned(names.count * sizeof(std::int32_t));
    if (names.begin >= 16 + size) {
        const std::uint64_t base = load<std::uint64_t>(data, names.begin - 16).value_or(0);
        if (base >= kernel_half) {
            return Offsets{names.begin - 16 - size, base};
        }
    }
    const std::uint64_t base = load<std::uint64_t>(data, table.end + size).value_or(0);
    return base >= kernel_half ? std::optional(Offsets{table.end, base}) : std::nullopt;
}

std::vector<KernelSymbol> read(std::string_view data, const Tokens& table, const Names& names,
                               const Offsets& offsets) {
    std::vector<KernelSymbol> symbols;
    symbols.reserve(names.count);
    std::size_t at = names.begin;
    bool relative = true;
    for (std::uint32_t i = 0; i < names.count; ++i) {
        KernelSymbol symbol;
        for (const char byte : next_name(data, at)) {
            symbol.name += table.text.at(static_cast<unsigned char>(byte));
        }
        if (!symbol.name.empty()) {
            symbol.type = symbol.name.front();
            symbol.name.erase(0, 1);
        }
        const std::int32_t offset =
            load<std::int32_t>(data, offsets.begin + i * sizeof(std::int32_t)).value_or(0);
        // CONFIG_KALLSYMS_ABSOLUTE_PERCPU: what is not negative is the address itself, a CPU's own variable.
        symbol.address = offset < 0 ? offsets.base - 1 - static_cast<std::uint64_t>(std::int64_t{offset})
                                    : static_cast<std::uint32_t>(offset);
        relative = relative && offset >= 0;
        symbols.push_back(std::move(symbol));
    }
    if (relative) {
        for (KernelSymbol& symbol : symbols) {
            symbol.address += offsets.base;
        }
    }
    return symbols;
}

}  // namespace

Result<std::vector<KernelSymbol>> kallsyms(std::string_view data) {
    std::size_t looked_at = 0;
    for (std::size_t at = 0; at + tokens * sizeof(std::uint16_t) <= data.size() && looked_at < most_looked_at;
         at += 8) {
        if (data[at] != '\0' || data[at + 1] != '\0') {
            continue;
        }
        const std::optional<Tokens> found = tokens_at(data, at);
        looked_at += found ? std::size_t{1} : 0;
        const std::optional<Names> names = found ? find_names(data.substr(0, found->begin)) : std::nullopt;
        const std::optional<Offsets> offsets = names ? find_offsets(data, *found, *names) : std::nullopt;
        if (offsets) {
            return read(data, *found, *names, *offsets);
        }
    }
    return fail(ExitStatus::usage, "the kernel carries no symbol table that is understood",
                "build it with CONFIG_KALLSYMS=y, as Debian's are (Linux 4.20 to 6.12)");
}

}  // namespace pv::profiles
