// The tool's side of the control connection: one thread starts nbdkit, reads what it says, and sees it end.
// SPDX-License-Identifier: MIT
#include "faults/server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/terminal.hpp"
#include "faults/child.hpp"
#include "faults/image.hpp"

namespace pv::faults {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t longest_line = 65'536;
constexpr std::size_t most_error_text = 4'096;

/// Requests nbdkit carries at a time. QEMU sends at most 16 at once on a connection; held ones keep theirs.
constexpr std::string_view threads = "64";

std::string printable(std::string_view text, std::size_t most = 200) {
    return escape_for_terminal(text, {.max_bytes = most});
}

/// What nbdkit said last that reads as an error.
std::string last_error(std::string_view text) {
    std::string found;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        constexpr std::string_view mark = "error: ";
        if (const std::size_t at = line.find(mark); at != std::string_view::npos) {
            found = printable(line.substr(at + mark.size()), 400);
        } else if (found.empty() && !line.empty()) {
            found = printable(line, 400);
        }
    }
    return found;
}

std::uint64_t unsigned_of(const json& message, const char* key) {
    const auto found = message.find(key);
    return found != message.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string text_of(const json& message, const char* key) {
    const auto found = message.find(key);
    return found != message.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

Operation operation_of(std::string_view text) {
    for (const Operation operation :
         {Operation::read, Operation::write, Operation::flush, Operation::trim, Operation::zero}) {
        if (name(operation) == text) {
            return operation;
        }
    }
    return Operation::any;
}

}  // namespace

class FaultServer::Impl {
  public:
    explicit Impl(const ServerOptions& options)
        : on_event_(options.on_event),
          deadline_(options.deadline),
          socket_(options.socket_dir / (options.disk + ".nbd")) {}

    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    ~Impl() {
        kill();
        if (thread_.joinable()) {
            thread_.join();
        }
        std::error_code ignored;
        std::filesystem::remove(socket_, ignored);
    }

    Result<> start(const ServerOptions& options) {
        const std::vector<std::string> arguments = command(options);
        thread_ = std::thread{[this, arguments] { run(arguments); }};
        std::unique_lock lock{lock_};
        changed_.wait_for(lock, deadline_, [this] { return ready_ || ended_; });
        if (ready_ && !ended_) {
            return {};
        }
        if (start_error_) {
            return std::unexpected(*start_error_);
        }
        if (!ended_) {
            return fail(ExitStatus::incomplete,
                        fmt::format("nbdkit was not ready within {} ms", deadline_.count()),
                        "the machine may be overloaded: try again");
        }
        const std::string said = last_error(error_text_);
        return fail(ExitStatus::unavailable,
                    fmt::format("nbdkit ended at once{}{}", said.empty() ? "" : ": ", said),
                    "nbdkit 1.32 or newer with its own plugin is needed; `paravane doctor` looks at both");
    }

    Result<json> ask(json message) {
        std::unique_lock lock{lock_};
        const std::uint64_t id = next_id_++;
        message["id"] = id;
        const std::string line = message.dump() + '\n';
        if (ended_ || !send_all(line)) {
            return fail(ExitStatus::incomplete, "the disk's server has ended",
                        "see what ended it in the log");
        }
        if (!changed_.wait_for(lock, deadline_, [&] { return ended_ || answers_.contains(id); }) ||
            !answers_.contains(id)) {
            return fail(ExitStatus::incomplete,
                        ended_
                            ? std::string{"the disk's server ended before it answered"}
                            : fmt::format("the disk's server gave no answer within {} ms", deadline_.count()),
                        "the run's outcome is not reliable");
        }
        json answer = std::move(answers_.at(id));
        answers_.erase(id);
        if (!answer.value("ok", false)) {
            return fail(ExitStatus::usage, printable(text_of(answer, "error")),
                        printable(text_of(answer, "hint")));
        }
        return answer;
    }

    void kill() {
        {
            const std::scoped_lock hold{lock_};
            asked_to_end_ = true;
        }
        child_.kill();
    }

    [[nodiscard]] const std::filesystem::path& socket_path() const { return socket_; }

    [[nodiscard]] int pid() { return child_.pid(); }

  private:
    std::vector<std::string> command(const ServerOptions& options) const {
        std::vector<std::string> arguments{
            options.nbdkit,         "--foreground",
            "--exit-with-parent",   "--threads",
            std::string{threads},   "--unix",
            socket_.native(),       options.plugin.native(),
            "disk=" + options.disk, fmt::format("control-fd={}", Child::control_in_child)};
        if (const auto* file = std::get_if<std::filesystem::path>(&options.backing)) {
            arguments.push_back("file=" + std::filesystem::absolute(*file).native());
        } else {
            arguments.push_back(fmt::format("size={}", std::get<std::uint64_t>(options.backing)));
        }
        if (options.read_only) {
            arguments.emplace_back("readonly=true");
        }
        for (const Fault& fault : options.faults) {
            if (fault.disk == options.disk) {
                arguments.push_back("fault=" + fault.text);
            }
        }
        return arguments;
    }

    bool send_all(std::string_view text) {
        while (!text.empty()) {
            const ssize_t sent =
                send(child_.control(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno == EINTR) {
                continue;
            }
            if (sent < 0) {
                return false;
            }
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    void run(const std::vector<std::string>& arguments) {
        if (auto started = child_.start(arguments); !started) {
            const std::scoped_lock hold{lock_};
            start_error_ = started.error();
            ended_ = true;
            changed_.notify_all();
            return;
        }
        {
            // The tool may have been told to stop while the child was being made.
            const std::scoped_lock hold{lock_};
            if (asked_to_end_) {
                child_.kill();
            }
        }
        std::string input;
        std::array<pollfd, 2> watched{{{child_.control(), POLLIN, 0}, {child_.errors(), POLLIN, 0}}};
        while (watched[0].fd >= 0 || watched[1].fd >= 0) {
            if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) {
                break;
            }
            if ((watched[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !take_errors()) {
                watched[1].fd = -1;
            }
            if ((watched[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !take_messages(input)) {
                watched[0].fd = -1;
                // Without its control connection a server is of no use, and ends by itself if it still can.
                child_.kill();
            }
        }
        child_.reap();
        end();
    }

    bool take_errors() {
        std::array<char, 1024> buffer;
        const ssize_t length = read(child_.errors(), buffer.data(), buffer.size());
        if (length > 0) {
            const std::scoped_lock hold{lock_};
            error_text_.append(buffer.data(), static_cast<std::size_t>(length));
            if (error_text_.size() > most_error_text) {
                error_text_.erase(0, error_text_.size() - most_error_text);
            }
        }
        return length > 0 || (length < 0 && errno == EINTR);
    }

    bool take_messages(std::string& input) {
        std::array<char, 4096> buffer;
        const ssize_t length = recv(child_.control(), buffer.data(), buffer.size(), 0);
        if (length <= 0) {
            return length < 0 && errno == EINTR;
        }
        input.append(buffer.data(), static_cast<std::size_t>(length));
        std::size_t begin = 0;
        for (std::size_t end = 0; (end = input.find('\n', begin)) != std::string::npos; begin = end + 1) {
            const json message =
                json::parse(std::string_view{input}.substr(begin, end - begin), nullptr, false);
            if (message.is_object()) {
                take(message);
            }
        }
        input.erase(0, begin);
        return input.size() <= longest_line;
    }

    void take(const json& message) {
        const std::string event = text_of(message, "event");
        if (event == "begin" || event == "end") {
            if (on_event_) {
                on_event_({.phase = event == "begin" ? FaultEvent::Phase::begin : FaultEvent::Phase::end,
                           .fault = unsigned_of(message, "fault"),
                           .request = unsigned_of(message, "request"),
                           .operation = operation_of(text_of(message, "operation")),
                           .offset = unsigned_of(message, "offset"),
                           .length = unsigned_of(message, "length"),
                           .detail = printable(text_of(message, "text"), 1'000)});
            }
            return;
        }
        const std::scoped_lock hold{lock_};
        if (event == "ready") {
            ready_ = true;
        } else if (event.empty() && message.contains("id")) {
            answers_.insert_or_assign(unsigned_of(message, "id"), message);
        }
        changed_.notify_all();
    }

    void end() {
        bool unasked = false;
        std::string why;
        {
            const std::scoped_lock hold{lock_};
            unasked = ready_ && !asked_to_end_;
            why = last_error(error_text_);
            ended_ = true;
            changed_.notify_all();
        }
        if (unasked && on_event_) {
            on_event_({.phase = FaultEvent::Phase::server,
                       .detail = "the disk's server ended" + (why.empty() ? why : ": " + why)});
        }
    }

    EventCallback on_event_;
    std::chrono::milliseconds deadline_;
    std::filesystem::path socket_;
    Child child_;
    std::mutex lock_;
    std::condition_variable changed_;
    bool ready_ = false, ended_ = false, asked_to_end_ = false;
    std::optional<Error> start_error_;
    std::string error_text_;
    std::uint64_t next_id_ = 1;
    std::map<std::uint64_t, json> answers_;
    std::thread thread_;
};

FaultServer::FaultServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

FaultServer::~FaultServer() = default;

Result<std::unique_ptr<FaultServer>> FaultServer::start(const ServerOptions& options) {
    if (access(options.plugin.c_str(), R_OK) != 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("the nbdkit plugin '{}' is not there", options.plugin.native()),
                    "build or install the whole of Paravane, or set PARAVANE_LIBDIR");
    }
    if (const auto* file = std::get_if<std::filesystem::path>(&options.backing)) {
        // Asked here for a plain answer; nbdkit takes the lock itself a moment later.
        PV_TRY(Image::open(*file, options.read_only));
    } else if (const auto size = std::get<std::uint64_t>(options.backing); size == 0 || size % 512 != 0) {
        return fail(ExitStatus::usage, fmt::format("a disk of {} bytes", size), "a multiple of 512");
    }
    auto impl = std::make_unique<Impl>(options);
    if (impl->socket_path().native().size() >= sizeof(sockaddr_un::sun_path)) {
        return fail(ExitStatus::usage,
                    fmt::format("'{}' is too long for a UNIX socket", impl->socket_path().native()),
                    "use a folder with a shorter path (TMPDIR)");
    }
    PV_TRY(impl->start(options));
    return std::unique_ptr<FaultServer>{new FaultServer{std::move(impl)}};
}

const std::filesystem::path& FaultServer::socket_path() const {
    return impl_->socket_path();
}

int FaultServer::pid() const {
    return impl_->pid();
}

Result<ServerStats> FaultServer::stats() {
    const json answer = PV_TRY(impl_->ask({{"command", "stats"}}));
    return ServerStats{.reads = unsigned_of(answer, "reads"),
                       .writes = unsigned_of(answer, "writes"),
                       .flushes = unsigned_of(answer, "flushes"),
                       .trims = unsigned_of(answer, "trims"),
                       .zeroes = unsigned_of(answer, "zeroes"),
                       .held = unsigned_of(answer, "held"),
                       .delayed = unsigned_of(answer, "delayed"),
                       .failed = unsigned_of(answer, "failed"),
                       .corrupted = unsigned_of(answer, "corrupted"),
                       .reordered = unsigned_of(answer, "reordered"),
                       .holding = unsigned_of(answer, "holding")};
}

Result<std::uint64_t> FaultServer::add(const Fault& fault) {
    return unsigned_of(PV_TRY(impl_->ask({{"command", "add"}, {"fault", fault.text}})), "fault");
}

Result<> FaultServer::remove(std::uint64_t fault) {
    PV_TRY(impl_->ask({{"command", "remove"}, {"fault", fault}}));
    return {};
}

Result<> FaultServer::release_all() {
    PV_TRY(impl_->ask({{"command", "release"}, {"fault", "all"}}));
    return {};
}

void FaultServer::kill() {
    impl_->kill();
}

std::string trace_line(const FaultEvent& event, unsigned disk) {
    if (event.phase == FaultEvent::Phase::server) {
        return {};
    }
    std::string quoted;
    for (const char c : event.detail.substr(0, 1'000)) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = byte >= 0x20 && byte < 0x7f && c != '\'' && c != '\\';
        plain ? quoted.push_back(c) : static_cast<void>(quoted += fmt::format("\\x{:02x}", byte));
    }
    return fmt::format("paravane_fault_{} disk {} operation {} offset {} length {} detail '{}'",
                       event.phase == FaultEvent::Phase::begin ? "begin" : "end", disk,
                       static_cast<unsigned>(event.operation), event.offset, event.length, quoted);
}

}  // namespace pv::faults
