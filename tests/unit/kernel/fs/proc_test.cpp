// procfs: what is listed, what files say, links, and that nothing leads out of the root.
// SPDX-License-Identifier: MIT
#include "fs/proc.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "arch/processor.hpp"
#include "fs/pipe.hpp"
#include "fs/process_view.hpp"
#include "fs/sysfs.hpp"
#include "fs/unix_socket.hpp"
#include "interrupt/vector.hpp"
#include "random/pool.hpp"
#include "tree.hpp"

namespace pv::fs {
namespace {

using test::error_of;
using test::Tree;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Processes 5 (two threads, 5 and 6) and 40; the first one runs.
class View final : public ProcessView {
  public:
    explicit View(const Tree& tree) : tree_(tree) {
        descriptors_of[5] = DescriptorTable::create().value();
        descriptors_of[40] = DescriptorTable::create().value();
        context_ = Context::create(tree.root, tree.root, 022).value();
    }

    int next_process(int from) override {
        const auto found = descriptors_of.lower_bound(from);
        return found == descriptors_of.end() ? -1 : found->first;
    }

    int process_of(int thread) override {
        return thread == 6 ? 5 : descriptors_of.contains(thread) ? thread : 0;
    }

    int next_thread(int process, int from) override {
        const int last = process == 5 ? 6 : process;
        return from <= process ? process : from <= last ? last : -1;
    }

    int own_process() override { return 5; }

    int own_thread() override { return 6; }

    Location own_root() override { return tree_.root; }

    Outcome<ProcessFacts> facts(int process, int thread) override {
        if (!descriptors_of.contains(process) || (thread != 0 && next_thread(process, thread) != thread)) {
            return fail(Errno::esrch);
        }
        ProcessFacts found{.id = thread == 0 ? process : thread, .process = process, .parent = 1};
        std::ranges::copy(std::string_view("a name)"), found.name.begin());
        found.threads = process == 5 ? 2 : 1;
        found.state = 'R';
        found.users = {7, 8, 7, 8};
        found.started = started;
        found.ran = {Duration::milliseconds(1230), {}};
        found.mapped = 5 * 4096;
        found.resident = 3;
        found.caught = 0x42;
        found.io = {.read = 1, .written = 2, .reads = 3, .writes = 4, .disk_read = 5, .disk_written = 6};
        found.limits[7] = {1024, ~0ULL};
        return found;
    }

    Outcome<Ref<DescriptorTable>> descriptors(int process) override {
        return descriptors_of.contains(process) ? Outcome<Ref<DescriptorTable>>(descriptors_of[process])
                                                : fail(Errno::esrch);
    }

    Outcome<Ref<Context>> context(int) override { return context_; }

    Outcome<Location> executable(int process) override {
        return process == 5 ? tree_.find("/bin") : fail(Errno::enoent);
    }

    Outcome<> regions(int, bool counted, FunctionRef<void(const MappedRegion&)> each) override {
        MappedRegion region{.begin = UserAddress(0x400000),
                            .end = UserAddress(0x401000),
                            .read = true,
                            .execute = true,
                            .purpose = "[heap]"};
        if (counted) {
            region.pages = {.all = 600, .large = 512, .own = 590, .shared = 4, .share = 599 * page_size};
        }
        each(region);
        return {};
    }

    Outcome<std::array<UserAddress, 2>> area(int, MemoryArea which) override {
        const std::uint64_t length = which == MemoryArea::arguments ? memory.size() : 0;
        return std::array{UserAddress(0x1000), UserAddress(0x1000 + length)};
    }

    Outcome<> peek(int, std::span<std::byte> to, UserAddress from) override {
        const std::uint64_t offset = from.value() - 0x1000;
        if (offset + to.size() > memory.size()) {
            return fail(Errno::efault);
        }
        std::memcpy(to.data(), memory.data() + offset, to.size());
        return {};
    }

