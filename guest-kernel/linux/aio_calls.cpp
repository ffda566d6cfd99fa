// Calls of Linux's first asynchronous interface (io_setup(2)), which libaio makes. Requests are carried out
// while they are submitted, as Linux does where a file cannot do otherwise.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>

#include <algorithm>
#include <boost/intrusive/set.hpp>
#include <cstddef>

#include "fs/aio_context.hpp"
#include "fs/event_file.hpp"
#include "linux/descriptors.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"
#include "linux/vector_io.hpp"

namespace pv::linux {
namespace {

using fs::AioContext;

static_assert(sizeof(iocb) == 64);

/// As Linux's MAX_RW_COUNT: one request moves no more.
constexpr std::uint64_t count_max = 0x7fff'f000;

/// The contexts of one address space, which it owns.
class Contexts final : public RefCounted {
  public:
    Contexts() = default;

    ~Contexts() override {
        all_.unguarded().clear_and_dispose(
            [](AioContext* one) { static_cast<void>(Ref<AioContext>::adopt(one)); });
    }

    /// False: one of that name is there.
    bool add(AioContext& context) {
        return all_.with([&](All& all) {
            if (!all.insert(context).second) {
                return false;
            }
            context.add_owner();
            return true;
        });
    }

    /// Empty: there is none.
    Ref<AioContext> find(UserAddress name) {
        return all_.with([&](All& all) {
            const auto found = all.find(name);
            return found == all.end() ? Ref<AioContext>() : Ref<AioContext>(*found);
        });
    }

    Ref<AioContext> remove(UserAddress name) {
        return all_.with([&](All& all) {
            const auto found = all.find(name);
            if (found == all.end()) {
                return Ref<AioContext>();
            }
            AioContext& context = *found;
            all.erase(found);
            return Ref<AioContext>::adopt(&context);
        });
    }

  private:
    struct NameOf {
        using type = UserAddress;

        type operator()(const AioContext& context) const { return context.name(); }
    };

    using All = boost::intrusive::set<AioContext, boost::intrusive::key_of_value<NameOf>>;

