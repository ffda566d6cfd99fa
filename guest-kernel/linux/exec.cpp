// Executing a program.
// SPDX-License-Identifier: MIT
#include "linux/exec.hpp"

#include <asm/hwcap2.h>
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "arch/x86_64/descriptors.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/log.hpp"
#include "base/panic.hpp"
#include "fs/file_locks.hpp"
#include "fs/operations.hpp"
#include "linux/elf.hpp"
#include "linux/user_pointer.hpp"
#include "linux/vdso.hpp"
#include "random/pool.hpp"

namespace pv::linux {
namespace {

constexpr unsigned scripts_max = 4;
constexpr std::size_t script_line_max = 256;
constexpr std::uint64_t stack_at_first = 132U << 10;     ///< grows from there on
constexpr std::uint64_t table_reach = 2U << 20;          ///< what one page table of the lowest level maps
constexpr std::uint64_t room_above_stack = table_reach;  ///< at least, for the vdso

/// What one program's start needs of the generator, taken at once. Where things lie, one after the other:
/// anywhere, or always at the same addresses (ADDR_NO_RANDOMIZE).
class Layout {
  public:
    explicit Layout(bool fixed) : fixed_(fixed) {
        // No program is started before the generator is seeded (start.cpp).
        const Result<> taken = random::take(std::as_writable_bytes(std::span(words_)));
        PV_ASSERT(taken.has_value());
    }

    [[nodiscard]] std::uint64_t next() { return fixed_ ? 0 : word(); }

    /// A word of its own, wherever things lie.
    [[nodiscard]] std::uint64_t word() {
        PV_ASSERT(used_ < words_.size());
        return words_[used_++];
    }

  private:
    /// The space, two files, the stack, the vdso, the heap; two of AT_RANDOM.
    std::array<std::uint64_t, 8> words_{};
    std::size_t used_ = 0;
    bool fixed_;
};

/// A stack that is filled downwards, in a space that is not loaded.
class StackWriter {
  public:
    StackWriter(memory::AddressSpace& space, std::uint64_t top) : space_(space), at_(top) {}

    Outcome<std::uint64_t> push(std::span<const std::byte> bytes) {
        at_ -= bytes.size();
        PV_TRY(space_.poke(UserAddress(at_), bytes));
        return at_;
    }

    Outcome<std::uint64_t> push_text(std::string_view text) {
        static constexpr char zero = 0;
        PV_TRY(push(fs::bytes_of(zero)));
        return push(std::as_bytes(std::span(text)));
    }

    void align(std::uint64_t alignment) { at_ = align_down(at_, alignment); }

    [[nodiscard]] std::uint64_t at() const { return at_; }

