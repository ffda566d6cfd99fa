// A kernel's symbol table in each of its forms, made here, and what only looks like one.
// SPDX-License-Identifier: MIT
#include "profiles/kallsyms.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace pv::profiles {
namespace {

constexpr std::uint64_t base = 0xffff'ffff'8100'0000;

struct Form {
    bool offsets_first = true;  ///< up to Linux 6.3
    bool sequences = false;     ///< kallsyms_seqs_of_names between marks and tokens
    bool absolute = true;       ///< CONFIG_KALLSYMS_ABSOLUTE_PERCPU
};

void align(std::string& data) {
    data.resize((data.size() + 7) & ~std::size_t{7});
}

template <class T>
void put(std::string& data, T value) {
    data.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// A table of `count` symbols, the i-th called "symbolI" at base + 16 * i, with other data around it.
std::string table(std::uint32_t count, const Form& form) {
    std::string data(4096, '\x5a');
    const auto offsets = [&] {
        for (std::uint32_t i = 0; i < count; ++i) {
            // Variables of a CPU have their own offsets: every tenth.
            const auto offset = static_cast<std::int32_t>(16 * i);
            put(data, form.absolute && i % 10 != 9 ? -1 - offset : offset);
        }
        align(data);
        put(data, base);
    };
    if (form.offsets_first) {
        offsets();
    }
    put(data, std::uint64_t{count});
    std::string names;
    std::vector<std::uint32_t> marks;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (i % 256 == 0) {
            marks.push_back(static_cast<std::uint32_t>(names.size()));
        }
        // Token 0 is "Tsymbol", token 1 is "_of_many_", digits are themselves; long names need two bytes for
        // lengths.
        std::string name = std::string(1, '\0') + std::to_string(i);
        name += std::string(i % 50 == 7 ? 150 : 0, '\1');
        if (name.size() >= 0x80) {
            names += static_cast<char>(0x80 | (name.size() & 0x7f));
            names += static_cast<char>(name.size() >> 7);
        } else {
            names += static_cast<char>(name.size());
        }
        names += name;
    }
    data += names;
    align(data);
    for (const std::uint32_t mark : marks) {
        put(data, mark);
    }
    align(data);
    if (form.sequences) {
        data.append(3UL * count, '\x11');
        align(data);
    }
    std::string tokens;
    std::vector<std::uint16_t> index;
    for (int i = 0; i < 256; ++i) {
        index.push_back(static_cast<std::uint16_t>(tokens.size()));
        tokens += i == 0   ? std::string("Tsymbol")
                  : i == 1 ? std::string("_of_many_")
                           : std::string(1, static_cast<char>(i));
        tokens += '\0';
    }
    data += tokens;
    align(data);
    for (const std::uint16_t at : index) {
        put(data, at);
    }
    if (!form.offsets_first) {
        offsets();
    }
    data.append(4096, '\xa5');
    return data;
}

TEST(Kallsyms, EveryFormIsRead) {
    for (const Form& form :
         {Form{}, Form{.sequences = true}, Form{.absolute = false}, Form{.offsets_first = false},
          Form{.offsets_first = false, .sequences = true, .absolute = false}}) {
        for (const std::uint32_t count : {64U, 256U, 1000U}) {
            const auto symbols = kallsyms(table(count, form));
            ASSERT_TRUE(symbols) << count;
            ASSERT_EQ(symbols->size(), count);
            for (std::uint32_t i = 0; i < count; ++i) {
                const KernelSymbol& symbol = (*symbols)[i];
                EXPECT_TRUE(symbol.name.starts_with("symbol" + std::to_string(i)));
                EXPECT_EQ(symbol.name.size() > 1000, i % 50 == 7);
                EXPECT_EQ(symbol.type, 'T');
                EXPECT_EQ(symbol.address, form.absolute && i % 10 == 9 ? 16 * i : base + 16 * i);
            }
        }
    }
}

TEST(Kallsyms, WhatOnlyLooksLikeOneIsNone) {
    EXPECT_FALSE(kallsyms(""));
    EXPECT_FALSE(kallsyms(std::string(100'000, '\0')));
    const std::string good = table(300, {});
    for (std::size_t length = 0; length < good.size() - 4096; length += 97) {
        EXPECT_FALSE(kallsyms(good.substr(0, length))) << length;
    }
}

TEST(Kallsyms, DamageIsAnErrorOrAnotherTable) {
    const std::string good = table(300, {});
    std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same each time
    for (int i = 0; i < 2000; ++i) {
        std::string bad = good;
        for (int k = 0; k < 4; ++k) {
            bad[random() % bad.size()] = static_cast<char>(random());
        }
        if (const auto symbols = kallsyms(bad)) {
            EXPECT_LE(symbols->size(), 4096U);
        }
    }
}

}  // namespace
}  // namespace pv::profiles
