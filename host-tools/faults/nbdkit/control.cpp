// One thread polls the clients; requests only ever append to what they have still to read.
// SPDX-License-Identifier: MIT
#include "faults/nbdkit/control.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "faults/plan.hpp"

namespace pv::faults::nbdkit {
namespace {

using nlohmann::json;

std::string text_of(const json& value) {
    // What a client sent may not be UTF-8; the answer is.
    return value.dump(-1, ' ', true, json::error_handler_t::replace);
}

json failure(std::string message, std::string hint) {
    return {{"ok", false}, {"error", std::move(message)}, {"hint", std::move(hint)}};
}

json add(Engine& engine, std::string_view disk, const json& message) {
    const auto text = message.find("fault");
    if (text == message.end() || !text->is_string()) {
        return failure("add needs \"fault\"", "a string, as in \"stall disk0 read for 8s\"");
    }
    auto fault = parse_fault(text->get_ref<const std::string&>());
    if (!fault) {
        return failure(fault.error().message, fault.error().hint);
    }
    if (fault->disk != disk) {
        return failure("fault for " + fault->disk + ", and this is " + std::string{disk},
                       "ask the server of that disk");
    }
    const auto id = engine.add(std::move(*fault));
    if (!id) {
        return failure("too many faults", "remove one: at most " + std::to_string(Engine::most_faults));
    }
    return {{"ok", true}, {"fault", *id}};
}

json list(Engine& engine) {
    json faults = json::array();
    for (const State& state : engine.list()) {
        faults.push_back({{"fault", state.id},
                          {"text", state.text},
                          {"matched", state.matched},
                          {"caught", state.caught},
                          {"armed", state.armed}});
    }
    return {{"ok", true}, {"faults", std::move(faults)}};
}

json stats(Engine& engine) {
    const Stats s = engine.stats();
    return {
        {"ok", true},         {"reads", s.reads},         {"writes", s.writes},       {"flushes", s.flushes},
        {"trims", s.trims},   {"zeroes", s.zeroes},       {"held", s.held},           {"delayed", s.delayed},
        {"failed", s.failed}, {"corrupted", s.corrupted}, {"reordered", s.reordered}, {"holding", s.holding}};
}

/// remove and release: one fault by number, or "all".
json let_go(Engine& engine, const json& message, bool remove) {
    const auto which = message.find("fault");
    if (which != message.end() && *which == "all") {
        if (remove) {
            for (const State& state : engine.list()) {
                engine.remove(state.id);
            }
        } else {
            engine.release_all();
        }
        return {{"ok", true}};
    }
    if (which == message.end() || !which->is_number_unsigned()) {
        return failure("\"fault\" is missing", "a fault's number, or \"all\"");
    }
    const auto id = which->get<std::uint64_t>();
    if (!(remove ? engine.remove(id) : engine.release(id))) {
        return failure("no fault " + std::to_string(id), "{\"command\":\"list\"} shows those there are");
    }
    return {{"ok", true}};
}

json carry_out(Engine& engine, std::string_view disk, const json& message) {
    const auto command = message.is_object() ? message.find("command") : message.end();
    if (!message.is_object() || command == message.end() || !command->is_string()) {
        return failure("not a command", "an object with \"command\": add, remove, release, list or stats");
    }
    const auto& name = command->get_ref<const std::string&>();
    if (name == "add") {
        return add(engine, disk, message);
    }
    if (name == "remove" || name == "release") {
        return let_go(engine, message, name == "remove");
    }
    if (name == "list") {
        return list(engine);
    }
    if (name == "stats") {
        return stats(engine);
    }
    return failure("unknown command", "add, remove, release, list or stats");
}

}  // namespace

std::string answer(Engine& engine, std::string_view disk, std::string_view line) {
    const json message = json::parse(line, nullptr, false);
    if (message.is_discarded()) {
        return text_of(failure("not JSON", "one JSON object a line"));
    }
    json result = carry_out(engine, disk, message);
    if (message.is_object()) {
        const auto id = message.find("id");
        if (id != message.end() && id->is_number_integer()) {
            result["id"] = *id;
        }
    }
    return text_of(result);
}

std::string event_line(const Event& event) {
    return text_of({{"event", event.begin ? "begin" : "end"},
                    {"fault", event.fault},
                    {"request", event.request},
                    {"operation", std::string{name(event.what.operation)}},
                    {"offset", event.what.offset},
                    {"length", event.what.length},
                    {"text", event.text}});
}

Control::Control(Engine& engine, std::string disk, std::function<void()> owner_gone)
    : engine_(engine),
      disk_(std::move(disk)),
      owner_gone_(std::move(owner_gone)),
      wakeup_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Control::~Control() {
    stop();
    if (wakeup_ >= 0) {
        close(wakeup_);
    }
}

int Control::listen(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return ENAMETOOLONG;
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // The generic address is how sockets' interface wants it.
    if (listener_ < 0 || bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return errno;
    }
    path_ = path;
    return ::listen(listener_, 4) == 0 ? 0 : errno;
}

int Control::adopt(int descriptor) {
    int type = 0;
    socklen_t length = sizeof type;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
        return errno;
    }
    clients_.push_back(Client{descriptor, true});
    return type == SOCK_STREAM ? 0 : EPROTOTYPE;
}

