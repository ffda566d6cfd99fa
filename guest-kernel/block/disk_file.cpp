// Reading, writing and asking a disk.
// SPDX-License-Identifier: MIT
#include "block/disk_file.hpp"

#include <linux/fs.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "device/dma/pages.hpp"
#include "fs/wait.hpp"

namespace pv::block {
namespace {

/// Bytes of one request.
constexpr std::uint64_t piece_max = std::uint64_t{256} << 10;
constexpr std::uint64_t sector = 512;
/// What buffered blocks have on Linux (BLKBSZGET).
constexpr int soft_block_size = 4096;

using Pages = dma::Pages;

// A request that was not carried out in time is a failed one to a program.
Errno errno_of(Error error) {
    return error == Error::out_of_memory ? Errno::enomem : Errno::eio;
}

class DiskFile final : public fs::OpenFile {
  public:
    DiskFile(const fs::Location& here, std::uint32_t flags, Published& disk)
        : OpenFile(here, flags, fs::Flow::seekable), disk_(disk) {}

    pv::Outcome<std::uint64_t> seek(std::int64_t offset, fs::Whence whence) override;
    pv::Outcome<std::uint64_t> ioctl(std::uint32_t request, fs::IoctlArgument& argument) override;
    pv::Outcome<> sync() override;

    fs::Mappable* mappable() override { return nullptr; }

    pv::Outcome<> truncate(std::uint64_t) override { return fail(Errno::einval); }

  protected:
    pv::Outcome<std::size_t> do_read(std::uint64_t& position, fs::Target& target) override;
    pv::Outcome<std::size_t> do_write(std::uint64_t& position, bool append, fs::Source& source) override;

  private:
    /// Bytes on the disk, and where their blocks are.
    struct Piece {
        std::uint64_t first = 0;  ///< block
        std::size_t offset = 0;   ///< of the bytes in it
        std::size_t bytes = 0;    ///< wanted
        std::size_t length = 0;   ///< of the blocks they touch
    };

    [[nodiscard]] std::uint64_t size() const { return disk_.facts().bytes; }

    [[nodiscard]] std::size_t block_size() const { return disk_.facts().block_size; }

    [[nodiscard]] Piece piece_at(std::uint64_t position, std::uint64_t count) const;
    /// A write of anything but whole blocks of an O_DIRECT file.
    [[nodiscard]] bool misaligned(std::uint64_t position, std::uint64_t count) const;
    /// `work(device, deadline)` on the disk, where it is still there; its failure is the disk's.
    template <class F>
    [[nodiscard]] pv::Outcome<> on_device(F&& work);
    [[nodiscard]] pv::Outcome<> request(marker::Operation operation, std::uint64_t first, const Extent& data);
    [[nodiscard]] pv::Outcome<> flush();
    [[nodiscard]] pv::Outcome<> write_piece(const Piece& piece, const Pages& pages);
    /// Puts what the disk has in a block around the bytes to be written into `pages`.
    [[nodiscard]] pv::Outcome<> fill_edges(const Piece& piece, const Pages& pages);

    // ioctl's range of bytes, checked as Linux checks it.
    struct Span {
        std::uint64_t start = 0;
        std::uint64_t length = 0;
    };

    [[nodiscard]] pv::Outcome<Span> read_span(fs::IoctlArgument& argument) const;
    [[nodiscard]] pv::Outcome<> discard(fs::IoctlArgument& argument);
    [[nodiscard]] pv::Outcome<> zero(fs::IoctlArgument& argument);
    [[nodiscard]] pv::Outcome<> zero_by_writing(Span span);

