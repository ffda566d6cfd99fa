// A driver on a fake NVMe controller: brought up, with one disk at hand, and what it said and marked.
// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "device/nvme/controller.hpp"
#include "disk_machine.hpp"
#include "fake_nvme.hpp"

namespace pv::nvme {

class NvmeMachine : public block::DiskMachine {
  protected:
    Result<> try_bring_up(const FakeShape& shape = {}) {
        fake_ = std::make_unique<FakeNvme>(shape);
        auto controller = Controller::create(fake_->function(), 0, patience_, true);
        if (!controller) {
            return fail(controller.error());
        }
        controller_ = std::move(*controller);
        return {};
    }

    void bring_up(const FakeShape& shape = {}) {
        ASSERT_TRUE(try_bring_up(shape)) << log();
        ASSERT_GE(controller_->device_count(), 1U) << log();
    }

    void take_away() override { fake_.reset(); }

    Patience patience_{.command = Duration::milliseconds(30),
                       .admin = Duration::milliseconds(400),
                       .abort = Duration::milliseconds(200),
                       .grace = Duration::milliseconds(50),
                       .shutdown = Duration::milliseconds(500)};
    std::unique_ptr<FakeNvme> fake_;
};

}  // namespace pv::nvme