  private:
    memory::AddressSpace& space_;
    std::uint64_t at_;
};

// One address for each string of `strings`, which lie from `at` on.
Outcome<> add_addresses(Vector<std::uint64_t>& words, const Strings& strings, std::uint64_t at) {
    bool begins = true;
    for (const char c : strings.bytes()) {
        if (begins) {
            PV_TRY(as_outcome(words.push_back(at)));
        }
        begins = c == '\0';
        ++at;
    }
    return as_outcome(words.push_back(0));
}

struct FirstState {
    std::uint64_t rip = 0;
    std::uint64_t rsp = 0;
};

// Above the stack, with a page between that nobody has; most often under the same page table, which is there
// anyway.
UserAddress place_of_vdso(UserAddress stack_top, std::uint64_t entropy) {
    const UserAddress low = stack_top + page_size;
    const UserAddress table_end(align_up((low + vdso_size()).value(), table_reach));
    const std::uint64_t room = std::min(table_end, arch::user_end) - low - vdso_size();
    return low + entropy % (room / page_size + 1) * page_size;
}

// argc, argv, envp and the auxiliary vector (System V ABI, AMD64 supplement 3.4.1).
Outcome<std::uint64_t> build_stack(memory::AddressSpace& space, const Program& program,
                                   const LoadedFile& main, std::uint64_t interpreter_base,
                                   const task::Identity& who, bool is_secure, Layout& layout,
                                   task::Image& image) {
    const std::uint64_t top =
        arch::user_end.value() - room_above_stack - (layout.next() & ((1ULL << 22) - 1)) * page_size;
    memory::MapRequest request;
    request.fixed = true;
    request.hint = UserAddress(top - stack_at_first);
    request.length = stack_at_first;
    // A stack that is not allowed to be executable is one that is not: most programs never try.
    request.contents.rights = {true, true,
                               main.has_executable_stack && memory::are_allowed({true, true, true})};
    request.contents.grows_down = true;
    request.contents.purpose = memory::Purpose::stack;
    PV_TRY(space.map(request));

    const UserAddress vdso = PV_TRY(map_vdso(space, place_of_vdso(UserAddress(top), layout.next())));
    StackWriter stack(space, top - sizeof(std::uint64_t));
    const std::uint64_t path = PV_TRY(stack.push_text(program.path));
    const std::uint64_t environment = PV_TRY(stack.push(std::as_bytes(program.environment.bytes())));
    const std::uint64_t arguments = PV_TRY(stack.push(std::as_bytes(program.arguments.bytes())));
    const std::uint64_t platform = PV_TRY(stack.push_text("x86_64"));
    const std::uint64_t noise[2] = {layout.word(), layout.word()};
    const std::uint64_t random = PV_TRY(stack.push(std::as_bytes(std::span(noise))));

    const auto range_of = [](std::uint64_t begin, std::size_t size) {
        return task::Image::Range{UserAddress(begin), UserAddress(begin + size)};
    };
    image.arguments = range_of(arguments, program.arguments.bytes().size());
    image.environment = range_of(environment, program.environment.bytes().size());

    Vector<std::uint64_t> words;
    PV_TRY(as_outcome(words.push_back(program.arguments.count())));
    PV_TRY(add_addresses(words, program.arguments, arguments));
    PV_TRY(add_addresses(words, program.environment, environment));
    const std::uint64_t auxiliary[][2] = {
        {AT_SYSINFO_EHDR, vdso.value()},
        {AT_HWCAP, arch::cpuid(1).edx},
        {AT_PAGESZ, page_size},
        {AT_CLKTCK, 100},
        {AT_PHDR, main.headers},
        {AT_PHENT, sizeof(Elf64_Phdr)},
        {AT_PHNUM, main.header_count},
        {AT_BASE, interpreter_base},
        {AT_FLAGS, 0},
        {AT_ENTRY, main.entry},
        {AT_UID, who.user},
        {AT_EUID, who.effective_user},
        {AT_GID, who.group},
        {AT_EGID, who.effective_group},
        {AT_SECURE, is_secure ? 1ULL : 0ULL},
        {AT_RANDOM, random},
        {AT_HWCAP2, arch::programs_set_bases() ? HWCAP2_FSGSBASE : 0},
        {AT_EXECFN, path},
        {AT_PLATFORM, platform},
        {AT_MINSIGSTKSZ, arch::VectorState::size() + 1024},
        {AT_NULL, 0},
    };
    for (const auto& [kind, value] : auxiliary) {
        PV_TRY(as_outcome(words.push_back(kind)));
        PV_TRY(as_outcome(words.push_back(value)));
    }
    stack.align(16);
    if (words.size() % 2 != 0) {
        PV_TRY(stack.push(std::as_bytes(std::span(noise).first(1))));  // the stack is aligned to 16 at argc
    }
    const std::uint64_t rsp = PV_TRY(stack.push(std::as_bytes(std::span<const std::uint64_t>(words))));
    image.auxiliary =
        range_of(rsp + words.size() * sizeof(std::uint64_t) - sizeof auxiliary, sizeof auxiliary);
    return rsp;
}

// "#! INTERPRETER [ARGUMENT]": the program becomes the interpreter, with the script's path as an argument.
// False when it is no script.
Outcome<bool> follow_script(const Resolver& resolver, Program& program, std::span<char> path_room) {
    std::array<char, script_line_max> text{};
    fs::SpanTarget target(std::as_writable_bytes(std::span(text)));
    const std::size_t length = PV_TRY(program.file->read_at(0, target));
    std::string_view line(text.data(), length);
    if (!line.starts_with("#!")) {
        return false;
    }
    const std::size_t end = line.find('\n');
    if (end == std::string_view::npos && length == text.size()) {
        return fail(Errno::enoexec);
    }
    line = line.substr(2, end == std::string_view::npos ? line.size() : end - 2);
    const auto trim = [](std::string_view s) {
        while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) {
            s.remove_prefix(1);
        }
        while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r')) {
            s.remove_suffix(1);
        }
        return s;
    };
    line = trim(line);
    const std::size_t gap = line.find_first_of(" \t");
    const std::string_view interpreter = line.substr(0, gap);
    const std::string_view argument = gap == std::string_view::npos ? "" : trim(line.substr(gap));
    if (interpreter.empty() || interpreter.size() > path_room.size()) {
        return fail(Errno::enoexec);
    }
    Strings arguments;
    PV_TRY(arguments.add(interpreter));
    if (!argument.empty()) {
        PV_TRY(arguments.add(argument));
    }
    PV_TRY(arguments.add(program.path));
    // All of the old ones but the first.
    std::span<const char> rest = program.arguments.bytes();
    for (bool first = true; !rest.empty(); first = false) {
        const auto zero = std::find(rest.begin(), rest.end(), '\0');
        const auto size = static_cast<std::size_t>(zero - rest.begin());
        if (!first) {
            PV_TRY(arguments.add({rest.data(), size}));
        }
        rest = rest.subspan(size + 1);
    }
    program.arguments = std::move(arguments);
    std::copy(interpreter.begin(), interpreter.end(), path_room.begin());
    program.path = {path_room.data(), interpreter.size()};
    program.file = PV_TRY(fs::open(resolver.caller(), program.path, fs::open_flag::read_only, 0));
    return true;
}

