// Calls on memory: mmap and its kin.
// SPDX-License-Identifier: MIT
#include <asm/mman.h>
#include <asm/unistd.h>
#include <linux/mman.h>

#include <new>

#include "linux/descriptors.hpp"
#include "linux/file_source.hpp"
#include "linux/table.hpp"
#include "linux/writable_code.hpp"

namespace pv::linux {
namespace {

using memory::Rights;

constexpr std::uint32_t protection_mask = PROT_READ | PROT_WRITE | PROT_EXEC;

// Write and execute together may be refused for all.
Outcome<Rights> rights_of(const Call& call, std::uint32_t protection) {
    if ((protection & ~(protection_mask | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP)) != 0) {
        return fail(Errno::einval);
    }
    const Rights rights{(protection & PROT_READ) != 0, (protection & PROT_WRITE) != 0,
                        (protection & PROT_EXEC) != 0};
    PV_TRY(check_rights(rights, call.thread.name.data(), call.process().id));
    return rights;
}

Value mmap(Call& call, std::uint64_t address, std::uint64_t length, std::uint32_t protection,
           std::uint32_t flags, int descriptor, std::uint64_t offset) {
    if (offset % page_size != 0) {
        return fail(Errno::einval);
    }
    const bool is_anonymous = (flags & MAP_ANONYMOUS) != 0;
    Ref<fs::OpenFile> file;
    if (!is_anonymous) {
        file = PV_TRY(get(call, descriptor));
    }
    if (length == 0) {
        return fail(Errno::einval);
    }
    memory::MapRequest request;
    request.contents.rights = PV_TRY(rights_of(call, protection & protection_mask));
    const std::uint32_t type = flags & MAP_TYPE;
    if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE) {
        return fail(Errno::einval);
    }
    if (length > arch::user_end.value()) {
        return fail(Errno::enomem);
    }
    request.length = align_up(length, page_size);
    request.fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;
    request.replace = (flags & MAP_FIXED_NOREPLACE) == 0;
    request.hint = UserAddress(address);
    request.contents.shared = type != MAP_PRIVATE;
    request.contents.grows_down = (flags & MAP_GROWSDOWN) != 0;
    if (is_anonymous) {
        if (request.contents.shared) {
            request.contents.source = PV_TRY(SharedMemory::create(request.length));
        }
    } else {
        if (!fs::is_readable(file->flags())) {
            return fail(Errno::eacces);
        }
        if (offset + request.length < offset) {
            return fail(Errno::eoverflow);
        }
        if (request.contents.shared && request.contents.rights.write && !fs::is_writable(file->flags())) {
            return fail(Errno::eacces);
        }
        request.contents.source = PV_TRY(FileSource::create(file));
        request.contents.offset = offset / page_size;
        request.contents.rights_max.write = !request.contents.shared || fs::is_writable(file->flags());
    }
    const UserAddress at = PV_TRY(call.process().space->map(request));
    if ((flags & MAP_POPULATE) != 0) {
        for (std::uint64_t i = 0; i < request.length; i += page_size) {
            if (call.process().space->resolve(at + i, request.contents.rights.write
                                                          ? memory::UserAccess::write
                                                          : memory::UserAccess::read) !=
                memory::Resolution::resolved) {
                break;
            }
        }
    }
    return at.value();
}

Value munmap(Call& call, UserAddress address, std::uint64_t length) {
    return done(call.process().space->unmap(address, length));
}

Value mprotect(Call& call, UserAddress address, std::uint64_t length, std::uint32_t protection) {
    if (length == 0 && address.is_aligned(page_size)) {
        return 0;
    }
    return done(call.process().space->protect(address, length, PV_TRY(rights_of(call, protection))));
}

Value brk(Call& call, UserAddress end) {
    return call.process().space->set_break(end).value();
}

Value mremap(Call& call, UserAddress old, std::uint64_t old_length, std::uint64_t new_length,
             std::uint32_t flags, UserAddress target) {
    if ((flags & ~std::uint32_t{MREMAP_MAYMOVE | MREMAP_FIXED}) != 0 ||
        ((flags & MREMAP_FIXED) != 0 && (flags & MREMAP_MAYMOVE) == 0)) {
        return fail(Errno::einval);
    }
    const UserAddress to =
        PV_TRY(call.process().space->remap(old, old_length, new_length, (flags & MREMAP_MAYMOVE) != 0,
                                           (flags & MREMAP_FIXED) != 0 ? target : UserAddress{}));
    return to.value();
}

// What calls without an effect here answer: enomem where something is not mapped.
Value nothing_missing(Call& call, UserAddress address, std::uint64_t length) {
    const bool is_there = length == 0 || call.process().space->is_covered(address, length);
    return is_there ? Value(0) : Value(fail(Errno::enomem));
}

using memory::Advice;

Value advise_large(Call& call, UserAddress address, std::uint64_t length, Advice::Large large) {
    return done(call.process().space->advise(address, length, [&](memory::Contents& contents) -> Outcome<> {
        const bool is_ours =
            contents.purpose == memory::Purpose::vdso || contents.purpose == memory::Purpose::vvar;
        if (is_ours && large == Advice::Large::wanted) {
            return fail(Errno::einval);
        }
        contents.advice.large = large;
        return {};
    }));
}

Value advise_fork(Call& call, UserAddress address, std::uint64_t length, Advice::AtFork at_fork) {
    return done(call.process().space->advise(address, length, [&](memory::Contents& contents) -> Outcome<> {
        if (at_fork == Advice::AtFork::zeroed && (contents.shared || contents.source != nullptr)) {
            return fail(Errno::einval);
        }
        contents.advice.at_fork = at_fork;
        return {};
    }));
}

Value madvise(Call& call, UserAddress address, std::uint64_t length, int advice) {
    if (!address.is_aligned(page_size) || align_up(length, page_size) < length) {
        return fail(Errno::einval);
    }
    switch (advice) {
        case MADV_DONTNEED:
            return length == 0 ? 0 : done(call.process().space->discard(address, length));
        case MADV_HUGEPAGE:
            return advise_large(call, address, length, Advice::Large::wanted);
        case MADV_NOHUGEPAGE:
            return advise_large(call, address, length, Advice::Large::unwanted);
        case MADV_DONTFORK:
            return advise_fork(call, address, length, Advice::AtFork::left_out);
        case MADV_WIPEONFORK:
            return advise_fork(call, address, length, Advice::AtFork::zeroed);
        case MADV_DOFORK:
        case MADV_KEEPONFORK:
            return advise_fork(call, address, length, Advice::AtFork::copied);
        case MADV_NORMAL:
        case MADV_RANDOM:
        case MADV_SEQUENTIAL:
        case MADV_WILLNEED:
        case MADV_FREE:
        case MADV_DONTDUMP:
        case MADV_DODUMP:
        case MADV_COLD:
        case MADV_PAGEOUT:
            return nothing_missing(call, address, length);
        default:
            return fail(Errno::einval);
    }
}

Value msync(Call& call, UserAddress address, std::uint64_t length, int flags) {
    if (!address.is_aligned(page_size) || (flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE)) != 0 ||
        (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC)) {
        return fail(Errno::einval);
    }
    return nothing_missing(call, address, length);
}

