// mmio::Window: the only way to device registers; range, width and alignment are checked in every build.
// SPDX-License-Identifier: MIT
#include "device/mmio/window.hpp"

#include "base/panic.hpp"

namespace pv::mmio {

Result<Window> Window::part(std::size_t offset, std::size_t length, std::string_view name) const {
    if (offset > length_ || length > length_ - offset) {
        return fail(Error::out_of_range);
    }
    return Window{base_ + offset, length, physical_ + offset, name};
}

void Window::refuse(std::size_t offset, std::size_t width, std::string_view what) const {
    panic("mmio: {} of {} bytes at offset {:#x} of {}, whose registers are {:#x} bytes at {}", what, width,
          offset, name_, length_, physical_);
}

}  // namespace pv::mmio