    Outcome<> poke(int, UserAddress to, std::span<const std::byte> from) override {
        const std::uint64_t offset = to.value() - 0x1000;
        if (offset + from.size() > memory.size()) {
            return fail(Errno::efault);
        }
        std::memcpy(memory.data() + offset, from.data(), from.size());
        return {};
    }

    bool may_look_into(int) override { return may_look; }

    unsigned processors() override { return 2; }

    ProcessorFacts processor(unsigned index) override {
        return {
            .idle = Duration::seconds(index), .switches = 10, .timer = 7, .calls = index, .shootdowns = 3};
    }

    LoadFacts load() override {
        return {.processes = 2,
                .threads = 3,
                .runnable = 1,
                .last_id = 40,
                .averages = {0x1'8000, 0x999, 12 * 0x1'0000 + 0xffff}};
    }

    std::map<int, Ref<DescriptorTable>> descriptors_of;
    std::string memory = std::string("one\0two\0", 8);
    bool may_look = true;
    Instant started;

  private:
    const Tree& tree_;
    Ref<Context> context_;
};

class ProcTest : public testing::Test {
  protected:
    ProcTest() : view_((make(tree_), tree_)) {
        set_process_view(view_);
        random::add(std::as_bytes(std::span("something nobody can guess")), 256);
    }

    static void make(Tree& tree) {
        EXPECT_TRUE(tree.make_directory("/proc"));
        EXPECT_TRUE(tree.put("/bin", "x"));
        EXPECT_TRUE(
            mount(tree.find("/proc").value(), create_procfs().value(), "proc", "proc", {.no_execute = true}));
    }

    std::string link(std::string_view path) {
        const NamedPlace place = resolve_place(tree_.caller(), path).value();
        std::array<char, 300> room;
        const Location found = resolve(tree_.caller(), path, {.follow_last = false}).value();
        return {room.data(), found.node->read_link(room).value()};
    }