    Published& disk_;
};

template <class T>
pv::Outcome<std::uint64_t> answer(fs::IoctlArgument& argument, T value) {
    PV_TRY(argument.write(fs::bytes_of(value)));
    return 0;
}

DiskFile::Piece DiskFile::piece_at(std::uint64_t position, std::uint64_t count) const {
    Piece piece{.first = position / block_size(), .offset = position % block_size()};
    const std::uint64_t room = std::max<std::uint64_t>(piece_max, block_size()) - piece.offset;
    piece.bytes = std::min({count, room, size() - position});
    piece.length = (piece.offset + piece.bytes + block_size() - 1) / block_size() * block_size();
    return piece;
}

bool DiskFile::misaligned(std::uint64_t position, std::uint64_t count) const {
    return (flags() & fs::open_flag::direct) != 0 && ((position | count) & (block_size() - 1)) != 0;
}

template <class F>
pv::Outcome<> DiskFile::on_device(F&& work) {
    const Published::Use device(disk_);
    if (!device) {
        return fail(Errno::eio);
    }
    const Result<> done = work(*device, Deadline::after(program_patience()));
    if (!done && done.error() == Error::device_failed) {
        disk_.set_gone();
    }
    return done ? pv::Outcome<>() : fail(errno_of(done.error()));
}

pv::Outcome<> DiskFile::request(marker::Operation operation, std::uint64_t first, const Extent& data) {
    return on_device([&](Device& device, Deadline deadline) {
        return operation == marker::Operation::write ? device.write(first, data, deadline)
                                                     : device.read(first, data, deadline);
    });
}

pv::Outcome<> DiskFile::flush() {
    return on_device([](Device& device, Deadline deadline) { return device.flush(deadline); });
}

pv::Outcome<> DiskFile::sync() {
    return flush();
}

pv::Outcome<std::uint64_t> DiskFile::seek(std::int64_t offset, fs::Whence whence) {
    if (whence == fs::Whence::data || whence == fs::Whence::hole) {
        return fail(Errno::einval);
    }
    const fs::MutexGuard guard(position_lock_);
    const std::uint64_t base = whence == fs::Whence::set       ? 0
                               : whence == fs::Whence::current ? position_.load(std::memory_order_relaxed)
                                                               : size();
    std::int64_t result = 0;
    if (__builtin_add_overflow(static_cast<std::int64_t>(base), offset, &result) || result < 0 ||
        static_cast<std::uint64_t>(result) > size()) {
        return fail(Errno::einval);
    }
    position_.store(static_cast<std::uint64_t>(result), std::memory_order_relaxed);
    return position_.load(std::memory_order_relaxed);
}

pv::Outcome<std::size_t> DiskFile::do_read(std::uint64_t& position, fs::Target& target) {
    std::size_t done = 0;
    if (misaligned(position, target.left())) {
        return fail(Errno::einval);
    }
    while (target.left() != 0 && position < size()) {
        if (fs::is_killed()) {
            return done != 0 ? pv::Outcome<std::size_t>(done) : fail(Errno::eintr);
        }
        const Piece piece = piece_at(position, target.left());
        const auto pages = Pages::allocate_in_place(piece.length);
        const pv::Outcome<> moved =
            pages ? request(marker::Operation::read, piece.first, {*pages, 0, piece.length})
                  : fail(Errno::enomem);
        if (!moved) {
            return done != 0 ? pv::Outcome<std::size_t>(done) : fail(moved.error());
        }
        const pv::Outcome<std::size_t> put = target.put(pages->bytes().subspan(piece.offset, piece.bytes));
        if (!put) {
            return done != 0 ? pv::Outcome<std::size_t>(done) : put;
        }
        done += *put;
        position += *put;
        if (*put < piece.bytes) {
            break;
        }
    }
    return done;
}

pv::Outcome<std::size_t> DiskFile::do_write(std::uint64_t& position, bool append, fs::Source& source) {
    if (disk_.facts().read_only) {
        return fail(Errno::eperm);
    }
    if (source.left() == 0) {
        return std::size_t{0};
    }
    if (append) {
        position = size();
    }
    if (position >= size()) {
        return fail(Errno::enospc);
    }
    std::size_t done = 0;
    if (misaligned(position, source.left())) {
        return fail(Errno::einval);
    }
    pv::Outcome<> result;
    while (result && source.left() != 0 && position < size()) {
        Piece piece = piece_at(position, source.left());
        const auto pages = Pages::allocate_in_place(piece.length);
        if (fs::is_killed() || !pages) {
            result = fail(pages ? Errno::eintr : Errno::enomem);
            break;
        }
        const std::size_t wanted = piece.bytes;
        const pv::Outcome<std::size_t> taken = source.take(pages->bytes().subspan(piece.offset, piece.bytes));
        if (!taken || *taken == 0) {
            result = fail(taken ? Errno::efault : taken.error());
            break;
        }
        piece = piece_at(position, *taken);
        result = write_piece(piece, *pages);
        if (result) {
            done += piece.bytes;
            position += piece.bytes;
        }
        if (*taken < wanted) {
            break;
        }
    }
    constexpr std::uint32_t lasting = fs::open_flag::data_sync | fs::open_flag::sync;
    if (done != 0 && (flags() & lasting) != 0) {
        PV_TRY(flush());
    }
    return done != 0 || result ? pv::Outcome<std::size_t>(done) : fail(result.error());
}

pv::Outcome<> DiskFile::write_piece(const Piece& piece, const Pages& pages) {
    const Extent data{pages, 0, piece.length};
    if ((flags() & fs::open_flag::direct) != 0) {
        return request(marker::Operation::write, piece.first, data);
    }
    // Whoever has it waits for two requests at most.
    if (!disk_.writers.lock(Deadline::after(program_patience() * 2))) {
        return fail(Errno::eio);
    }
    const pv::Outcome<> filled = fill_edges(piece, pages);
    const pv::Outcome<> written = filled ? request(marker::Operation::write, piece.first, data) : filled;
    disk_.writers.unlock();
    return written;
}

pv::Outcome<> DiskFile::fill_edges(const Piece& piece, const Pages& pages) {
    const std::size_t end = piece.offset + piece.bytes;
    if (piece.offset == 0 && end == piece.length) {
        return {};
    }
    const auto edge = Pages::allocate_in_place(block_size());
    if (!edge) {
        return fail(Errno::enomem);
    }
    const std::size_t last = piece.length - block_size();
    const auto bytes = pages.bytes();
    if (piece.offset != 0) {
        PV_TRY(request(marker::Operation::read, piece.first, {*edge, 0, block_size()}));
        std::memcpy(bytes.data(), edge->bytes().data(), piece.offset);
    }
    if (end != piece.length) {
        if (piece.offset == 0 || last != 0) {
            PV_TRY(request(marker::Operation::read, piece.first + last / block_size(),
                           {*edge, 0, block_size()}));
        }
        std::memcpy(bytes.data() + end, edge->bytes().data() + (end - last), piece.length - end);
    }
    return {};
}

pv::Outcome<DiskFile::Span> DiskFile::read_span(fs::IoctlArgument& argument) const {
    Span span;
    PV_TRY(argument.read(fs::writable_bytes_of(span)));
    const bool aligned = ((span.start | span.length) & (sector - 1)) == 0 &&
                         ((span.start | span.length) & (block_size() - 1)) == 0;
    if (!aligned || span.length == 0 || span.start > size() || span.length > size() - span.start) {
        return fail(Errno::einval);
    }
    return span;
}

pv::Outcome<> DiskFile::discard(fs::IoctlArgument& argument) {
    if (!fs::is_writable(flags())) {
        return fail(Errno::ebadf);
    }
    if (disk_.facts().discard_bytes == 0) {
        return fail(Errno::eopnotsupp);
    }
    const Span span = PV_TRY(read_span(argument));
    return on_device([&](Device& device, Deadline deadline) {
        return device.discard(span.start / block_size(), span.length / block_size(), deadline);
    });
}

pv::Outcome<> DiskFile::zero(fs::IoctlArgument& argument) {
    if (!fs::is_writable(flags())) {
        return fail(Errno::ebadf);
    }
    const Span span = PV_TRY(read_span(argument));
    if (disk_.facts().read_only) {
        return fail(Errno::eperm);
    }
    if (disk_.facts().zero_bytes == 0) {
        return zero_by_writing(span);
    }
    return on_device([&](Device& device, Deadline deadline) {
        return device.write_zeroes(span.start / block_size(), span.length / block_size(), deadline);
    });
}

pv::Outcome<> DiskFile::zero_by_writing(Span span) {
    const auto zeros = Pages::allocate_in_place(std::min(span.length, piece_max));
    if (!zeros) {
        return fail(Errno::enomem);
    }
    while (span.length != 0) {
        if (fs::is_killed()) {
            return fail(Errno::eintr);
        }
        const std::size_t length = std::min(span.length, piece_max);
        PV_TRY(request(marker::Operation::write, span.start / block_size(), {*zeros, 0, length}));
        span.start += length;
        span.length -= length;
    }
    return {};
}

pv::Outcome<std::uint64_t> DiskFile::ioctl(std::uint32_t request, fs::IoctlArgument& argument) {
    const fs::DiskFacts& facts = disk_.facts();
    const auto as_value = [](const pv::Outcome<>& done) -> pv::Outcome<std::uint64_t> {
        return done ? pv::Outcome<std::uint64_t>(0) : fail(done.error());
    };
    switch (request) {
        case BLKGETSIZE64:
            return answer(argument, facts.bytes);
        case BLKGETSIZE:
            return answer(argument, facts.bytes / sector);
        case BLKSSZGET:
            return answer(argument, static_cast<int>(facts.block_size));
        case BLKPBSZGET:
        case BLKIOMIN:
            return answer(argument, facts.block_size);
        case BLKBSZGET:
            return answer(argument, std::max(soft_block_size, static_cast<int>(facts.block_size)));
        case BLKIOOPT:
        case BLKDISCARDZEROES:
            return answer(argument, 0U);
        case BLKALIGNOFF:
            return answer(argument, 0);
        case BLKROTATIONAL:
            return answer(argument, std::uint16_t{0});
        case BLKROGET:
            return answer(argument, facts.read_only ? 1 : 0);
        case BLKFLSBUF:
            return as_value(flush());
        case BLKDISCARD:
            return as_value(discard(argument));
        case BLKZEROOUT:
            return as_value(zero(argument));
        case BLKRRPART:
            return fail(Errno::einval);
        default:
            return fail(Errno::enotty);
    }
}

}  // namespace

pv::Outcome<Ref<fs::OpenFile>> open_disk(const fs::Location& here, std::uint32_t flags, Published& disk) {
    auto* file = new (std::nothrow) DiskFile(here, flags, disk);
    if (file == nullptr) {
        return fail(Errno::enomem);
    }
    return Ref<fs::OpenFile>::adopt(file);
}

}  // namespace pv::block
