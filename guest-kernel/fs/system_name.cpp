// The system's names that programs may change.
// SPDX-License-Identifier: MIT
#include "fs/system_name.hpp"

#include "task/lock.hpp"

namespace pv::fs::system_name {
namespace {

constinit task::Guarded<Changeable, task::Rank::leaf> host_name{std::string_view("paravane")};
constinit task::Guarded<Changeable, task::Rank::leaf> domain_name{std::string_view("(none)")};

}  // namespace

Changeable host() {
    return host_name.with([](Changeable& name) { return name; });
}

Changeable domain() {
    return domain_name.with([](Changeable& name) { return name; });
}

void set_host(const Changeable& name) {
    host_name.with([&](Changeable& now) { now = name; });
}

void set_domain(const Changeable& name) {
    domain_name.with([&](Changeable& now) { now = name; });
}

}  // namespace pv::fs::system_name