    Tree tree_;
    View view_;
};

TEST_F(ProcTest, ListsProcessesAndWhatIsAlwaysThere) {
    const auto names = tree_.names("/proc").value();
    for (const char* name : {"5", "40", "self", "meminfo", "stat", "uptime", "cpuinfo", "mounts", "sys"}) {
        EXPECT_THAT(names, Contains(name));
    }
    EXPECT_THAT(names, Not(Contains("6")));
    EXPECT_EQ(error_of(tree_.find("/proc/7")), Errno::enoent);
    EXPECT_EQ(error_of(tree_.find("/proc/05")), Errno::enoent);
    EXPECT_EQ(error_of(tree_.find("/proc/99999999999999999999")), Errno::enoent);
}

TEST_F(ProcTest, EverythingThatIsListedCanBeFoundAndRead) {
    const std::function<void(const std::string&, int)> walk = [&](const std::string& path, int depth) {
        const std::vector<std::string> names = tree_.names(path).value();
        for (const std::string& name : names) {
            if (name == "." || name == "..") {
                continue;
            }
            const std::string below = path + "/" + name;
            const auto found = resolve(tree_.caller(), below, {.follow_last = false});
            ASSERT_TRUE(found) << below;
            std::array<char, 300> room;
            EXPECT_EQ(path_of(*found, tree_.root, room).value_or(below), below);
            if (found->node->is_directory() && depth < 5) {
                walk(below, depth + 1);
            } else if (found->node->type() == NodeType::regular) {
                // A memory begins at address 0, where nothing is.
                EXPECT_EQ(tree_.get(below).has_value(), name != "mem") << below;
            }
        }
    };
    walk("/proc", 0);
}

TEST_F(ProcTest, LedgerStatHasFiftyTwoFields) {
    const std::string text = tree_.get("/proc/5/stat").value();
    EXPECT_THAT(text, StartsWith("5 (a name)) R 1 "));
    const std::string rest = text.substr(text.rfind(')') + 2);
    EXPECT_EQ(std::ranges::count(rest, ' ') + 1, 50);
    std::istringstream fields(rest);
    std::vector<std::string> field(std::istream_iterator<std::string>(fields), {});
    EXPECT_EQ(field[11], "123");    // utime, in hundredths of a second
    EXPECT_EQ(field[17], "2");      // threads
    EXPECT_EQ(field[20], "20480");  // bytes mapped
    EXPECT_EQ(field[21], "3");      // pages there
    EXPECT_EQ(field[31], "66");     // signals caught
}

TEST_F(ProcTest, InterruptsAreThoseOfProcessorsToo) {
    const std::string text = tree_.get("/proc/interrupts").value();
    EXPECT_THAT(text, HasSubstr("LOC:          7          7  Local timer interrupts\n"));
    EXPECT_THAT(text, HasSubstr("RES:          0          1  Rescheduling interrupts\n"));
    EXPECT_THAT(text, HasSubstr("TLB:          3          3  TLB shootdowns\n"));
    const std::uint64_t others = interrupt::spurious_count();
    EXPECT_THAT(tree_.get("/proc/stat").value(), HasSubstr("\nintr " + std::to_string(others + 21) + "\n"));
}

TEST_F(ProcTest, LedgerStatusAndItsKinTellTheSame) {
    const std::string status = tree_.get("/proc/5/status").value();
    EXPECT_THAT(status, HasSubstr("Name:\ta name)\n"));
    EXPECT_THAT(status, HasSubstr("Uid:\t7\t8\t7\t8\n"));
    EXPECT_THAT(status, HasSubstr("VmRSS:\t      12 kB\n"));
    EXPECT_THAT(status, HasSubstr("SigCgt:\t0000000000000042\n"));
    EXPECT_THAT(status, HasSubstr("Cpus_allowed_list:\t0-1\n"));
    EXPECT_EQ(tree_.get("/proc/5/task/6/comm").value(), "a name)\n");
    EXPECT_THAT(tree_.get("/proc/5/task/6/stat").value(), StartsWith("6 ("));
    EXPECT_EQ(error_of(tree_.find("/proc/5/task/40")), Errno::enoent);
    EXPECT_EQ(tree_.get("/proc/5/cmdline").value(), std::string("one\0two\0", 8));
    EXPECT_EQ(tree_.get("/proc/5/environ").value(), "");
    EXPECT_THAT(tree_.get("/proc/5/limits").value(),
                HasSubstr("Max open files            1024                 unlimited            files"));
    EXPECT_EQ(tree_.get("/proc/5/maps").value(),
              "00400000-00401000 r-xp 00000000 00:00 0                                  [heap]\n");
    EXPECT_EQ(tree_.find("/proc/5/stat").value().node->attributes().user, 8U);
}

TEST_F(ProcTest, MappingsSayWhatOfThemIsInMemory) {
    const std::string counted = tree_.get("/proc/5/smaps").value();
    EXPECT_THAT(counted, StartsWith("00400000-00401000 r-xp 00000000 00:00 0 "));
    for (const std::string_view line :
         {"Size:                  4 kB\n", "Rss:                2400 kB\n", "Pss:                2396 kB\n",
          "Shared_Clean:          0 kB\n", "Shared_Dirty:         16 kB\n", "Private_Clean:        40 kB\n",
          "Private_Dirty:      2344 kB\n", "Anonymous:          2360 kB\n", "AnonHugePages:      2048 kB\n",
          "VmFlags: rd ex mr mw me \n"}) {
        EXPECT_THAT(counted, HasSubstr(std::string(line)));
    }
    const std::string all = tree_.get("/proc/5/smaps_rollup").value();
    EXPECT_THAT(all, StartsWith("00400000-00401000 ---p 00000000 00:00 0                          [rollup]\n"
                                "Rss:                2400 kB\nPss:                2396 kB\n"));
    EXPECT_THAT(all, HasSubstr("Pss_Anon:           2396 kB\nPss_File:              0 kB\n"));
}

TEST_F(ProcTest, LedgerAccountsOfWhatAProcessMoved) {
    constexpr std::string_view accounts =
        "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 0\n";
    EXPECT_EQ(tree_.get("/proc/5/io").value(), accounts);
    EXPECT_EQ(tree_.get("/proc/5/task/6/io").value(), accounts);
    EXPECT_EQ(tree_.find("/proc/5/io").value().node->attributes().mode, 0400U);
    view_.may_look = false;
    EXPECT_EQ(error_of(tree_.get("/proc/5/io")), Errno::eacces);
}

/// /proc/paravane/messages, without the times.
class LedgerMessages : public ProcTest {
  protected:
    ~LedgerMessages() override { EXPECT_TRUE(tree_.put(path, "off")); }

