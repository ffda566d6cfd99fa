// The shadow against the plain TLB: every short sequence of steps, and many long ones.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>

#include "specification.hpp"

namespace pv::translation::testing {
namespace {

constexpr std::uint64_t flags = entry_present | entry_writable | entry_user;
constexpr std::uint64_t read_only = entry_present | entry_user;
constexpr std::uint64_t page_a = 20 << 12, page_b = 21 << 12;

constexpr std::uint64_t to(std::uint64_t frame) {
    return frame << 12 | flags;
}

using Pages = std::set<std::pair<std::uint64_t, bool>>;

/// A page that may be used read-only is no further news where it may be written.
Pages strongest(Pages pages) {
    std::erase_if(pages,
                  [&](const auto& page) { return !page.second && pages.contains({page.first, true}); });
    return pages;
}

/// Both at once, step by step.
class Machine {
  public:
    explicit Machine(bool pcids) : pcids_(pcids) {
        memory_.at(Layout::root_a, 0) = to(3);
        memory_.at(3, 0) = to(Layout::directory_a);
        memory_.at(Layout::root_b, 0) = to(4);
        memory_.at(4, 0) = to(Layout::directory_b);
        memory_.at(Layout::directory_a, 0) = to(Layout::first);
        memory_.at(Layout::directory_b, 0) = to(Layout::second);
        memory_.at(Layout::directory_a, 1) = memory_.at(Layout::directory_b, 1) = to(Layout::shared);
        memory_.at(Layout::first, 0) = page_a | flags;
        memory_.at(Layout::first, 1) = page_b | flags;
        memory_.at(Layout::second, 0) = page_b | flags;
        memory_.at(Layout::shared, 0) = page_a | flags | entry_global;
        load(0, Layout::root_a, 1, false);
        load(1, Layout::root_a, 1, false);
    }

    void load(unsigned cpu, std::uint64_t root, std::uint16_t pcid, bool keep) {
        const std::uint16_t used = pcids_ ? pcid : std::uint16_t{0};
        specification_.load(cpu, root, used, keep);
        control_[cpu].cr3 = root << 12 | used;
        tracker_.control({.cpu = cpu}, 3, control_[cpu], keep);
    }

    void toggle_global(unsigned cpu) {
        specification_.toggle_global(cpu);
        for (int i = 0; i < 2; ++i) {
            control_[cpu].cr4 ^= cr4_global_pages;
            tracker_.control({.cpu = cpu}, 4, control_[cpu], false);
        }
    }

    void invlpg(unsigned cpu, std::uint64_t linear) {
        specification_.invlpg(cpu, linear);
        tracker_.invlpg({.cpu = cpu}, linear);
    }

    void invpcid(unsigned cpu, unsigned type, std::uint16_t pcid, std::uint64_t linear) {
        specification_.invpcid(cpu, type, pcid, linear);
        tracker_.invpcid({.cpu = cpu}, type, pcid, linear);
    }

    void store(std::uint64_t frame, unsigned index, std::uint64_t entry) {
        // What is written into a table that was taken out, while a processor may still walk it, is not
        // followed (docs/translation.md, "Limits").
        if (specification_.is_owed(frame)) {
            return;
        }
        memory_.at(frame, index) = entry;
        if (tracker_.holds_table(frame << 12)) {
            tracker_.store({.cpu = 0}, frame << 12 | index * 8, 8);
        }
    }

    /// One of the steps; its name.
    std::string step(unsigned number) {
        specification_.fill();
        return steps().at(number % steps().size()).run(*this);
    }

    static std::size_t step_count(bool pcids) { return pcids ? all_steps : plain_steps; }

    /// What is wrong; "" when the two agree.
    std::string compare() {
        specification_.fill();
        for (unsigned cpu = 0; cpu < 2; ++cpu) {
            for (std::uint16_t pcid = 0; pcid < 4; ++pcid) {
                for (const std::uint64_t linear : {Layout::page_0, Layout::page_1, Layout::kernel_page}) {
                    const Pages expected = strongest(specification_.stale(cpu, pcid, linear));
                    Pages found;
                    tracker_.for_each_stale(cpu, pcid, linear, [&](const Translation& old) {
                        found.insert({old.physical, old.rights.write});
                    });
                    found = strongest(found);
                    // With PCIDs, an address space that is not in use at the moment is changed without being
                    // filled again, and a processor may keep ways to tables above the last: more may be owed
                    // than the specification fills in, never less.
                    const bool agrees =
                        pcids_ ? std::ranges::all_of(expected,
                                                     [&](const auto& page) {
                                                         return found.contains(page) ||
                                                                found.contains({page.first, true});
                                                     })
                               : found == expected;
                    if (!agrees && specification_.root_of(cpu, pcid) != 0) {
                        return "cpu " + std::to_string(cpu) + " pcid " + std::to_string(pcid) + " page " +
                               std::to_string(linear) + ": may be stale " + std::to_string(expected.size()) +
                               ", found " + std::to_string(found.size());
                    }
                }
            }
        }
        return {};
    }

  private:
    struct Step {
        std::function<std::string(Machine&)> run;
    };

