// The shadow of translation: follows tables and processors, and finds who may still use what was taken away.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_set>
#include <vector>

#include "paravane/marker.h"
#include "paravane/trace_event.hpp"
#include "translation/entry.hpp"
#include "translation/frame_set.hpp"
#include "translation/invalidation.hpp"
#include "translation/memory.hpp"
#include "translation/obligations.hpp"
#include "translation/promises.hpp"
#include "translation/tables.hpp"

namespace pv::translation {

/// Who does something: the instruction, and when.
struct Actor {
    unsigned cpu = 0;
    std::uint64_t pc = 0;
    std::int64_t time = 0;           ///< microseconds
    std::uint64_t instructions = 0;  ///< of this processor so far
};

/// Where what is found goes. Each is one line of the trace (abi/paravane/trace_event.hpp).
class Sink {
  public:
    virtual ~Sink() = default;
    /// Before the first line that names `change`.
    virtual void change(const Change& change, std::int64_t age) = 0;
    virtual void stale_use(const Actor& actor, const Change& change, std::uint64_t linear, std::uint64_t used,
                           unsigned access) = 0;
    /// `use`: the instruction of the holder by which it is held to a promise; 0 where a marker says that no
    /// processor may owe anything.
    virtual void missed(const Actor& actor, const Change& change, std::uint64_t linear, unsigned holder,
                        std::uint64_t shootdown, bool structure, std::uint64_t use) = 0;
    virtual void freed(const Actor& actor, const Change& change, std::uint64_t linear, unsigned holder,
                       std::uint64_t physical, bool structure, std::uint64_t use) = 0;
    virtual void global_kept(unsigned cpu, std::uint64_t pc, const Change& change, std::uint64_t linear,
                             std::uint64_t shootdown) = 0;
    virtual void fault(const Actor& actor, trace::TableFault fault, std::uint64_t linear, std::uint64_t entry,
                       unsigned level, std::uint64_t other) = 0;
};

struct Limits {
    std::int64_t grace = 2'000'000;  ///< microseconds from a change until its old use is held against
                                     ///< a guest that does not mark its shootdowns
    std::uint64_t grace_instructions = 100'000;  ///< and so many of the processor that made the change
    std::size_t tables = 65'536;
    std::size_t roots = 64;   ///< kept though no processor uses them
    std::size_t lines = 256;  ///< of one sort
};

struct Totals {
    std::uint64_t changes = 0;     ///< stores that took a translation away from some processor
    std::uint64_t taken = 0;       ///< obligations that came of them
    std::uint64_t checked = 0;     ///< accesses to a page with an obligation, after the grace time
    std::uint64_t shootdowns = 0;  ///< marked ones that were judged
    std::uint64_t entries = 0;     ///< table entries that changed
    std::uint64_t skipped = 0;     ///< what there was no room to follow
    std::uint64_t frames = 0;      ///< released, by a profile, since some processor could reach them
    std::uint64_t promised = 0;    ///< shootdowns over, by a profile
    std::uint64_t held = 0;  ///< obligations of programs' processors that were looked at because of them
};

struct Flushes {
    std::uint64_t pages = 0;     ///< invlpg
    std::uint64_t whole = 0;     ///< everything, without a change of the tables' root
    std::uint64_t needless = 0;  ///< of those: at most `few` pages would have done
    static constexpr std::size_t few = 8;
};

/// One caller at a time, but for what is said to be for any.
class Tracker {
  public:
    /// `limit`: RAM lies below this physical address. `instructions`: of a processor so far. `marks`, for the
    /// same limit, may be shared with others; nullptr: it gets its own.
    Tracker(const Memory& memory, std::uint64_t limit, unsigned cpus, Sink& sink, const Limits& limits,
            std::function<std::uint64_t(unsigned)> instructions, std::shared_ptr<FrameMarks> marks = nullptr);

    // --- processors
    /// Control register `number` was written, and all stand as `now`. `no_flush`: a write to CR3 with bit 63.
    void control(const Actor& actor, unsigned number, const Control& now, bool no_flush);
    void invlpg(const Actor& actor, std::uint64_t linear);
    /// INVPCID of `type` 0 to 3 (SDM vol. 2A).
    void invpcid(const Actor& actor, unsigned type, std::uint16_t pcid, std::uint64_t linear);