Value mlock(Call&, UserAddress, std::uint64_t) {
    return 0;
}

// Whether pages are in memory.
Value mincore(Call& call, UserAddress address, std::uint64_t length, UserAddress result) {
    if (!address.is_aligned(page_size)) {
        return fail(Errno::einval);
    }
    if (length > arch::user_end.value() ||
        address.value() > arch::user_end.value() - align_up(length, page_size)) {
        return fail(Errno::enomem);
    }
    for (std::uint64_t i = 0; i * page_size < length; ++i) {
        const auto present = PV_TRY(call.process().space->is_present(address + i * page_size));
        const auto value = static_cast<std::byte>(present ? 1 : 0);
        PV_TRY(copy_out(result + i, std::span(&value, 1)));
    }
    return 0;
}

Value mlock2(Call&, UserAddress, std::uint64_t, std::uint32_t flags) {
    return (flags & ~1U) != 0 ? Value(fail(Errno::einval)) : Value(0);
}

Value mlockall(Call&, std::uint32_t flags) {
    return flags == 0 || (flags & ~7U) != 0 || flags == 4 ? Value(fail(Errno::einval)) : Value(0);
}

Value munlockall(Call&) {
    return 0;
}

constexpr Entry entries[] = {
    {__NR_mmap, "mmap", handler_of<mmap>, Support::partial,
     "no MAP_HUGETLB; write and execute together needs writable-code=allow (EACCES)"},
    {__NR_munmap, "munmap", handler_of<munmap>},
    {__NR_mprotect, "mprotect", handler_of<mprotect>, Support::partial,
     "write and execute together needs writable-code=allow (EACCES)"},
    {__NR_brk, "brk", handler_of<brk>},
    {__NR_mremap, "mremap", handler_of<mremap>, Support::partial, "no MREMAP_DONTUNMAP"},
    {__NR_madvise, "madvise", handler_of<madvise>, Support::partial,
     "DONTNEED drops pages, HUGEPAGE and those about fork are obeyed; other advice changes nothing"},
    {__NR_msync, "msync", handler_of<msync>, Support::partial, "nothing to write back: files live in memory"},
    {__NR_mlock, "mlock", handler_of<mlock>, Support::partial, "nothing is ever swapped out: no more to do"},
    {__NR_munlock, "munlock", handler_of<mlock>, Support::partial, "as mlock"},
    {__NR_mlock2, "mlock2", handler_of<mlock2>, Support::partial, "as mlock"},
    {__NR_mlockall, "mlockall", handler_of<mlockall>, Support::partial, "as mlock"},
    {__NR_munlockall, "munlockall", handler_of<munlockall>, Support::partial, "as mlock"},
    {__NR_mincore, "mincore", handler_of<mincore>, Support::partial,
     "pages of files count once they are mapped"},
};

}  // namespace

constinit const std::span<const Entry> memory_calls = entries;

}  // namespace pv::linux