void Control::start() {
    {
        const std::scoped_lock hold{lock_};
        for (Client& client : clients_) {
            put(client, R"({"event":"ready"})");
        }
    }
    if (listener_ >= 0 || !clients_.empty()) {
        thread_ = std::thread{[this] { run(); }};
    }
}

void Control::stop() {
    {
        const std::scoped_lock hold{lock_};
        stopping_ = true;
    }
    wake();
    if (thread_.joinable()) {
        thread_.join();
    }
    for (const Client& client : clients_) {
        close(client.descriptor);
    }
    clients_.clear();
    if (listener_ >= 0) {
        close(std::exchange(listener_, -1));
    }
    if (!path_.empty()) {
        unlink(path_.c_str());
        path_.clear();
    }
}

void Control::report(const Event& event) {
    const std::string line = event_line(event);
    {
        const std::scoped_lock hold{lock_};
        for (Client& client : clients_) {
            put(client, line);
        }
    }
    wake();
}

void Control::run() {
    bool stopping = false;
    while (!stopping) {
        std::vector<pollfd> watched{{wakeup_, POLLIN, 0}};
        const bool listening = listener_ >= 0;
        if (listening) {
            watched.push_back({listener_, POLLIN, 0});
        }
        std::size_t count = 0;
        {
            const std::scoped_lock hold{lock_};
            count = clients_.size();
            for (const Client& client : clients_) {
                const int events = client.output.empty() ? POLLIN : POLLIN | POLLOUT;
                watched.push_back({client.descriptor, static_cast<short>(events), 0});
            }
        }
        if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) {
            return;
        }
        eventfd_t drained = 0;
        eventfd_read(wakeup_, &drained);
        // Only this thread adds or removes clients: the first `count` are those that were polled.
        for (std::size_t i = 0; i < count; ++i) {
            const pollfd& polled = watched[watched.size() - count + i];
            if ((polled.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
                receive(clients_[i]);
            }
            const std::scoped_lock hold{lock_};
            send(clients_[i]);
        }
        if (listening && (watched[1].revents & POLLIN) != 0) {
            accept_one();
        }
        bool owner_gone = false;
        {
            const std::scoped_lock hold{lock_};
            stopping = stopping_;
            std::erase_if(clients_, [&](const Client& client) {
                if (client.dead) {
                    owner_gone = owner_gone || client.owner;
                    close(client.descriptor);
                }
                return client.dead;
            });
        }
        if (owner_gone && !stopping) {
            owner_gone_();
        }
    }
}

void Control::accept_one() {
    const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0) {
        return;
    }
    const std::scoped_lock hold{lock_};
    if (clients_.size() >= most_clients) {
        close(descriptor);
        return;
    }
    clients_.push_back(Client{descriptor, false});
    put(clients_.back(), R"({"event":"ready"})");
}

void Control::receive(Client& client) {
    std::array<char, 4096> buffer;
    const ssize_t length = recv(client.descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (length <= 0) {
        const bool ended = length == 0 || (errno != EAGAIN && errno != EINTR);
        const std::scoped_lock hold{lock_};
        client.dead = ended;
        return;
    }
    client.input.append(buffer.data(), static_cast<std::size_t>(length));
    for (std::size_t end = 0; (end = client.input.find('\n')) != std::string::npos;) {
        // The engine reports events under its own lock, which takes ours: answer without ours.
        const std::string line = answer(engine_, disk_, std::string_view{client.input}.substr(0, end));
        client.input.erase(0, end + 1);
        const std::scoped_lock hold{lock_};
        put(client, line);
    }
    if (client.input.size() > longest_line) {
        const std::scoped_lock hold{lock_};
        client.dead = true;
    }
}

/// With the lock held.
void Control::send(Client& client) {
    while (!client.output.empty() && !client.dead) {
        const ssize_t length = ::send(client.descriptor, client.output.data(), client.output.size(),
                                      MSG_DONTWAIT | MSG_NOSIGNAL);
        if (length < 0) {
            client.dead = errno != EAGAIN && errno != EINTR;
            return;
        }
        client.output.erase(0, static_cast<std::size_t>(length));
    }
}

/// With the lock held.
void Control::put(Client& client, std::string_view line) {
    if (client.output.size() + line.size() > most_output) {
        ++client.lost;
        return;
    }
    if (client.lost != 0) {
        client.output += text_of({{"event", "lost"}, {"count", std::exchange(client.lost, 0)}}) + '\n';
    }
    client.output.append(line);
    client.output += '\n';
}

void Control::wake() const {
    eventfd_write(wakeup_, 1);
}

}  // namespace pv::faults::nbdkit
