// nbdkit as a child process: started with nothing but what it needs, ended and reaped exactly once.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <mutex>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace pv::faults {

/// A file descriptor with an owner.
class Descriptor {
  public:
    Descriptor() = default;

    explicit Descriptor(int value) : value_(value) {}

    Descriptor(Descriptor&& other) noexcept;
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor();

    [[nodiscard]] int get() const { return value_; }

    void reset();

  private:
    int value_ = -1;
};

/// A child process and both ends of what connects it. Its standard input and output are /dev/null.
class Child {
  public:
    /// The descriptor number under which the child finds its end of the control connection.
    static constexpr int control_in_child = 3;

    Child() = default;
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child();

    /// Starts `arguments` (the first is looked up in PATH) in a process group of its own, so that Ctrl-C
    /// reaches only the tool. Call it in a thread that lives as long as the child: the kernel sends a child's
    /// death signal when the thread ends that started it. Errors: unavailable.
    Result<> start(const std::vector<std::string>& arguments);

    [[nodiscard]] int control() const { return control_.get(); }

    [[nodiscard]] int errors() const { return errors_.get(); }

    [[nodiscard]] pid_t pid();

    /// SIGKILL. Nothing once it was reaped. Any thread.
    void kill();

    /// Waits for the end, which kill() or a closed control connection has brought about. Idempotent.
    void reap();

  private:
    std::mutex lock_;
    pid_t pid_ = -1;  ///< -1 before the start and after the end
    Descriptor control_, errors_;
};

}  // namespace pv::faults
