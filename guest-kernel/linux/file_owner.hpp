// Owners of files: whom a file's signals go to (F_SETOWN and its kin of fcntl(2)).
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/open_file.hpp"
#include "linux/call.hpp"

namespace pv::linux {

/// F_SETOWN, FIOSETOWN: a process, or a group where `whom` is negative; 0: nobody any more. Errors: esrch,
/// einval, enomem.
[[nodiscard]] Outcome<> set_file_owner(Call& call, fs::OpenFile& file, int whom);

/// F_GETOWN, FIOGETOWN: as it was set; 0 where there is nobody, or nobody any more.
[[nodiscard]] int file_owner(fs::OpenFile& file);

/// Whether si_code of this signal means something else than what became ready.
[[nodiscard]] bool has_codes_of_its_own(int signal);

/// Those of fcntl's commands that are about owners and signals of files. Errors: einval (another command, no
/// such signal, no such type), esrch, efault, enomem.
[[nodiscard]] Value file_owner_command(Call& call, fs::OpenFile& file, int command, std::uint64_t argument);

}  // namespace pv::linux
