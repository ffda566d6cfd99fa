// The control connection of the nbdkit plugin: JSON, one message a line (docs/faults.md, "Control").
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "faults/nbdkit/engine.hpp"

namespace pv::faults::nbdkit {

/// The answer to one line, without newline. `disk` is the only disk whose faults are accepted. Any bytes in,
/// one line of JSON out.
std::string answer(Engine& engine, std::string_view disk, std::string_view line);

/// One event as a line, without newline.
std::string event_line(const Event& event);

/// Serves control connections in a thread of its own. What clients send and do not read is bounded.
class Control {
  public:
    static constexpr std::size_t longest_line = 4'096;     ///< a longer one ends the connection
    static constexpr std::size_t most_output = 1'048'576;  ///< unread bytes kept for one client
    static constexpr std::size_t most_clients = 8;

    /// `owner_gone` is called when the connection that came as a descriptor ends: the process that started
    /// this one is no more.
    Control(Engine& engine, std::string disk, std::function<void()> owner_gone);
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;
    ~Control();

    /// Listens at `path`, replacing no file that exists. Returns 0 or an errno.
    int listen(const std::string& path);

    /// Takes over a connected socket: the owner's. Returns 0 or an errno.
    int adopt(int descriptor);

    /// Starts serving; says "ready" to the owner.
    void start();

    /// Ends the thread and every connection; removes the listening socket. Idempotent.
    void stop();

    /// Sends an event to every client. Any thread; never waits. What does not fit is counted, and the client
    /// is told how much it lost.
    void report(const Event& event);

  private:
    struct Client {
        Client(int connected, bool is_owner) : descriptor(connected), owner(is_owner) {}

        int descriptor;
        bool owner;  ///< came as a descriptor from the process that started this one
        bool dead = false;
        std::string input;
        std::string output;
        std::uint64_t lost = 0;
    };

    void run();
    void accept_one();
    void receive(Client& client);
    void send(Client& client);
    void put(Client& client, std::string_view line);
    void wake() const;

    Engine& engine_;
    std::string disk_;
    std::function<void()> owner_gone_;
    int listener_ = -1;
    int wakeup_ = -1;
    std::string path_;
    std::mutex lock_;  ///< guards clients_ and stopping_
    std::vector<Client> clients_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace pv::faults::nbdkit