Outcome<> check_executable(const Resolver& resolver, const fs::OpenFile& file) {
    if (file.node() == nullptr || file.node()->type() != fs::NodeType::regular) {
        return fail(Errno::eacces);
    }
    return fs::check_access(resolver.caller(), file.location(), fs::bits(fs::Access::execute));
}

// What the file's set-id bits mean for who executes it.
task::ExecutedFile executed_file(fs::OpenFile& file) {
    const fs::Location& location = file.location();
    if (location.mount && location.mount->flags().no_set_id) {
        return {};
    }
    const fs::Attributes attributes = file.attributes();
    constexpr fs::Mode group_execute = 010;
    const bool sets_group =
        (attributes.mode & fs::set_group_id) != 0 && (attributes.mode & group_execute) != 0;
    return {.sets_user = (attributes.mode & fs::set_user_id) != 0,
            .sets_group = sets_group,
            .user = attributes.user,
            .group = attributes.group};
}

// Who the thread is with the program. The tree's lock is held.
task::Executed identity_with(const task::UserThread& self, task::ExecutedFile file) {
    file.is_watched = self.trace.tracer != nullptr && !self.trace.by_capable;
    task::for_each_process([&](const task::Process& other) {
        file.is_shared =
            file.is_shared || (&other != &self.process() && other.context == self.process().context);
    });
    return self.identity.executed(file);
}

void set_name(task::UserThread& thread, std::string_view path) {
    path = path.substr(path.rfind('/') + 1);
    path = path.substr(0, thread.name.size() - 1);
    thread.name = {};
    std::copy(path.begin(), path.end(), thread.name.begin());
}

// Handlers are gone with the old program; what was ignored stays ignored.
Outcome<Ref<task::SignalActions>> fresh_actions(task::Process& process) {
    auto fresh = Ref<task::SignalActions>::adopt(new (std::nothrow) task::SignalActions);
    if (fresh == nullptr) {
        return fail(Errno::enomem);
    }
    const task::SpinGuard guard(task::tree_lock());
    for (int signal = 1; signal <= task::signal_count; ++signal) {
        const task::SignalAction& old = (*process.actions)[signal];
        if (old.handler == 1) {
            (*fresh)[signal].handler = 1;
        }
    }
    return fresh;
}

}  // namespace

Outcome<> Strings::reserve(std::size_t more) {
    if (more > string_max || bytes_.size() + more > bytes_max) {
        return fail(Errno::e2big);
    }
    return as_outcome(bytes_.reserve(bytes_.size() + more));
}

Outcome<> Strings::add(std::string_view text) {
    PV_TRY(reserve(text.size() + 1));
    for (const char c : text) {
        PV_TRY(as_outcome(bytes_.push_back(c)));
    }
    PV_TRY(as_outcome(bytes_.push_back('\0')));
    ++count_;
    return {};
}

Outcome<> Strings::add_user(UserAddress text) {
    std::array<char, 512> piece{};
    std::size_t length = 0;
    while (true) {
        const auto got = UserString{text + length}.read(piece);
        if (!got && got.error() != Errno::enametoolong) {
            return fail(got.error());
        }
        const std::size_t size = got ? *got : piece.size();
        length += size;
        if (length >= string_max) {
            return fail(Errno::e2big);
        }
        PV_TRY(reserve(size + 1));
        for (std::size_t i = 0; i < size; ++i) {
            PV_TRY(as_outcome(bytes_.push_back(piece[i])));
        }
        if (got) {
            PV_TRY(as_outcome(bytes_.push_back('\0')));
            ++count_;
            return {};
        }
    }
}