    // --- memory
    /// For any thread: a store there must be told of by store().
    [[nodiscard]] bool holds_table(std::uint64_t physical) const {
        return tables_.frames().contains(physical);
    }

    /// For any thread: false for most pages that this processor owes nothing for.
    [[nodiscard]] bool may_cover(unsigned cpu, std::uint64_t linear) const {
        return cpus_[cpu].owed.may_cover(linear);
    }

    /// What may_cover() asks.
    [[nodiscard]] const PageFilter& filter(unsigned cpu) const { return cpus_[cpu].owed.filter(); }

    /// The same for sure.
    [[nodiscard]] bool covers(unsigned cpu, std::uint64_t linear) const {
        return cpus_[cpu].owed.covers(linear);
    }

    /// Bytes of a table were stored: what stands there now is read from memory.
    void store(const Actor& actor, std::uint64_t physical, std::size_t size);
    /// An access was carried out, at the physical address `used`.
    void access(const Actor& actor, std::uint64_t linear, bool write, std::uint64_t used);

    // --- what the guest says (abi/paravane/marker.h)
    void shootdown_begin(std::uint64_t id, std::uint64_t root, std::uint64_t address, std::uint64_t length);
    void shootdown_end(const Actor& actor, std::uint64_t id, std::uint64_t status);
    /// The frames serve something else from here on.
    void release(const Actor& actor, std::uint64_t physical, std::uint64_t length);
    void protect(std::uint64_t physical, std::uint64_t length, std::uint64_t kind);
    void unprotect(const Actor& actor, std::uint64_t physical, std::uint64_t length);
    /// From here on a page both writable and executable is a fault; those that stand are found now.
    /// `user`: also those of programs.
    void arm(const Actor& actor, bool user);

    /// The same, also for programs, once a processor loads other tables than it has now: a kernel says that
    /// it protects its code while it builds the tables that do.
    void arm_with_next_tables() { arms_with_next_tables_ = !armed_for_user_; }

    [[nodiscard]] bool is_armed() const { return armed_; }

    // --- what a kernel's profile tells (docs/translation.md, "With a profile"): promises
    // Kernels leave processors alone that run no program and use no such address, and these look after
    // themselves before they do. So each is held to a promise only there: by run_program() and access().
    /// For any thread: false when no translation to the frames was taken away since they were last released.
    [[nodiscard]] bool may_be_owed(std::uint64_t physical, std::uint64_t length) const {
        return owed_frames_.first_in(physical, length) != FrameSet::none;
    }

    /// For any thread: whether the processor may still use what was taken away from programs.
    [[nodiscard]] bool owes_programs(unsigned cpu) const { return cpus_[cpu].owed.concern_programs(); }

    /// The frames are given back. Ask may_be_owed() before: without it this is slow and says nothing.
    void promise_release(const Actor& actor, std::uint64_t physical, std::uint64_t length);

    /// How many changes there were: what a shootdown that begins now is about.
    [[nodiscard]] std::uint64_t changes() const { return last_change_; }

    /// A shootdown is over that began after `changes`.
    void promise_shootdown(const Actor& actor, std::uint64_t changes, std::uint64_t root,
                           std::uint64_t address, std::uint64_t length);
    /// The same in all tables, on every processor that runs: that ran a program, before it began.
    void promise_kernel_shootdown(const Actor& actor, std::uint64_t changes, std::uint64_t address,
                                  std::uint64_t length);
    /// The processor begins to execute code of a program, at `actor.pc`.
    void run_program(const Actor& actor);

    // --- questions
    [[nodiscard]] Totals totals() const;

    [[nodiscard]] const Flushes& flushes(unsigned cpu) const { return cpus_[cpu].flushes; }

    [[nodiscard]] std::size_t table_count() const { return tables_.size(); }

