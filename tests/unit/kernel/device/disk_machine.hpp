// A block driver on a model of its device: one disk at hand, and what the driver said and marked.
// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "block/controller.hpp"
#include "device/dma/mapping.hpp"
#include "hosted/control.hpp"

namespace pv::block {

class DiskMachine : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(hosted::set_cpu_count(1));
        (void)hosted::take_markers();
        (void)hosted::take_log();
        before_ = dma::statistics();
    }

    void TearDown() override {
        if (controller_ != nullptr) {
            controller_->shut_down(Deadline::after(Duration::milliseconds(200)));
            controller_.reset();
        }
        let_go();
        if (!abandoned_) {
            EXPECT_EQ(dma::statistics().live, before_.live) << "mappings were left behind";
            EXPECT_EQ(dma::statistics().abandoned, before_.abandoned);
        }
        take_away();
        ASSERT_TRUE(hosted::set_cpu_count(1));
    }

    Device& disk(std::size_t index = 0) { return controller_->device(index); }

    /// Writes a pattern that `read` expects.
    void write(std::uint64_t first, std::uint64_t blocks) {
        const dma::Pages pages = *dma::Pages::allocate(blocks * disk().geometry().block_size);
        fill(pages, first, blocks);
        const auto written = disk().write(first, {pages, 0, blocks * disk().geometry().block_size},
                                          within(Duration::seconds(10)));
        ASSERT_TRUE(written) << to_string(written.error()) << "\n" << log();
        written_.emplace_back(first, blocks);
    }

    Result<> read(std::uint64_t first, std::uint64_t blocks, Duration patience) {
        const std::size_t length = blocks * disk().geometry().block_size;
        const dma::Pages pages = *dma::Pages::allocate(length);
        std::ranges::fill(pages.bytes(), std::byte{0xa5});
        const auto result = disk().read(first, {pages, 0, length}, within(patience));
        if (result && std::ranges::find(written_, std::pair{first, blocks}) != written_.end()) {
            const dma::Pages expected = *dma::Pages::allocate(length);
            fill(expected, first, blocks);
            EXPECT_TRUE(std::ranges::equal(pages.bytes().first(length), expected.bytes().first(length)))
                << "wrong data";
        }
        return result;
    }

    /// Waits, 10 s at most, until `holds`.
    static void eventually(const std::function<bool()>& holds) {
        const Deadline deadline = Deadline::after(Duration::seconds(10));
        while (!holds() && !deadline.expired()) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    /// Until no recovery is under way.
    void settle() {
        eventually([&] {
            const auto marks = markers();
            return marks.count(PV_MARKER_recovery_begin) == marks.count(PV_MARKER_recovery_end);
        });
    }

    struct Markers {
        std::vector<hosted::Marker> all;

        [[nodiscard]] std::size_t count(std::uint32_t number) const {
            return static_cast<std::size_t>(std::ranges::count(all, number, &hosted::Marker::number));
        }

        /// One argument of every marker of this number.
        [[nodiscard]] std::vector<std::uint64_t> results(std::uint32_t number, std::size_t argument) const {
            std::vector<std::uint64_t> found;
            for (const auto& one : all) {
                if (one.number == number) {
                    found.push_back(one.args[argument]);
                }
            }
            return found;
        }

        /// Where the first of them is.
        [[nodiscard]] std::size_t first(std::uint32_t number) const {
            return static_cast<std::size_t>(std::ranges::find(all, number, &hosted::Marker::number) -
                                            all.begin());
        }
    };

    /// All since the test began.
    Markers markers() {
        const auto more = hosted::take_markers();
        seen_.all.insert(seen_.all.end(), more.begin(), more.end());
        return seen_;
    }

    std::string log() {
        for (const auto& line : hosted::take_log()) {
            log_ += line + "\n";
        }
        return log_;
    }

    static Deadline within(Duration span) { return Deadline::after(span); }

    /// Puts drivers to rest that are no block::Controller.
    virtual void let_go() {}

    /// Destroys the model.
    virtual void take_away() = 0;

    std::unique_ptr<Controller> controller_;
    bool abandoned_ = false;  ///< memory is left with a device on purpose

  private:
    static void fill(const dma::Pages& pages, std::uint64_t first, std::uint64_t blocks) {
        const std::size_t length = pages.bytes().size() / std::max<std::uint64_t>(blocks, 1);
        for (std::size_t i = 0; i < pages.bytes().size(); ++i) {
            pages.bytes()[i] =
                static_cast<std::byte>(first * 31 + i * 7 + i / std::max<std::size_t>(length, 1));
        }
    }

    dma::Statistics before_;
    Markers seen_;
    std::string log_;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> written_;
};

}  // namespace pv::block
