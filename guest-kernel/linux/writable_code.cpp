// What programs are told who want memory that is writable and executable at once.
// SPDX-License-Identifier: MIT
#include "linux/writable_code.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.hpp"
#include "boot/options.hpp"
#include "memory/address_space.hpp"
#include "paravane/image.h"
#include "task/lock.hpp"

namespace pv::linux {
namespace {

struct Refused {
    int last = 0;                       ///< the process that was told last
    std::array<char, 16> first_name{};  ///< empty: nobody
};

constinit task::Guarded<Refused, task::Rank::leaf> refused;

}  // namespace

void start_writable_code() {
    if (const auto wish = boot::option("writable-code")) {
        if (*wish == "allow") {
            memory::allow_writable_code();
            log::info("memory: programs may write what they execute");
        } else {
            log::error("writable-code={} is not understood: allow", *wish);
        }
    }
}

Outcome<> check_rights(memory::Rights rights, std::string_view program, int process) {
    if (memory::are_allowed(rights)) {
        return {};
    }
    const bool is_told = refused.with([&](Refused& all) {
        if (all.first_name[0] == '\0') {
            std::copy_n(program.begin(), std::min(program.size(), all.first_name.size() - 1),
                        all.first_name.begin());
        }
        return std::exchange(all.last, process) == process;
    });
    if (!is_told) {
        log::warning(
            "{}[{}]: memory that is writable and executable is refused (writable-code=allow grants it)",
            program, process);
    }
    return fail(Errno::eacces);
}

void tell_who_was_refused() {
    const std::array<char, 16> name = refused.with([](const Refused& all) { return all.first_name; });
    if (name[0] != '\0') {
        std::array<char, 200> room;
        log::console_write(
            format::to(room,
                       PV_IMAGE_NOTE "{} asked for memory that is writable and executable, and was "
                                     "refused: writable-code",
                       std::string_view(name.data())),
            true);
    }
}

}  // namespace pv::linux
