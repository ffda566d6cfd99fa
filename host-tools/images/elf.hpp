// What a program or library needs to run, read from its dynamic section.
// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace pv::images {

struct ElfNeeds {
    std::string interpreter;             ///< PT_INTERP; empty: none
    std::vector<std::string> libraries;  ///< DT_NEEDED, in order
    std::vector<std::string> run_path;   ///< DT_RUNPATH, else DT_RPATH, divided at colons
};

/// System V ABI, "Program Header" and "Dynamic Section"; sections are not needed. Empty when `bytes` are no
/// ELF file, or one for another machine. Errors: usage: an x86-64 file whose headers lead nowhere; `what`
/// names it.
Result<std::optional<ElfNeeds>> read_needs(const std::string& bytes, const std::string& what);

/// The interpreter a script names in its first line ("#!/bin/sh -e" gives /bin/sh); empty when it is no
/// script.
std::string script_interpreter(const std::string& bytes);

}  // namespace pv::images
