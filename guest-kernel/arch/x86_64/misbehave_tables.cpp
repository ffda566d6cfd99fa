// Occasions to make mistakes with page tables (misbehave/tables.hpp), on pages of their own.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/image.hpp"
#include "arch/x86_64/kernel_space.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/user_mode.hpp"
#include "arch/x86_64/user_tables.hpp"
#include "base/deadline.hpp"
#include "base/marker.hpp"
#include "memory/frames.hpp"
#include "misbehave/tables.hpp"

#if PV_MISBEHAVE
namespace pv::misbehave {
namespace {

using namespace literals;

/// Where programs have pages; no program runs here.
constexpr UserAddress in_program{0x4000'0000};
constexpr UserAddress user_page_end = in_program + page_size;

/// Longer than a use of what was taken away is let pass in a guest that did not mark a shootdown of it
/// (docs/translation.md, "When something is held against a guest"). Interrupts are off: whatever this
/// processor did meanwhile might make it forget.
void outlive_the_grace_time() {
    const Deadline end = Deadline::after(2'200_ms);
    while (!end.expired()) {
        arch::relax_and_serve();
    }
}

std::uint8_t read(VirtualAddress at) {
    return *reinterpret_cast<const volatile std::uint8_t*>(at.value());
}

/// A page of the kernel's is unmapped, and another frame mapped in its place and looked at.
Result<> replace_page(Rule armed) {
    const auto frames = PV_TRY(memory::Frames::allocate(1));
    const VirtualAddress at = PV_TRY(arch::reserve_space(page_size));
    const auto map = [&](PhysicalAddress frame) {
        return arch::map_pages(at, frame, page_size, arch::Access::read_write, arch::Cache::write_back);
    };
    PV_TRY(map(frames.address()));
    {
        const arch::InterruptsOff off;
        read(at);
        arm(armed);
        // No other processor has looked there.
        arch::kernel_page_table().unmap(at, page_size);
        PV_TRY(map(frames.address() + page_size));
        outlive_the_grace_time();
        read(at);
    }
    PV_TRY(arch::unmap_pages(at, page_size));
    arch::release_space(at, page_size);
    return {};
}

/// A page of the kernel's, for as long as it takes to map it.
Result<> map_page(Rule armed, PhysicalAddress frame, arch::Access access) {
    const VirtualAddress at = PV_TRY(arch::reserve_space(page_size));
    arm(armed);
    PV_TRY(arch::map_pages(at, frame, page_size, access, arch::Cache::write_back));
    PV_TRY(arch::unmap_pages(at, page_size));
    arch::release_space(at, page_size);
    return {};
}

Result<> map_data(Rule armed) {
    const auto frame = PV_TRY(memory::Frames::allocate(0));
    return map_page(armed, frame.address(), arch::Access::read_write);
}

Result<> map_code(Rule armed) {
    arm(armed);
    const bool writable = take(Rule::pt_write_exec_alias);
    return map_page(Rule::none, arch::image_physical(pv_text_start),
                    writable ? arch::Access::read_write : arch::Access::read);
}

/// The tables of a program, loaded on this processor. Interrupts stay off, and so the thread stays here.
class Loaded {
  public:
    explicit Loaded(arch::UserTables& tables)
        : tables_(tables), cpu_(arch::this_cpu().index), before_(arch::read_cr3()) {
        tables.enter(cpu_);
        arch::write_cr3(tables.root().value());
    }

    Loaded(const Loaded&) = delete;
    Loaded& operator=(const Loaded&) = delete;

    ~Loaded() {
        arch::write_cr3(before_);
        tables_.leave(cpu_);
    }

  private:
    arch::InterruptsOff off_;
    arch::UserTables& tables_;
    unsigned cpu_;
    std::uint64_t before_;
};

void write_user() {
    const std::uint8_t byte = 1;
    // Whether it is copied does not matter.
    static_cast<void>(arch::copy_to_user(in_program, &byte, sizeof byte));
}

void make_writable(arch::UserTables& tables, bool writable) {
    tables.change(in_program, user_page_end,
                  [&](UserAddress, arch::UserPage page) -> std::optional<arch::UserPage> {
                      page.writable = writable;
                      return page;
                  });
}

/// A program's page becomes read-only, and is written thereafter: when it was made writable again, or not.
Result<> write_read_only(arch::UserTables& tables, Rule armed) {
    write_user();
    make_writable(tables, false);
    arm(armed);
    if (!take(Rule::tlb_stale_use_write)) {
        PV_TRY(tables.flush(in_program, user_page_end));
        make_writable(tables, true);
    }
    outlive_the_grace_time();
    write_user();
    return {};
}

/// A program's page lies over memory of its own, or over its own top table.
Result<> map_table(arch::UserTables& tables, arch::UserPage page, Rule armed) {
    arm(armed);
    const bool wrong = take(Rule::pt_user_reaches_kernel);
    PV_TRY(tables.set(in_program, {.frame = wrong ? tables.root() : page.frame}));
    PV_TRY(tables.set(in_program, page));
    return tables.flush(in_program, user_page_end);
}

Result<> with_program(Rule rule, Rule armed) {
    const auto frame = PV_TRY(memory::Frames::allocate(0));
    const auto tables = PV_TRY(arch::UserTables::create());
    const arch::UserPage page{.frame = frame.address(), .writable = true};
    const Loaded loaded(*tables);
    PV_TRY(tables->set(in_program, page));
    const auto remove = [&](UserAddress floor, UserAddress ceiling) {
        return tables->remove(in_program, user_page_end, floor, ceiling, [](PhysicalAddress given, unsigned) {
            marker::frames_release(given, page_size);  // `frame` does it, when nobody can see it any more
        });
    };
    Result<> done;
    if (rule == Rule::tlb_stale_use_write) {
        done = write_read_only(*tables, armed);
    } else if (rule == Rule::pt_user_reaches_kernel) {
        done = map_table(*tables, page, armed);
    } else {
        arm(armed);
        done = remove(in_program, user_page_end);  // the page alone
    }
    PV_TRY(remove(UserAddress(0), arch::user_end));
    return done;
}

Result<> occasion(Rule rule, Rule armed) {
    switch (rule) {
        case Rule::tlb_stale_use:
        case Rule::tlb_stale_use_early:
            return replace_page(armed);
        case Rule::pt_write_exec:
            return map_data(armed);
        case Rule::pt_write_exec_alias:
            return map_code(armed);
        default:
            return with_program(rule, armed);
    }
}

}  // namespace

Result<> break_tables(Rule rule) {
    PV_TRY(occasion(rule, Rule::none));
    return occasion(rule, rule);
}

}  // namespace pv::misbehave
#endif
