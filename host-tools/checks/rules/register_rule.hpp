// What the rules about the use of registers share.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "checks/model/registers.hpp"
#include "checks/model/world.hpp"
#include "checks/rule.hpp"

namespace pv::checks {

/// A rule about the registers of devices whose map is known. It counts the uses that it judges.
class RegisterRule : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) final {
        if (const auto use = world().devices().register_use(event)) {
            used(event, *use);
        } else {
            other(event);
        }
    }

    [[nodiscard]] Observed observed() const final {
        if (judged_ == 0) {
            return {
                0, "no register of a device whose map is known (NVMe, virtio) was " + std::string(subject())};
        }
        return {judged_, {}};
    }

  protected:
    virtual void used(const trace::Event& event, const RegisterUse& use) = 0;

    /// Every event that is no such use.
    virtual void other(const trace::Event&) {}

    /// How a register has to be used for the rule to judge it: "used".
    [[nodiscard]] virtual std::string_view subject() const { return "used"; }

    void count() { ++judged_; }

  private:
    std::uint64_t judged_ = 0;
};

}  // namespace pv::checks
