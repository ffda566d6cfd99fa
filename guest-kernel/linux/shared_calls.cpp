// Calls on System V shared memory: shmget and its kin.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <sys/shm.h>

#include <new>

#include "base/atomic.hpp"
#include "linux/file_source.hpp"
#include "linux/ipc_objects.hpp"
#include "linux/ipc_view.hpp"
#include "linux/table.hpp"
#include "linux/writable_code.hpp"
#include "memory/frames.hpp"

namespace pv::linux {
namespace {

using task::ProcessId;

/// Linux's limit of one segment's bytes.
constexpr std::uint64_t bytes_max = ~0ULL - (1ULL << 24);

/// Pages of all segments. They stay when nobody has them attached, so they are bounded, as a tmpfs is.
constinit Atomic<std::uint64_t> pages_of_all{0};

std::uint64_t most_pages() {
    return memory::frame_statistics().total / 2;
}

/// One segment. Each region that shows it owns a part of it: so many times it is attached.
class Segment final : public memory::PageSource, public ipc::Object {
  public:
    struct Facts {
        ProcessId maker = 0;
        ProcessId last = 0;
        Timestamp attached{};
        Timestamp detached{};
    };

    /// Errors: einval, enospc, enomem.
    static Outcome<Ref<Segment>> create(std::uint64_t size, ProcessId maker);

    [[nodiscard]] Result<PhysicalAddress> page(std::uint64_t index) override { return memory_->page(index); }

    [[nodiscard]] bool is_segment() const override { return true; }

    [[nodiscard]] std::uint64_t size() const { return size_; }

    [[nodiscard]] std::uint64_t pages() const { return align_up(size_, page_size) / page_size; }

    task::Guarded<Facts, task::Rank::ipc> facts;

  private:
    explicit Segment(std::uint64_t size) : size_(size) {}

    ~Segment() override;

    /// False: there are too many (most_pages).
    [[nodiscard]] bool count_pages();