    std::vector<std::string> lines() {
        std::istringstream text(tree_.get(path).value());
        std::vector<std::string> found;
        for (std::string line; std::getline(text, line);) {
            const bool is_message = !line.empty() && std::isdigit(static_cast<unsigned char>(line[0])) != 0;
            found.push_back(is_message ? line.substr(line.find(' ') + 1) : line);
        }
        return found;
    }

    static constexpr std::string_view path = "/proc/paravane/messages";
};

TEST_F(LedgerMessages, TellsWhatGoesThroughPipesAndSockets) {
    const PipeEnds pipe = create_pipe(0).value();
    const SocketPair pair = create_unix_pair(SocketType::stream, 0, {}).value();
    ASSERT_TRUE(Tree::write(*pipe.write, "before anybody wants to know"));
    EXPECT_EQ(lines(), std::vector<std::string>{"off"});
    ASSERT_TRUE(tree_.put(path, "on\n"));
    EXPECT_EQ(Tree::read(*pipe.read, 6).value(), "before");
    ASSERT_TRUE(Tree::write(*pipe.write, "abc"));
    ASSERT_TRUE(Tree::write(*pair.first, "to the second"));
    EXPECT_EQ(Tree::read(*pair.second, 2).value(), "to");
    ASSERT_TRUE(Tree::write(*pair.second, "back"));
    std::array<char, 64> room;
    const std::string through(pipe.read->label(room));
    const std::string second(pair.second->label(room));
    const std::string first(pair.first->label(room));
    EXPECT_EQ(
        lines(),
        (std::vector<std::string>{
            "on: 5 messages, the last 5 kept, room for 1024; time process does peer object amount",
            "5 receives - " + through + " 6", "5 sends - " + through + " 3", "5 sends - " + second + " 13",
            "5 receives - " + second + " 2", "5 sends - " + first + " 4"}));
    ASSERT_TRUE(tree_.put(path, "off"));
    ASSERT_TRUE(Tree::write(*pipe.write, "nobody"));
    EXPECT_EQ(lines(), std::vector<std::string>{"off"});
}

TEST_F(LedgerMessages, KeepsTheLastOnes) {
    const PipeEnds pipe = create_pipe(0).value();
    ASSERT_TRUE(tree_.put(path, "20"));
    for (std::size_t i = 1; i <= 50; ++i) {
        ASSERT_TRUE(Tree::write(*pipe.write, std::string(i, 'x')));
    }
    const std::vector<std::string> found = lines();
    ASSERT_EQ(found.size(), 21U);
    EXPECT_THAT(found[0], StartsWith("on: 50 messages, the last 20 kept, room for 20;"));
    EXPECT_TRUE(found[1].ends_with(" 31")) << found[1];
    EXPECT_TRUE(found[20].ends_with(" 50")) << found[20];
    ASSERT_TRUE(tree_.put(path, "16384"));
    EXPECT_THAT(lines(), testing::ElementsAre(StartsWith("on: 0 messages")));
    for (const std::string_view wrong : {"16385", "-1", "yes", "", "1 2"}) {
        EXPECT_EQ(error_of(tree_.put(path, wrong)),
                  wrong.empty() ? std::nullopt : std::optional(Errno::einval))
            << wrong;
    }
    EXPECT_THAT(lines(), testing::ElementsAre(StartsWith("on: 0 messages")));
}

TEST_F(LedgerMessages, AreForTheirOwnerAlone) {
    tree_.who.user = tree_.who.group = 1000;
    tree_.who.capabilities = {};
    EXPECT_EQ(error_of(tree_.get(path)), Errno::eacces);
    EXPECT_EQ(error_of(tree_.put(path, "on")), Errno::eacces);
    tree_.who = kernel_credentials;
}

TEST_F(LedgerMessages, MayBeSwitchedWhileOthersTalk) {
    const PipeEnds pipe = create_pipe(0).value();
    std::atomic<bool> over{false};
    std::thread talks([&] {
        while (!over.load(std::memory_order_relaxed)) {
            EXPECT_TRUE(Tree::write(*pipe.write, "x"));
            EXPECT_EQ(Tree::read(*pipe.read, 1).value(), "x");
        }
    });
    for (int i = 0; i < 200; ++i) {
        ASSERT_TRUE(tree_.put(path, i % 3 == 0 ? "off" : i % 3 == 1 ? "5" : "300"));
        const std::vector<std::string> found = lines();
        for (std::size_t n = 1; n < found.size(); ++n) {
            EXPECT_THAT(found[n],
                        testing::AnyOf(StartsWith("5 sends - pipe:["), StartsWith("5 receives - pipe:[")));
        }
    }
    over = true;
    talks.join();
}

class MemoryFileTest : public ProcTest {
  protected:
    std::string read_at(OpenFile& file, std::uint64_t offset, std::size_t length) {
        std::string text(length, '?');
        SpanTarget target(std::as_writable_bytes(std::span(text)));
        const auto count = file.read_at(offset, target);
        return count ? text.substr(0, *count) : "error " + std::to_string(static_cast<int>(count.error()));
    }

