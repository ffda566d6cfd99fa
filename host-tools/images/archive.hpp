// libarchive's handles with an owner, and its complaints as errors.
// SPDX-License-Identifier: MIT
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <string>

#include "base/error.hpp"

namespace pv::images {

struct ReaderEnd {
    void operator()(archive* reader) const { archive_read_free(reader); }
};

struct WriterEnd {
    void operator()(archive* writer) const { archive_write_free(writer); }
};

struct EntryEnd {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

using Reader = std::unique_ptr<archive, ReaderEnd>;
using Writer = std::unique_ptr<archive, WriterEnd>;
using Entry = std::unique_ptr<archive_entry, EntryEnd>;

/// What libarchive says is wrong with `handle`.
std::string complaint(archive* handle);

/// All of the current entry's data. Errors: usage, in libarchive's words, or when it has more than `most`
/// bytes; `what` names it.
Result<std::string> read_data(archive* reader, std::uint64_t most, const std::string& what);

}  // namespace pv::images
