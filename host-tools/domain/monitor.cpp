// QMP: JSON objects, one a line (docs/interop/qmp-spec of QEMU).
// SPDX-License-Identifier: MIT
#include "domain/monitor.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "domain/socket.hpp"

namespace pv::domain {
namespace {

using nlohmann::json;
constexpr std::size_t longest_line = std::size_t{1} << 20;

}  // namespace

struct Monitor::State {
    Descriptor socket;
    OnShutdown on_shutdown;
    std::thread reader;
    mutable std::mutex lock;
    std::condition_variable changed;
    MonitorFacts facts;
    std::map<std::string, json> answers;
    bool closed = false;
    std::atomic<unsigned> next_id = 0;

    void read_all() {
        std::string buffer;
        char chunk[4096];
        for (;;) {
            const ssize_t got = ::recv(socket.get(), chunk, sizeof chunk, 0);
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                break;
            }
            buffer.append(chunk, static_cast<std::size_t>(got));
            std::size_t begin = 0;
            for (std::size_t end = 0; (end = buffer.find('\n', begin)) != std::string::npos;
                 begin = end + 1) {
                hear(std::string_view(buffer).substr(begin, end - begin));
            }
            buffer.erase(0, begin);
            if (buffer.size() > longest_line) {
                break;
            }
        }
        const std::lock_guard guard(lock);
        closed = true;
        changed.notify_all();
    }

    void hear(std::string_view line) {
        const json message = json::parse(line, nullptr, false);
        if (!message.is_object()) {
            return;
        }
        bool shutdown = false;
        {
            const std::lock_guard guard(lock);
            if (message.contains("id") && message["id"].is_string()) {
                answers[message["id"].get<std::string>()] = message;
            } else if (message.contains("QMP")) {
                answers["greeting"] = message;
            }
            const std::string event = text(message, "event");
            const json data = message.value("data", json::object());
            if (event == "SHUTDOWN") {
                // The first one counts: libvirt's signal to a guest that powered off brings another.
                if (facts.shutdown_reason.empty()) {
                    facts.shutdown_reason = text(data, "reason");
                }
                shutdown = true;
            } else if (event == "GUEST_PANICKED" && facts.shutdown_reason.empty()) {
                facts.shutdown_reason = "guest-panic";  // what follows is libvirt's on_crash
            } else if (event == "BLOCK_IO_ERROR") {
                ++facts.io_errors;
                facts.no_space = facts.no_space || (data.contains("nospace") && data["nospace"] == true);
            }
            changed.notify_all();
        }
        if (shutdown && on_shutdown) {
            on_shutdown();
        }
    }

    static std::string text(const json& object, const char* key) {
        return object.is_object() && object.contains(key) && object[key].is_string()
                   ? object[key].get<std::string>()
                   : std::string();
    }

    Result<json> wait_for(const std::string& id, std::chrono::steady_clock::time_point deadline) {
        std::unique_lock guard(lock);
        changed.wait_until(guard, deadline, [&] { return closed || answers.contains(id); });
        const auto found = answers.find(id);
        if (found == answers.end()) {
            return fail(ExitStatus::incomplete,
                        closed ? "QEMU closed its monitor" : "QEMU's monitor does not answer",
                        "the guest is ended by other means");
        }
        json answer = std::move(found->second);
        answers.erase(found);
        return answer;
    }

    Result<json> execute(json command, std::chrono::steady_clock::time_point deadline) {
        const std::string id = fmt::format("pv-{}", next_id++);
        command["id"] = id;
        const std::string line = command.dump() + "\n";
        if (::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(line.size())) {
            return fail(ExitStatus::incomplete, "QEMU closed its monitor");
        }
        json answer = PV_TRY(wait_for(id, deadline));
        if (!answer.contains("return")) {
            return fail(ExitStatus::unavailable,
                        fmt::format("QEMU refused a monitor command: {}",
                                    text(answer.value("error", json::object()), "desc")),
                        "QEMU 9.1 or newer is needed: `paravane doctor`");
        }
        return answer["return"];
    }
};

Monitor::Monitor(std::unique_ptr<State> state) : state_(std::move(state)) {}

Monitor::~Monitor() {
    if (state_->reader.joinable()) {
        ::shutdown(state_->socket.get(), SHUT_RDWR);
        state_->reader.join();
    }
}

Result<std::unique_ptr<Monitor>> Monitor::attach(Descriptor connection, std::chrono::milliseconds limit,
                                                 OnShutdown on_shutdown) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    auto state = std::make_unique<State>();
    state->socket = std::move(connection);
    state->on_shutdown = std::move(on_shutdown);
    std::unique_ptr<Monitor> monitor(new Monitor(std::move(state)));
    State& inner = *monitor->state_;
    inner.reader = std::thread([&inner] { inner.read_all(); });
    PV_TRY(inner.wait_for("greeting", deadline));
    PV_TRY(inner.execute({{"execute", "qmp_capabilities"}, {"arguments", {{"enable", {"oob"}}}}}, deadline));
    return monitor;
}

Result<std::size_t> Monitor::yank_disks(std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    const json found = PV_TRY(state_->execute({{"exec-oob", "query-yank"}}, deadline));
    json instances = json::array();
    for (const json& instance : found) {
        if (instance.is_object() && instance.value("type", "") == "block-node") {
            instances.push_back(instance);
        }
    }
    if (!instances.empty()) {
        PV_TRY(state_->execute({{"exec-oob", "yank"}, {"arguments", {{"instances", instances}}}}, deadline));
    }
    return instances.size();
}

Result<> Monitor::set_link(const std::string& card, bool up, std::chrono::milliseconds limit) {
    PV_TRY(state_->execute({{"execute", "set_link"}, {"arguments", {{"name", card}, {"up", up}}}},
                           std::chrono::steady_clock::now() + limit));
    return {};
}

Result<> Monitor::unplug(const std::string& device, std::chrono::milliseconds limit) {
    PV_TRY(state_->execute({{"execute", "device_del"}, {"arguments", {{"id", device}}}},
                           std::chrono::steady_clock::now() + limit));
    return {};
}

Result<> Monitor::pull(const std::string& device, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    // Processors that run could use registers that are being freed: QEMU does not reckon with this.
    PV_TRY(state_->execute({{"execute", "stop"}}, deadline));
    const Result<json> pulled = state_->execute(
        {{"execute", "qom-set"},
         {"arguments",
          {{"path", "/machine/peripheral/" + device}, {"property", "realized"}, {"value", false}}}},
        deadline);
    PV_TRY(state_->execute({{"execute", "cont"}}, deadline));
    if (!pulled) {
        return std::unexpected(pulled.error());
    }
    return {};
}

MonitorFacts Monitor::facts() const {
    const std::lock_guard guard(state_->lock);
    return state_->facts;
}

bool Monitor::wait_closed(std::chrono::milliseconds limit) {
    std::unique_lock guard(state_->lock);
    return state_->changed.wait_for(guard, limit, [&] { return state_->closed; });
}

}  // namespace pv::domain
