// What a recipe's command prints, without what kernel and /init say around it.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>

namespace pv::cli {

/// Passes on the bytes between the line PV_IMAGE_STARTING and PV_IMAGE_END with the line PV_IMAGE_STATUS
/// (abi/paravane/image.h), exactly as they came and at once; everything when the first never comes, so that a
/// guest that does not get so far says why. What follows a status line is passed on as well once it is too
/// much for a kernel's last words: then it was the command that printed it. One thread feeds it; any may ask
/// started().
class CommandView {
  public:
    using Put = std::function<void(std::string_view)>;

    explicit CommandView(Put put) : put_(std::move(put)) {}

    void show(std::string_view bytes);

    /// No more bytes come.
    void finish();

    /// The command runs: input may be typed.
    [[nodiscard]] bool started() const { return started_.load(std::memory_order_acquire); }

  private:
    void pass();

    Put put_;
    std::string held_;
    bool at_end_ = false;  ///< `held_` begins with a status line
    std::atomic<bool> started_{false};
};

}  // namespace pv::cli
