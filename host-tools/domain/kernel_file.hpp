// Whether a file is a kernel that QEMU's -kernel starts, told before anything is started.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/error.hpp"

namespace pv::domain {

enum class KernelFormat : std::uint8_t {
    bz_image,  ///< Linux boot protocol 2.00 and later (Documentation/arch/x86/boot.rst)
    pvh_elf,   ///< ELF64 with note XEN_ELFNOTE_PHYS32_ENTRY (Xen public/elfnote.h, type 18)
};

/// Looks at the file's headers only. Errors: usage; the hint says how to make a kernel that boots.
Result<KernelFormat> inspect_kernel(const std::filesystem::path& path);

}  // namespace pv::domain