Resolver::Resolver(const task::UserThread& thread) {
    const task::Process& process = thread.process();
    if (process.context != nullptr) {
        fs::Context::Places places = process.context->places();
        root = std::move(places.root);
        start = std::move(places.current);
    }
    const task::Identity& identity = thread.identity;
    std::copy_n(identity.groups.begin(), identity.group_count, groups.begin());
    who = {identity.file_user, identity.file_group, std::span(groups).first(identity.group_count),
           identity.effective};
}

Outcome<> execute(task::UserThread& self, Program& program, arch::TrapFrame& frame) {
    task::Process& process = self.process();
    const Resolver resolver(self);
    std::array<char, script_line_max> path_room{};
    for (unsigned scripts = 0;; ++scripts) {
        PV_TRY(check_executable(resolver, *program.file));
        if (!PV_TRY(follow_script(resolver, program, path_room))) {
            break;
        }
        if (scripts == scripts_max) {
            return fail(Errno::eloop);
        }
    }
    Layout layout = [&] {
        const task::SpinGuard guard(task::tree_lock());
        return Layout(process.has_fixed_layout);
    }();
    auto space = PV_TRY(as_outcome(memory::AddressSpace::create(layout.next())));
    InterpreterPath interpreter_path;
    const LoadedFile main = PV_TRY(load_elf(*space, program.file, layout.next(), false, interpreter_path));
    LoadedFile first = main;
    if (interpreter_path.length != 0) {
        const auto interpreter =
            PV_TRY(fs::open(resolver.caller(), {interpreter_path.text, interpreter_path.length},
                            fs::open_flag::read_only, 0));
        PV_TRY(check_executable(resolver, *interpreter));
        InterpreterPath none;
        first = PV_TRY(load_elf(*space, interpreter, layout.next(), true, none));
    }
    const std::uint64_t base = interpreter_path.length != 0 ? first.base : 0;
    const task::ExecutedFile executed = executed_file(*program.file);
    const auto [who, is_secure] = [&] {
        const task::SpinGuard guard(task::tree_lock());
        return identity_with(self, executed);
    }();
    task::Image image;
    image.file = program.file;
    const std::uint64_t rsp = PV_TRY(build_stack(*space, program, main, base, who, is_secure, layout, image));
    space->start_heap(UserAddress(main.end + (layout.next() & 0x1fff) * page_size));
    auto actions = PV_TRY(fresh_actions(process));
    memory::AddressSpace::Limits bounds;
    // Threads that share descriptors with others get their own.
    auto descriptors = PV_TRY(process.descriptors->duplicate());
    {
        const task::SpinGuard guard(task::tree_lock());
        bounds = process.space_limits();
    }
    space->set_limits(bounds);
    space->set_large_pages(process.space->has_large_pages());
    const task::ProcessId former_id = self.id;
    PV_TRY(task::become_only_thread(self));

    // From here on nothing fails.
    set_name(self, program.path);
    const Ref<arch::UserTables> tables = space->tables();
    {
        const task::SpinGuard guard(task::tree_lock());
        std::swap(process.space, space);
        std::swap(process.actions, actions);
        std::swap(process.image, image);
        std::swap(process.descriptors, descriptors);
        fs::move_locks(descriptors.get(), process.descriptors.get());
        process.has_executed = true;
        process.is_dumpable = self.identity.is_plain();
        process.parent_end_signal = is_secure ? 0 : process.parent_end_signal;
        // Again: somebody may trace it only since the program was loaded.
        task::change_identity(self, identity_with(self, executed).identity);
        self.stack_base = self.stack_size = 0;
        self.stack_flags = SS_DISABLE;
        self.clear_tid = 0;
        self.robust_list = 0;
    }
    arch::change_tables(self, tables);
    space = nullptr;
    process.descriptors->close_on_exec();
    {
        const arch::InterruptsOff off;
        self.vectors.reset();
        arch::load_vectors(self);
        arch::set_bases(self, 0, 0);
        self.debug = {};
        arch::load_debug(self);
    }
    task::delete_timers(process);
    task::release_parent(process);
    frame = {};
    frame.rip = first.entry;
    frame.rsp = rsp;
    frame.cs = arch::user_code_selector;
    frame.ss = arch::user_data_selector;
    frame.rflags = arch::flag_interrupts | arch::flag_always;
    task::trace_exec(self, former_id);
    return {};
}

}  // namespace pv::linux