    std::uint64_t size_;         ///< as it was asked for, in bytes
    std::uint64_t counted_ = 0;  ///< of pages_of_all
    Ref<memory::PageSource> memory_;
};

constinit ipc::Objects<Segment> segments;

Outcome<Ref<Segment>> Segment::create(std::uint64_t size, ProcessId maker) {
    if (size == 0 || size > bytes_max) {
        return fail(Errno::einval);
    }
    const std::uint64_t pages = align_up(size, page_size) / page_size;
    if (pages > most_pages()) {
        return fail(Errno::enospc);
    }
    auto memory = PV_TRY(SharedMemory::create(pages * page_size));
    const auto segment = Ref<Segment>::adopt(new (std::nothrow) Segment(size));
    if (segment == nullptr) {
        return fail(Errno::enomem);
    }
    segment->memory_ = std::move(memory);
    segment->facts.unguarded().maker = maker;
    if (!segment->count_pages()) {
        return fail(Errno::enospc);
    }
    return segment;
}

bool Segment::count_pages() {
    std::uint64_t before = pages_of_all.load(std::memory_order_relaxed);
    do {
        if (before > most_pages() - pages()) {
            return false;
        }
    } while (!pages_of_all.compare_exchange_weak(before, before + pages(), std::memory_order_relaxed,
                                                 std::memory_order_relaxed));
    counted_ = pages();
    return true;
}

// Nobody finds it in the table any more: its last owner has gone.
Segment::~Segment() {
    segments.forget(*this);
    pages_of_all.fetch_sub(counted_, std::memory_order_relaxed);
}

Value shmget(Call& call, key_t key, std::uint64_t size, int flags) {
    const auto fits = [&](const Segment& segment) -> Outcome<> {
        return size > segment.size() ? Outcome<>(fail(Errno::einval)) : Outcome<>();
    };
    const auto make = [&]() -> Outcome<Ref<Segment>> {
        if ((flags & SHM_HUGETLB) != 0) {
            return fail(Errno::enomem);  // no huge pages are set aside
        }
        return Segment::create(size, call.process().id);
    };
    return static_cast<std::uint64_t>(PV_TRY(segments.get(call, key, flags, fits, make)));
}

Value shmat(Call& call, int number, std::uint64_t address, int flags) {
    const bool replaces = (flags & SHM_REMAP) != 0;
    const bool is_fixed = address != 0;
    if (address % page_size != 0) {
        if ((flags & SHM_RND) == 0) {
            return fail(Errno::einval);
        }
        address = align_down(address, page_size);
        if (address == 0 && replaces) {
            return fail(Errno::einval);
        }
    }
    if (!is_fixed && replaces) {
        return fail(Errno::einval);
    }
    const bool writes = (flags & SHM_RDONLY) == 0;
    const memory::Rights rights{true, writes, (flags & SHM_EXEC) != 0};
    PV_TRY(check_rights(rights, call.thread.name.data(), call.process().id));
    const std::uint32_t wanted = ipc::reading | (writes ? ipc::writing : 0);
    const auto segment = PV_TRY(segments.find(call, number, wanted));
    memory::MapRequest request;
    request.hint = UserAddress(address);
    request.length = segment->pages() * page_size;
    request.fixed = is_fixed;
    request.replace = replaces;
    request.contents.rights = rights;
    request.contents.rights_max.write = writes;
    request.contents.shared = true;
    request.contents.source = segment;
    const Outcome<UserAddress> at = call.process().space->map(request);
    if (!at) {
        return fail(at.error() == Errno::eexist ? Errno::einval : at.error());
    }
    segment->facts.with([&](Segment::Facts& facts) {
        facts.attached = wall_time();
        facts.last = call.process().id;
    });
    return at->value();
}

Value shmdt(Call& call, UserAddress address) {
    const Ref<memory::PageSource> source = PV_TRY(call.process().space->unmap_segment(address));
    static_cast<Segment&>(*source).facts.with([&](Segment::Facts& facts) {
        facts.detached = wall_time();
        facts.last = call.process().id;
    });
    return 0;
}

/// `segment` is the caller's own part of it.
shmid_ds value_of(const Ref<Segment>& segment) {
    const ipc::Permission permission = segments.permission(*segment);
    const Segment::Facts facts = segment->facts.with([](Segment::Facts& f) { return f; });
    const std::uint32_t others = 1 + ((permission.mode & SHM_DEST) == 0 ? 1 : 0);  // this part, the table's
    const std::uint32_t owners = segment->owners();
    shmid_ds value{};
    value.shm_perm = ipc::value_of(permission);
    value.shm_segsz = segment->size();
    value.shm_atime = facts.attached.seconds;
    value.shm_dtime = facts.detached.seconds;
    value.shm_ctime = segments.changed(*segment).seconds;
    value.shm_cpid = facts.maker;
    value.shm_lpid = facts.last;
    value.shm_nattch = owners > others ? owners - others : 0;
    return value;
}

Value tell_limits(UserPointer<shminfo> result) {
    shminfo value{};
    value.shmmax = bytes_max;
    value.shmmin = 1;
    value.shmmni = ipc::Objects<Segment>::count_max;
    value.shmseg = value.shmmni;
    value.shmall = most_pages();
    PV_TRY(result.write(value));
    return segments.highest();
}

Value tell_use(UserPointer<shm_info> result) {
    shm_info value{};
    value.used_ids = static_cast<int>(segments.count());
    value.shm_tot = pages_of_all.load(std::memory_order_relaxed);
    PV_TRY(result.write(value));
    return segments.highest();
}

Value shmctl(Call& call, int number, int command, std::uint64_t argument) {
    if (number < 0 || command < 0) {
        return fail(Errno::einval);
    }
    const UserPointer<shmid_ds> facts(argument);
    switch (command) {
        case IPC_INFO:
            return tell_limits(UserPointer<shminfo>(argument));
        case SHM_INFO:
            return tell_use(UserPointer<shm_info>(argument));
        case IPC_STAT:
            return done(facts.write(value_of(PV_TRY(segments.find(call, number, ipc::reading)))));
        case SHM_STAT:
        case SHM_STAT_ANY: {
            const auto segment = PV_TRY(segments.find_at(number));
            if (command == SHM_STAT && !ipc::may(call, segments.permission(*segment), ipc::reading)) {
                return fail(Errno::eacces);
            }
            PV_TRY(facts.write(value_of(segment)));
            return static_cast<std::uint64_t>(segment->number());
        }
        case IPC_SET: {
            const shmid_ds wanted = PV_TRY(facts.read());
            const auto segment = PV_TRY(segments.find(number));
            return done(segments.set(call, *segment,
                                     {wanted.shm_perm.uid, wanted.shm_perm.gid, wanted.shm_perm.mode}));
        }
        case IPC_RMID: {
            const auto segment = PV_TRY(segments.find(number));
            return done(segments.remove(call, *segment, SHM_DEST));
        }
        case SHM_LOCK:
        case SHM_UNLOCK: {
            const auto segment = PV_TRY(segments.find(number));
            // Nothing is ever swapped out: no more to do.
            return ipc::owns(call, segments.permission(*segment), Capability::ipc_lock)
                       ? Value(0)
                       : Value(fail(Errno::eperm));
        }
        default:
            return fail(Errno::einval);
    }
}

constexpr Entry entries[] = {
    {__NR_shmget, "shmget", handler_of<shmget>, Support::partial,
     "no huge pages; all segments together have half of the memory (ENOSPC)"},
    {__NR_shmat, "shmat", handler_of<shmat>, Support::partial,
     "write and execute together needs writable-code=allow (EACCES)"},
    {__NR_shmdt, "shmdt", handler_of<shmdt>},
    {__NR_shmctl, "shmctl", handler_of<shmctl>, Support::partial,
     "what a process's end detaches changes no times; no count of pages in memory"},
};

}  // namespace

void write_segments(fs::Text& text) {
    text.append(
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      "
        "atime      "
        "dtime      ctime                   rss                  swap\n");
    segments.for_each([&](const Ref<Segment>& segment) {
        const shmid_ds value = value_of(segment);
        ipc::write_head(text, value.shm_perm, segment->number());
        text.add(" {:>21} {:>5} {:>5}  {:>5}", value.shm_segsz, value.shm_cpid, value.shm_lpid,
                 value.shm_nattch);
        ipc::write_users(text, value.shm_perm);
        text.add(" {:>10} {:>10} {:>10} {:>21} {:>21}\n", value.shm_atime, value.shm_dtime, value.shm_ctime,
                 segment->pages() * page_size, 0);
    });
}

constinit const std::span<const Entry> shared_calls = entries;

}  // namespace pv::linux