    static const std::vector<Step>& steps() {
        static const std::vector<Step> all = [] {
            std::vector<Step> list;
            const auto add = [&](std::string name, auto run) {
                list.push_back({[name, run](Machine& machine) {
                    run(machine);
                    return name;
                }});
            };
            for (unsigned cpu = 0; cpu < 2; ++cpu) {
                const std::string at = "cpu" + std::to_string(cpu) + " ";
                add(at + "load A", [=](Machine& m) { m.load(cpu, Layout::root_a, 1, false); });
                add(at + "load B", [=](Machine& m) { m.load(cpu, Layout::root_b, 2, false); });
                add(at + "invlpg 0", [=](Machine& m) { m.invlpg(cpu, Layout::page_0); });
                add(at + "invlpg 1", [=](Machine& m) { m.invlpg(cpu, Layout::page_1); });
                add(at + "invlpg kernel", [=](Machine& m) { m.invlpg(cpu, Layout::kernel_page); });
                add(at + "PGE", [=](Machine& m) { m.toggle_global(cpu); });
            }
            const auto store = [&](std::string name, std::uint64_t frame, unsigned index,
                                   std::uint64_t entry) {
                add("store " + name, [=](Machine& m) { m.store(frame, index, entry); });
            };
            store("A0 none", Layout::first, 0, 0);
            store("A0 a", Layout::first, 0, page_a | flags);
            store("A0 b", Layout::first, 0, page_b | flags);
            store("A0 a read-only", Layout::first, 0, page_a | read_only);
            store("A1 none", Layout::first, 1, 0);
            store("B0 a", Layout::second, 0, page_a | flags);
            store("B0 none", Layout::second, 0, 0);
            store("kernel none", Layout::shared, 0, 0);
            store("kernel b", Layout::shared, 0, page_b | flags | entry_global);
            store("kernel a read-only", Layout::shared, 0, page_a | read_only | entry_global);
            store("kernel a, not global", Layout::shared, 0, page_a | flags);
            store("directory none", Layout::directory_a, 0, 0);
            store("directory first", Layout::directory_a, 0, to(Layout::first));
            store("directory second", Layout::directory_a, 0, to(Layout::second));
            store("directory read-only", Layout::directory_a, 0, Layout::first << 12 | read_only);
            expect_plain(list.size());
            for (unsigned cpu = 0; cpu < 2; ++cpu) {
                const std::string at = "cpu" + std::to_string(cpu) + " ";
                add(at + "load A, keep", [=](Machine& m) { m.load(cpu, Layout::root_a, 1, true); });
                add(at + "load B, keep", [=](Machine& m) { m.load(cpu, Layout::root_b, 2, true); });
                add(at + "load B as A", [=](Machine& m) { m.load(cpu, Layout::root_b, 1, true); });
                for (unsigned type = 0; type < 4; ++type) {
                    add(at + "invpcid " + std::to_string(type),
                        [=](Machine& m) { m.invpcid(cpu, type, 1, Layout::page_0); });
                }
            }
            return list;
        }();
        return all;
    }

    static constexpr std::size_t plain_steps = 27;
    static constexpr std::size_t all_steps = 41;

    static void expect_plain(std::size_t size) { EXPECT_EQ(size, plain_steps); }

    bool pcids_;
    FakeMemory memory_;
    Findings findings_;
    Specification specification_{memory_};
    Control control_[2] = {
        {cr0_paging, 0, cr4_pae | cr4_global_pages | (pcids_ ? std::uint64_t{cr4_pcid} : 0), true},
        {cr0_paging, 0, cr4_pae | cr4_global_pages | (pcids_ ? std::uint64_t{cr4_pcid} : 0), true}};
    Tracker tracker_{memory_, FakeMemory::limit, 2, findings_, Limits{}, [](unsigned) { return 0; }};
};

void run(bool pcids, const std::vector<unsigned>& sequence) {
    Machine machine(pcids);
    std::string done;
    for (const unsigned step : sequence) {
        done += machine.step(step) + "; ";
        const std::string wrong = machine.compare();
        ASSERT_EQ(wrong, "") << "after: " << done;
    }
}

void run_all(bool pcids, unsigned length) {
    const auto count = static_cast<unsigned>(Machine::step_count(pcids));
    std::vector<unsigned> sequence(length, 0);
    while (!::testing::Test::HasFatalFailure()) {
        run(pcids, sequence);
        std::size_t at = 0;
        while (at < length && ++sequence[at] == count) {
            sequence[at++] = 0;
        }
        if (at == length) {
            return;
        }
    }
}

void run_random(bool pcids, unsigned sequences, unsigned length) {
    std::mt19937 random(12345);
    std::uniform_int_distribution<unsigned> step(0, static_cast<unsigned>(Machine::step_count(pcids)) - 1);
    for (unsigned i = 0; i < sequences && !::testing::Test::HasFatalFailure(); ++i) {
        std::vector<unsigned> sequence(length);
        std::ranges::generate(sequence, [&] { return step(random); });
        run(pcids, sequence);
    }
}

TEST(TranslationModel, EverySequenceOfThreeSteps) {
    run_all(false, 3);
}

TEST(TranslationModel, LongSequences) {
    run_random(false, 5'000, 16);
}

TEST(TranslationModel, EverySequenceOfTwoStepsWithPcids) {
    run_all(true, 2);
}

TEST(TranslationModel, LongSequencesWithPcids) {
    run_random(true, 5'000, 16);
}

}  // namespace
}  // namespace pv::translation::testing
