// What the exercise is asked to do: options of the command line, checked.
// SPDX-License-Identifier: MIT
#include "exercise/plan.hpp"

#include "base/log.hpp"
#include "boot/options.hpp"

namespace pv::exercise {
namespace {

constexpr std::uint64_t most_threads = 64;
constexpr std::uint64_t largest_size = std::uint64_t{1} << 30;

}  // namespace

Result<Plan> parse_plan(std::string_view text) {
    Plan plan;
    bool good = true;
    const auto number = [&](std::string_view key, std::string_view value, std::uint64_t& into,
                            std::uint64_t least, std::uint64_t most,
                            Result<std::uint64_t> (*parse)(std::string_view)) {
        const auto parsed = parse(value);
        if (!parsed || *parsed < least || *parsed > most) {
            log::error("exercise: '{}:{}': expected a number from {} to {}", key, value, least, most);
            good = false;
        } else {
            into = *parsed;
        }
    };
    const auto span = [&](std::string_view key, std::string_view value, Duration& into) {
        const auto parsed = boot::parse_duration(value);
        if (!parsed || *parsed == Duration{}) {
            log::error("exercise: '{}:{}': expected a time with its unit, as 2s or 500ms", key, value);
            good = false;
        } else {
            into = *parsed;
        }
    };
    constexpr std::uint64_t any = ~std::uint64_t{0};
    boot::for_each_item(text, [&](std::string_view key, std::string_view value) {
        if (key == "threads") {
            number(key, value, plan.threads, 1, most_threads, boot::parse_number);
        } else if (key == "blocks") {
            number(key, value, plan.blocks, 1, std::uint64_t{1} << 32, boot::parse_number);
        } else if (key == "size") {
            number(key, value, plan.size, 512, largest_size, boot::parse_size);
        } else if (key == "rounds") {
            number(key, value, plan.rounds, 1, std::uint64_t{1} << 32, boot::parse_number);
        } else if (key == "commands") {
            number(key, value, plan.commands, 0, any, boot::parse_number);
        } else if (key == "zeroes") {
            number(key, value, plan.zeroes, 0, any, boot::parse_number);
        } else if (key == "large") {
            number(key, value, plan.large, 512, largest_size, boot::parse_size);
        } else if (key == "seed") {
            number(key, value, plan.seed, 0, any, boot::parse_number);
        } else if (key == "give-up") {
            number(key, value, plan.give_up, 1, std::uint64_t{1} << 32, boot::parse_number);
        } else if (key == "deadline") {
            span(key, value, plan.deadline);
        } else if (key == "limit") {
            span(key, value, plan.limit);
        } else if (key == "shutdown") {
            span(key, value, plan.shutdown);
        } else {
            log::error(
                "exercise: no option is called '{}'; there are threads, blocks, size, rounds, commands, "
                "zeroes, large, "
                "seed, give-up, deadline, limit and shutdown",
                key);
            good = false;
        }
    });
    if (!good) {
        return fail(Error::invalid_argument);
    }
    return plan;
}

}  // namespace pv::exercise
