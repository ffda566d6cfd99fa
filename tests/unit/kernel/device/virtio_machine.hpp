// A driver on a fake virtio-blk device: brought up, with its disk at hand, and what it said and marked.
// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "device/virtio/block.hpp"
#include "disk_machine.hpp"
#include "fake_virtio.hpp"

namespace pv::virtio {

class VirtioMachine : public block::DiskMachine {
  protected:
    Result<> try_bring_up(const FakeShape& shape = {}) {
        fake_ = std::make_unique<FakeVirtio>(shape);
        auto controller = Block::create(fake_->function(), 0, patience_, options_);
        if (!controller) {
            return fail(controller.error());
        }
        controller_ = std::move(*controller);
        return {};
    }

    void bring_up(const FakeShape& shape = {}) { ASSERT_TRUE(try_bring_up(shape)) << log(); }

    void take_away() override { fake_.reset(); }

    Patience patience_{.command = Duration::milliseconds(30),
                       .grace = Duration::milliseconds(50),
                       .reset = Duration::milliseconds(400)};
    BlockOptions options_;
    std::unique_ptr<FakeVirtio> fake_;
};

}  // namespace pv::virtio
