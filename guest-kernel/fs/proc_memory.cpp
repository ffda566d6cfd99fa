// /proc/PID/mem: a process's memory, at its own addresses.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <new>

#include "base/address.hpp"
#include "base/time.hpp"
#include "fs/open_file.hpp"
#include "fs/proc_tree.hpp"

namespace pv::fs::proc {
namespace {

/// Asks for its right at every access: what the process was when the file was opened it need not be any more.
class ProcessMemoryFile final : public OpenFile {
  public:
    ProcessMemoryFile(const Location& here, std::uint32_t flags, int process, Instant started)
        : OpenFile(here, flags, Flow::seekable), process_(process), started_(started) {}

    Outcome<std::uint64_t> seek(std::int64_t offset, Whence whence) override {
        return whence == Whence::set || whence == Whence::current ? OpenFile::seek(offset, whence)
                                                                  : fail(Errno::einval);
    }

  protected:
    Outcome<std::size_t> do_read(std::uint64_t& position, Target& target) override {
        return move(position, target.left(), [&](UserAddress at, std::span<std::byte> room) -> Outcome<> {
            if (!process_view().peek(process_, room, at)) {
                return fail(Errno::eio);
            }
            return PV_TRY(target.put(room)) == room.size() ? Outcome<>{} : fail(Errno::efault);
        });
    }

    Outcome<std::size_t> do_write(std::uint64_t& position, bool, Source& source) override {
        return move(position, source.left(), [&](UserAddress at, std::span<std::byte> room) -> Outcome<> {
            if (PV_TRY(source.take(room)) != room.size()) {
                return fail(Errno::efault);
            }
            return process_view().poke(process_, at, room) ? Outcome<>{} : fail(Errno::eio);
        });
    }

  private:
    /// Calls `part` for pieces that lie in one page each. An error after the first piece ends it there.
    template <class F>
    Outcome<std::size_t> move(std::uint64_t& position, std::size_t length, F&& part) {
        const auto facts = process_view().facts(process_, 0);
        if (!facts || facts->started != started_) {
            return std::size_t{0};  // it has ended, and another one may have its number
        }
        if (!process_view().may_look_into(process_)) {
            return fail(Errno::eacces);
        }
        std::array<std::byte, 512> room{};
        std::size_t done = 0;
        while (done < length) {
            const std::size_t size =
                std::min<std::uint64_t>({length - done, room.size(), page_size - position % page_size});
            const Outcome<> moved = part(UserAddress(position), std::span(room).first(size));
            if (!moved) {
                return done != 0 ? Outcome<std::size_t>(done) : fail(moved.error());
            }
            done += size;
            position += size;
        }
        return done;
    }

    const int process_;
    const Instant started_;
};

class ProcessMemory final : public SyntheticNode {
  public:
    ProcessMemory(const SyntheticIdentity& identity, int process)
        : SyntheticNode(NodeType::regular, identity), process_(process) {}

    Outcome<Ref<OpenFile>> open(const Location& here, std::uint32_t flags) override {
        if (!process_view().may_look_into(process_)) {
            return fail(Errno::eacces);
        }
        const ProcessFacts facts = PV_TRY(process_view().facts(process_, 0));
        auto* file = new (std::nothrow) ProcessMemoryFile(here, flags, process_, facts.started);
        if (file == nullptr) {
            return fail(Errno::enomem);
        }
        return Ref<OpenFile>::adopt(file);
    }

    /// open(2) with O_TRUNC: there is nothing to cut.
    Outcome<> truncate(std::uint64_t) override { return {}; }

  private:
    const int process_;
};

}  // namespace

Outcome<Ref<SyntheticNode>> make_memory_file(const SyntheticIdentity& identity, int process) {
    return make_synthetic<ProcessMemory>(identity, process);
}

}  // namespace pv::fs::proc
