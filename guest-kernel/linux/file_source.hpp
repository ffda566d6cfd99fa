// Where mapped pages come from: files, and memory that processes share.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/errno.hpp"
#include "base/ref.hpp"
#include "base/vector.hpp"
#include "fs/open_file.hpp"
#include "memory/page_source.hpp"
#include "task/lock.hpp"

namespace pv::linux {

/// A file's pages. Counts itself as a mapping for as long as it lives.
class FileSource final : public memory::PageSource {
  public:
    /// Errors: enodev (the file cannot be mapped), enomem.
    static Outcome<Ref<FileSource>> create(Ref<fs::OpenFile> file);

    [[nodiscard]] Result<PhysicalAddress> page(std::uint64_t index) override;

    [[nodiscard]] bool is_file() const override { return true; }

    [[nodiscard]] const fs::OpenFile& file() const { return *file_; }

  private:
    FileSource(Ref<fs::OpenFile> file, fs::Mappable& pages) : file_(std::move(file)), pages_(pages) {}

    ~FileSource() override { pages_.drop_mapping(); }

    Ref<fs::OpenFile> file_;
    fs::Mappable& pages_;
};

/// Zero-filled memory that fork shares (MAP_SHARED without a file).
class SharedMemory final : public memory::PageSource {
  public:
    /// `length` in bytes, a multiple of the page size. Error: enomem.
    static Outcome<Ref<memory::PageSource>> create(std::uint64_t length);

    [[nodiscard]] Result<PhysicalAddress> page(std::uint64_t index) override;

  private:
    /// Frames of one run of 512 pages.
    struct Leaf {
        PhysicalAddress frames[512]{};
    };

    SharedMemory() = default;
    ~SharedMemory() override;

    struct Pages {
        Vector<Leaf*> leaves;
        std::uint64_t count = 0;
    };

    task::Guarded<Pages, task::Rank::file_pages> pages_;
};

}  // namespace pv::linux
