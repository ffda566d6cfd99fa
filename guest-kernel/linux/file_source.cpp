// Pages of files and of shared memory.
// SPDX-License-Identifier: MIT
#include "linux/file_source.hpp"

#include <cstring>
#include <new>

#include "memory/direct_map.hpp"
#include "memory/frame_owners.hpp"
#include "memory/frames.hpp"

namespace pv::linux {

Outcome<Ref<FileSource>> FileSource::create(Ref<fs::OpenFile> file) {
    fs::Mappable* pages = file->mappable();
    if (pages == nullptr) {
        return fail(Errno::enodev);
    }
    pages->add_mapping();
    auto* source = new (std::nothrow) FileSource(std::move(file), *pages);
    if (source == nullptr) {
        pages->drop_mapping();
        return fail(Errno::enomem);
    }
    return Ref<FileSource>::adopt(source);
}

Result<PhysicalAddress> FileSource::page(std::uint64_t index) {
    const Outcome<PhysicalAddress> frame = pages_.page(index);
    if (!frame) {
        return fail(frame.error() == Errno::enomem   ? Error::out_of_memory
                    : frame.error() == Errno::enospc ? Error::no_space
                                                     : Error::out_of_range);
    }
    memory::add_owner(*frame);
    return *frame;
}

Outcome<Ref<memory::PageSource>> SharedMemory::create(std::uint64_t length) {
    auto memory = Ref<SharedMemory>::adopt(new (std::nothrow) SharedMemory);
    if (memory == nullptr) {
        return fail(Errno::enomem);
    }
    Pages& pages = memory->pages_.unguarded();
    pages.count = length / page_size;
    const std::uint64_t leaves = (pages.count + 511) / 512;
    PV_TRY(as_outcome(pages.leaves.reserve(leaves)));
    for (std::uint64_t i = 0; i < leaves; ++i) {
        PV_TRY(as_outcome(pages.leaves.push_back(nullptr)));
    }
    return Ref<memory::PageSource>(std::move(memory));
}

SharedMemory::~SharedMemory() {
    for (Leaf* leaf : pages_.unguarded().leaves) {
        if (leaf == nullptr) {
            continue;
        }
        for (const PhysicalAddress frame : leaf->frames) {
            if (frame.value() != 0) {
                memory::drop_owner(frame);
            }
        }
        delete leaf;
    }
}

Result<PhysicalAddress> SharedMemory::page(std::uint64_t index) {
    return pages_.with([&](Pages& pages) -> Result<PhysicalAddress> {
        if (index >= pages.count) {
            return fail(Error::out_of_range);
        }
        Leaf*& leaf = pages.leaves[index / 512];
        if (leaf == nullptr) {
            leaf = new (std::nothrow) Leaf;
            if (leaf == nullptr) {
                return fail(Error::out_of_memory);
            }
        }
        PhysicalAddress& frame = leaf->frames[index % 512];
        if (frame.value() == 0) {
            frame = PV_TRY(memory::allocate_program_frame());
            std::memset(memory::to_pointer(frame), 0, page_size);
        }
        memory::add_owner(frame);
        return frame;
    });
}

}  // namespace pv::linux