    task::Guarded<All, task::Rank::ipc> all_;
};

Ref<Contexts> as_contexts(const Ref<RefCounted>& companion) {
    return companion ? Ref<Contexts>(static_cast<Contexts&>(*companion)) : Ref<Contexts>();
}

// Those of the caller's address space; empty: it has none yet.
Ref<Contexts> contexts_of(Call& call) {
    return call.process().space->companion.with(
        [](Ref<RefCounted>& companion) { return as_contexts(companion); });
}

Outcome<Ref<Contexts>> make_contexts(Call& call) {
    auto made = Ref<Contexts>::adopt(new (std::nothrow) Contexts);
    if (!made) {
        return fail(Errno::enomem);
    }
    return call.process().space->companion.with([&](Ref<RefCounted>& companion) {
        if (!companion) {
            companion = Ref<RefCounted>(made);
        }
        return as_contexts(companion);
    });
}

Outcome<Ref<AioContext>> context_of(Call& call, std::uint64_t name) {
    const Ref<Contexts> all = contexts_of(call);
    Ref<AioContext> found = all ? all->find(UserAddress(name)) : nullptr;
    return found ? Outcome<Ref<AioContext>>(std::move(found)) : fail(Errno::einval);
}

// A context's name is the address of a page where Linux has its events. libaio looks into it for a mark, and
// makes the calls where it finds none.
Outcome<UserAddress> map_name(Call& call) {
    memory::MapRequest request;
    request.contents.rights = {.read = true};
    request.length = page_size;
    return call.process().space->map(request);
}

Outcome<Ref<AioContext>> make_context(Call& call, UserAddress name, std::uint32_t capacity) {
    Ref<AioContext> made = PV_TRY(AioContext::create(name, capacity));
    Ref<Contexts> all = contexts_of(call);
    if (!all) {
        all = PV_TRY(make_contexts(call));
    }
    // The program has given that page back, and something else has its address now.
    return all->add(*made) ? Outcome<Ref<AioContext>>(std::move(made)) : fail(Errno::eagain);
}

Value io_setup(Call& call, std::uint32_t capacity, UserPointer<std::uint64_t> told) {
    constexpr std::uint32_t events_max = 0x1000'0000 / sizeof(fs::AioEvent);
    if (PV_TRY(told.read()) != 0 || capacity == 0) {
        return fail(Errno::einval);
    }
    if (capacity * 2 > events_max) {
        return fail(Errno::einval);
    }
    if (capacity > AioContext::requests_max) {
        return fail(Errno::eagain);
    }
    const UserAddress name = PV_TRY(map_name(call));
    const auto forget = [&] { static_cast<void>(call.process().space->unmap(name, page_size)); };
    const Outcome<Ref<AioContext>> made = make_context(call, name, capacity);
    if (!made) {
        forget();
        return fail(made.error());
    }
    const Outcome<> written = told.write(name.value());
    if (!written && contexts_of(call)->remove(name)) {
        forget();
    }
    return done(written);
}

Value io_destroy(Call& call, std::uint64_t name) {
    const Ref<Contexts> all = contexts_of(call);
    const Ref<AioContext> context = all ? all->remove(UserAddress(name)) : nullptr;
    if (!context) {
        return fail(Errno::einval);
    }
    context->end();
    static_cast<void>(call.process().space->unmap(context->name(), page_size));
    return 0;
}

// What is to be read or written. Errors: einval, efault.
template <class Bytes, class Pieces, class F>
Outcome<Value> with_memory(const iocb& request, bool is_vector, F&& move) {
    const UserAddress at(request.aio_buf);
    if (is_vector) {
        Pieces pieces;
        PV_TRY(pieces.read(at, request.aio_nbytes));
        return move(pieces);
    }
    const std::uint64_t length = std::min<std::uint64_t>(request.aio_nbytes, count_max);
    if (at > arch::user_end || length > arch::user_end - at) {
        return fail(Errno::efault);
    }
    Bytes bytes(at, length);
    return move(bytes);
}

// How a request ended. An error of the outer one: there is none.
Outcome<Value> move_bytes(Call& call, const iocb& request, fs::OpenFile& file, bool writes, bool is_vector) {
    constexpr std::uint32_t to_last = RWF_DSYNC | RWF_SYNC;
    const auto wishes = static_cast<std::uint32_t>(request.aio_rw_flags);
    if ((wishes & ~(to_last | RWF_HIPRI)) != 0) {
        return fail(Errno::eopnotsupp);
    }
    if (!(writes ? fs::is_writable(file.flags()) : fs::is_readable(file.flags()))) {
        return fail(Errno::ebadf);
    }
    if (request.aio_offset < 0 || file.kind() == fs::FileKind::epoll) {
        return fail(Errno::einval);
    }
    const auto offset = static_cast<std::uint64_t>(request.aio_offset);
    if (!writes) {
        return with_memory<UserTarget, VectorTarget>(request, is_vector, [&](fs::Target& target) -> Value {
            return counted_read(call, file,
                                file.is_seekable() ? file.read_at(offset, target) : file.read(target));
        });
    }
    return with_memory<UserSource, VectorSource>(request, is_vector, [&](fs::Source& source) -> Value {
        const Value written = counted_write(call, file,
                                            file.is_seekable() ? Value(file.write_at(offset, source))
                                                               : pipe_broken(call, file, file.write(source)));
        if (written && (wishes & to_last) != 0) {
            PV_TRY(file.sync());
        }
        return written;
    });
}

Outcome<Value> carry_out(Call& call, const iocb& request, fs::OpenFile& file) {
    switch (request.aio_lio_opcode) {
        case IOCB_CMD_PREAD:
        case IOCB_CMD_PREADV:
            return move_bytes(call, request, file, false, request.aio_lio_opcode == IOCB_CMD_PREADV);
        case IOCB_CMD_PWRITE:
        case IOCB_CMD_PWRITEV:
            return move_bytes(call, request, file, true, request.aio_lio_opcode == IOCB_CMD_PWRITEV);
        case IOCB_CMD_FSYNC:
        case IOCB_CMD_FDSYNC: {
            if (request.aio_buf != 0 || request.aio_nbytes != 0 || request.aio_offset != 0 ||
                request.aio_rw_flags != 0) {
                return fail(Errno::einval);
            }
            const Outcome<> synced = file.sync();
            return !synced && synced.error() == Errno::einval ? Outcome<Value>(fail(Errno::einval))
                                                              : Outcome<Value>(done(synced));
        }
        default:
            return fail(Errno::einval);
    }
}

// What is told of a request when it is done; its place in the context is taken.
Outcome<> submit_one(Call& call, AioContext& context, UserAddress at, const iocb& request) {
    const auto file = PV_TRY(get(call, static_cast<int>(request.aio_fildes)));
    Ref<fs::OpenFile> bell;
    if ((request.aio_flags & IOCB_FLAG_RESFD) != 0) {
        bell = PV_TRY(get(call, static_cast<int>(request.aio_resfd)));
        if (bell->kind() != fs::FileKind::event) {
            return fail(Errno::einval);
        }
    }
    PV_TRY(UserPointer<std::uint32_t>(at.value() + offsetof(iocb, aio_key)).write(0));
    const Value result = PV_TRY(carry_out(call, request, *file));
    context.complete({.data = request.aio_data,
                      .request = at.value(),
                      .result = result ? static_cast<std::int64_t>(*result) : -number(result.error())});
    if (bell) {
        fs::ring_event_file(*bell);
    }
    return {};
}

Outcome<> submit_at(Call& call, AioContext& context, UserAddress at) {
    const iocb request = PV_TRY(UserPointer<const iocb>(at.value()).read());
    if (request.aio_reserved2 != 0 || static_cast<std::int64_t>(request.aio_nbytes) < 0) {
        return fail(Errno::einval);
    }
    if (!context.begin()) {
        return fail(Errno::eagain);
    }
    const Outcome<> submitted = submit_one(call, context, at, request);
    if (!submitted) {
        context.give_back();
    }
    return submitted;
}

Value io_submit(Call& call, std::uint64_t name, std::int64_t count,
                UserPointer<const std::uint64_t> requests) {
    if (count < 0) {
        return fail(Errno::einval);
    }
    const auto context = PV_TRY(context_of(call, name));
    const auto most = std::min<std::uint64_t>(static_cast<std::uint64_t>(count), context->capacity());
    for (std::uint64_t i = 0; i < most; ++i) {
        const auto at = (requests + i).read();
        const Outcome<> submitted = at ? submit_at(call, *context, UserAddress(*at)) : fail(at.error());
        if (!submitted) {
            return i != 0 ? Value(i) : fail(submitted.error());
        }
    }
    return most;
}

// Nothing is under way when anybody can ask, so that nothing can be cancelled.
Value io_cancel(Call&, std::uint64_t, UserAddress request, UserAddress) {
    PV_TRY(UserPointer<const std::uint32_t>(request.value() + offsetof(iocb, aio_key)).read());
    return fail(Errno::einval);
}

Value get_events(Call& call, std::uint64_t name, std::int64_t least, std::int64_t most,
                 UserPointer<fs::AioEvent> events, UserPointer<const timespec> timeout) {
    Deadline deadline = Deadline::never("a program waits for its requests; a signal ends it");
    if (!timeout.is_null()) {
        const timespec span = PV_TRY(timeout.read());
        // What is no time at all is over.
        deadline = deadline_after(span).value_or(Deadline::after(Duration()));
    }
    const auto context = PV_TRY(context_of(call, name));
    if (least < 0 || least > most) {
        return fail(Errno::einval);
    }
    return PV_TRY(context->take(
        static_cast<std::size_t>(least), static_cast<std::size_t>(most), deadline,
        [&](std::size_t index, const fs::AioEvent& event) { return (events + index).write(event); }));
}

Value io_getevents(Call& call, std::uint64_t name, std::int64_t least, std::int64_t most,
                   UserPointer<fs::AioEvent> events, UserPointer<const timespec> timeout) {
    return get_events(call, name, least, most, events, timeout);
}

/// struct __aio_sigset.
struct MaskValue {
    std::uint64_t mask;
    std::uint64_t size;
};

Value io_pgetevents(Call& call, std::uint64_t name, std::int64_t least, std::int64_t most,
                    UserPointer<fs::AioEvent> events, UserPointer<const timespec> timeout,
                    UserPointer<const MaskValue> mask) {
    if (!timeout.is_null()) {
        PV_TRY(timeout.read());
    }
    const MaskValue given = mask.is_null() ? MaskValue{} : PV_TRY(mask.read());
    if (given.mask == 0) {
        return get_events(call, name, least, most, events, timeout);
    }
    if (given.size != sizeof(task::SignalSet)) {
        return fail(Errno::einval);
    }
    const task::SignalSet during = PV_TRY(UserPointer<const task::SignalSet>(given.mask).read());
    call.thread.saved_blocked = call.thread.blocked.load(std::memory_order_relaxed);
    task::set_blocked(call.thread, during);
    call.thread.has_saved_blocked = true;
    const Value result = get_events(call, name, least, most, events, timeout);
    if (result || result.error() != Errno::eintr) {
        call.thread.has_saved_blocked = false;
        task::set_blocked(call.thread, call.thread.saved_blocked);
    }
    return result;
}

constexpr Entry entries[] = {
    {__NR_io_setup, "io_setup", handler_of<io_setup>, Support::partial,
     "room for just as many events as were asked for; all contexts together 65,536 (EAGAIN)"},
    {__NR_io_destroy, "io_destroy", handler_of<io_destroy>},
    {__NR_io_submit, "io_submit", handler_of<io_submit>, Support::partial,
     "requests are done when it returns; no IOCB_CMD_POLL, no RWF_NOWAIT, no RWF_APPEND"},
    {__NR_io_cancel, "io_cancel", handler_of<io_cancel>},
    {__NR_io_getevents, "io_getevents", handler_of<io_getevents>, Support::full, {}, Restart::no},
    {__NR_io_pgetevents, "io_pgetevents", handler_of<io_pgetevents>, Support::full, {}, Restart::no},
};

}  // namespace

constinit const std::span<const Entry> aio_calls = entries;

}  // namespace pv::linux