    static Outcome<std::size_t> write_at(OpenFile& file, std::uint64_t offset, std::string_view text) {
        SpanSource source(std::as_bytes(std::span(text)));
        return file.write_at(offset, source);
    }

    Outcome<Ref<OpenFile>> open_memory(std::uint32_t flags) {
        return open(tree_.caller(), "/proc/5/mem", flags, 0);
    }
};

TEST_F(MemoryFileTest, IsReadAndWrittenAtItsAddresses) {
    const auto file = open_memory(open_flag::read_write).value();
    EXPECT_EQ(read_at(*file, 0x1004, 3), "two");
    EXPECT_EQ(write_at(*file, 0x1000, "ONE").value(), 3U);
    EXPECT_EQ(view_.memory.substr(0, 4), std::string("ONE\0", 4));
    const std::string eio = "error " + std::to_string(static_cast<int>(Errno::eio));
    EXPECT_EQ(read_at(*file, 0, 1), eio);
    EXPECT_EQ(read_at(*file, 0xffff'8000'0000'0000, 1).substr(0, 5), "error");
    EXPECT_EQ(error_of(write_at(*file, 0x2000, "x")), Errno::eio);
    EXPECT_EQ(file->seek(0x1004, Whence::set).value(), 0x1004U);
    EXPECT_EQ(error_of(file->seek(0, Whence::end)), Errno::einval);
}

TEST_F(MemoryFileTest, WhoMayNotLookMayNotLater) {
    const auto file = open_memory(open_flag::read_write).value();
    view_.may_look = false;
    EXPECT_EQ(error_of(open_memory(open_flag::read_only)), Errno::eacces);
    EXPECT_EQ(read_at(*file, 0x1000, 3), "error " + std::to_string(static_cast<int>(Errno::eacces)));
    EXPECT_EQ(error_of(write_at(*file, 0x1000, "x")), Errno::eacces);
}

TEST_F(MemoryFileTest, AnotherProcessOfTheNumberIsNotRead) {
    const auto file = open_memory(open_flag::read_write).value();
    view_.started = view_.started + Duration::seconds(1);
    EXPECT_EQ(read_at(*file, 0x1000, 3), "");
    EXPECT_EQ(write_at(*file, 0x1000, "x").value(), 0U);
}

TEST_F(ProcTest, MemoryThatIsGoneEndsTheText) {
    view_.memory.clear();
    EXPECT_EQ(tree_.get("/proc/5/cmdline").value(), "");
}

TEST_F(ProcTest, ReadingFromTheBeginningLooksAgain) {
    const auto file = open(tree_.caller(), "/proc/5/cmdline", open_flag::read_only, 0).value();
    EXPECT_EQ(Tree::read(*file, 3).value(), "one");
    view_.memory = "xyz";
    EXPECT_EQ(Tree::read(*file).value(), std::string("\0two\0", 5));  // what was begun goes on
    EXPECT_EQ(Tree::read(*file).value(), "");
    ASSERT_TRUE(file->seek(0, Whence::set));
    EXPECT_EQ(Tree::read(*file).value(), "xyz");
}

TEST_F(ProcTest, LinksLeadToWhatIsOpen) {
    auto& table = *view_.descriptors_of[5];
    ASSERT_EQ(table.add(open(tree_.caller(), "/bin", open_flag::read_only, 0).value(), false, 10).value(), 0);
    const PipeEnds pipe = create_pipe(0).value();
    ASSERT_EQ(table.add(pipe.read, false, 10).value(), 1);
    EXPECT_EQ(link("/proc/self"), "5");
    EXPECT_EQ(link("/proc/thread-self"), "5/task/6");
    EXPECT_EQ(link("/proc/self/fd/0"), "/bin");
    EXPECT_THAT(link("/proc/self/fd/1"), StartsWith("pipe:["));
    EXPECT_EQ(link("/proc/self/exe"), "/bin");
    EXPECT_EQ(link("/proc/self/cwd"), "/");
    EXPECT_EQ(tree_.get("/proc/self/fd/0").value(), "x");
    EXPECT_THAT(tree_.names("/proc/self/fd").value(), testing::ElementsAre(".", "..", "0", "1"));
    EXPECT_EQ(error_of(tree_.find("/proc/self/fd/2")), Errno::enoent);
    // A pipe is opened anew, at either end.
    const auto writer = open(tree_.caller(), "/proc/self/fd/1", open_flag::write_only, 0).value();
    ASSERT_TRUE(Tree::write(*writer, "through"));
    EXPECT_EQ(Tree::read(*pipe.read).value(), "through");
    EXPECT_EQ(tree_.find("/proc/self/fd/1").value().node->type(), NodeType::fifo);
    EXPECT_THAT(tree_.get("/proc/self/fdinfo/0").value(), StartsWith("pos:\t0\nflags:\t00\nmnt_id:\t"));
    view_.may_look = false;
    EXPECT_EQ(error_of(tree_.find("/proc/self/fd/0")), Errno::eacces);
    EXPECT_EQ(error_of(tree_.find("/proc/self/exe")), Errno::eacces);
}

TEST_F(ProcTest, LedgerNoLinkLeadsADirectoryOutOfTheRoot) {
    ASSERT_TRUE(tree_.make_directory("/jail"));
    ASSERT_TRUE(tree_.make_directory("/jail/proc"));
    ASSERT_TRUE(mount(tree_.find("/jail/proc").value(), create_procfs().value(), "proc", "proc", {}));
    auto& table = *view_.descriptors_of[5];
    ASSERT_TRUE(table.add(open(tree_.caller(), "/", open_flag::read_only, 0).value(), false, 10));
    const Location jail = tree_.find("/jail").value();
    const Caller prisoner{tree_.who, jail, jail};
    EXPECT_TRUE(resolve(prisoner, "/proc/5/status"));
    EXPECT_EQ(error_of(resolve(prisoner, "/proc/5/root/bin")), Errno::enoent);
    EXPECT_EQ(error_of(resolve(prisoner, "/proc/5/cwd")), Errno::enoent);
    EXPECT_EQ(error_of(resolve(prisoner, "/proc/5/fd/0/bin")), Errno::enoent);
    EXPECT_TRUE(resolve(tree_.caller(), "/proc/5/root/bin"));
}

TEST_F(ProcTest, MountsAreShownWithWhatTheyAllow) {
    const std::string mounts = tree_.get("/proc/mounts").value();
    EXPECT_THAT(mounts, StartsWith("none / tmpfs rw 0 0\n"));
    EXPECT_THAT(mounts, HasSubstr("proc /proc proc rw,noexec 0 0\n"));
    EXPECT_THAT(tree_.get("/proc/self/mountinfo").value(), HasSubstr(" / /proc rw,noexec - proc proc rw\n"));
}

TEST_F(ProcTest, TheMachineIsDescribed) {
    EXPECT_THAT(tree_.get("/proc/stat").value(), HasSubstr("\ncpu1 "));
    EXPECT_THAT(tree_.get("/proc/stat").value(), HasSubstr("\nctxt 20\n"));
    EXPECT_THAT(tree_.get("/proc/meminfo").value(), StartsWith("MemTotal: "));
    EXPECT_THAT(tree_.get("/proc/cpuinfo").value(), HasSubstr("processor\t: 1\n"));
    EXPECT_EQ(tree_.get("/proc/loadavg").value(), "1.50 0.04 13.00 1/3 40\n");
    EXPECT_EQ(tree_.get("/proc/sys/kernel/ostype").value(), "Linux\n");
    EXPECT_EQ(tree_.get("/proc/sys/kernel/random/boot_id").value(),
              tree_.get("/proc/sys/kernel/random/boot_id").value());
    EXPECT_EQ(error_of(tree_.put("/proc/uptime", "x")), Errno::eio);
    EXPECT_EQ(error_of(tree_.put("/proc/new", "x")), Errno::enoent);
}

// The tests' own machine has the processor that is asked: Linux names what we name.
TEST_F(ProcTest, ProcessorsHaveTheFeaturesLinuxNames) {
    const auto features_in = [](const std::string& text) {
        const std::size_t line = text.find("\nflags\t\t: ") + 10;
        std::istringstream words(text.substr(line, text.find('\n', line) - line));
        return std::set<std::string>(std::istream_iterator<std::string>(words), {});
    };
    std::ostringstream linux_text;
    linux_text << std::ifstream("/proc/cpuinfo").rdbuf();
    const std::set<std::string> theirs = features_in(linux_text.str());
    const std::set<std::string> ours = features_in(tree_.get("/proc/cpuinfo").value());
    EXPECT_TRUE(ours.contains("lm") && ours.contains("sse2"));
    // It may have been told to use one or the other of them not.
    std::vector<std::string> alone;
    std::ranges::set_difference(ours, theirs, std::back_inserter(alone));
    EXPECT_LE(alone.size(), 3U) << testing::PrintToString(alone);
}

TEST_F(ProcTest, SysfsCountsProcessors) {
    ASSERT_TRUE(tree_.make_directory("/sys"));
    ASSERT_TRUE(mount(tree_.find("/sys").value(), create_sysfs().value(), "sysfs", "sysfs", {}));
    EXPECT_EQ(tree_.get("/sys/devices/system/cpu/online").value(),
              arch::cpu_count() == 1 ? "0\n" : "0-" + std::to_string(arch::cpu_count() - 1) + "\n");
    EXPECT_EQ(tree_.find("/sys/devices/system").value().node->parent()->attributes().number,
              tree_.find("/sys/devices").value().node->attributes().number);
}

TEST_F(ProcTest, OtherPartsAddFilesOfTheirOwn) {
    static constexpr StaticEntry file{"of-a-test", [](Text& text) -> Outcome<> {
                                          text.append("written by a part\n");
                                          return {};
                                      }};
    ASSERT_TRUE(add_own_file(file));
    EXPECT_THAT(tree_.names("/proc/paravane").value(), Contains("of-a-test"));
    EXPECT_EQ(tree_.get("/proc/paravane/of-a-test").value(), "written by a part\n");
    EXPECT_EQ(error_of(tree_.find("/proc/paravane/other")), Errno::enoent);
}

}  // namespace
}  // namespace pv::fs