    /// Calls `f` for each translation of the page around `linear` that the processor may still use in address
    /// space `pcid` though the tables no longer give it.
    void for_each_stale(unsigned cpu, std::uint16_t pcid, std::uint64_t linear,
                        const std::function<void(const Translation&)>& f);

  private:
    /// Tables that a processor may have cached translations of.
    struct Context {
        std::uint16_t pcid = 0;
        std::uint64_t root = 0;
    };

    struct Cpu {
        Control control{};
        std::vector<Context> contexts;
        Obligations owed;
        Flushes flushes;
        std::uint64_t since = ~std::uint64_t{0};  ///< changes there were when it first ran a program
    };

    struct Shootdown {
        std::uint64_t changes = 0;  ///< number of the last change before it
        std::uint64_t root = 0, address = 0, length = 0;
    };

    struct Protected {
        std::uint64_t end = 0;
        std::uint64_t kind = 0;
    };

    /// A page some processor could reach through an entry, before that entry changed.
    struct Former {
        unsigned cpu;
        Context context;
        std::uint64_t linear;
        Translation old;
        bool coarse;
    };

    void apply(const Actor& actor, Operation operation, std::uint64_t linear, std::uint16_t named);
    static void count_whole(Cpu& cpu);
    void use_root(Cpu& cpu);
    [[nodiscard]] bool is_used(const Table& table) const;
    [[nodiscard]] bool is_used_root(std::uint64_t root) const;
    void entry_changed(const Actor& actor, Table& table, unsigned index, std::uint64_t entry);
    void collect(std::vector<Former>& formers, unsigned cpu, Context context, std::uint64_t linear,
                 unsigned level, std::uint64_t entry, Rights upper, bool has_globals);
    void owe(const std::vector<Former>& formers, Change& change);
    void note_frames(const Obligation& obligation);
    void root_changed(const Actor& actor, Cpu& cpu, std::uint64_t old_root);
    [[nodiscard]] bool differs(const Former& former) const;
    void check(const Actor& actor, std::uint64_t linear, unsigned level, std::uint64_t entry, Rights upper);
    void check_reserved(const Actor& actor, std::uint64_t linear, unsigned level, std::uint64_t entry);
    void fault(const Actor& actor, trace::TableFault fault, std::uint64_t linear, std::uint64_t entry,
               unsigned level, std::uint64_t other);
    void audit(const Actor& actor);
    [[nodiscard]] bool is_due(const Obligation& obligation, const Actor& actor) const;
    [[nodiscard]] bool is_stale(const Cpu& cpu, const Obligation& obligation, std::uint64_t linear) const;
    [[nodiscard]] Translation now_at(const Cpu& cpu, const Obligation& obligation,
                                     std::uint64_t linear) const;
    bool tell(const Change& change, std::int64_t time);
    void break_promise(const Promise& promise, const Obligation& obligation, std::uint64_t linear,
                       const Actor& holder);
    void make_room_for_frames();
    /// Judges what every processor owes: `concerned` gives the page that an obligation breaks the rule at, or
    /// nothing; `say` writes the line, one at most for each processor.
    template <class Concerned, class Say>
    void judge_holders(std::int64_t time, const Concerned& concerned, const Say& say);

    Tables tables_;
    Sink& sink_;
    Limits limits_;
    std::function<std::uint64_t(unsigned)> instructions_;
    std::vector<Cpu> cpus_;
    std::vector<std::uint64_t> recent_roots_;  ///< the one used last at the end
    std::map<std::uint64_t, Shootdown> shootdowns_;
    FrameSet owed_frames_;  ///< that a translation was taken away to, since they were last released
    Promises promises_;
    std::map<std::uint64_t, Protected> protected_;  ///< by first address
    std::unordered_set<std::uint64_t> told_;        ///< numbers of changes
    std::map<trace::TableFault, std::size_t> faults_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> faulty_;  ///< linear address and fault
    std::uint64_t last_change_ = 0;
    std::size_t lines_ = 0;
    Totals totals_;
    bool armed_ = false;
    bool armed_for_user_ = false;
    bool arms_with_next_tables_ = false;
};

}  // namespace pv::translation
