// Who uses the network at this moment.
// SPDX-License-Identifier: MIT
#include "net/machine.hpp"

#include "base/atomic.hpp"
#include "net/network_texts.hpp"
#include "net/stack.hpp"
#include "task/wait_queue.hpp"

namespace pv::net {
namespace {

constinit Atomic<Stack*> offered{nullptr};
constinit Atomic<std::uint32_t> users{0};
constinit task::WaitQueue unused;

/// While one of these lives, the stack it found is not taken away.
class Use {
  public:
    Use() {
        users.fetch_add(1, std::memory_order_seq_cst);
        stack_ = offered.load(std::memory_order_seq_cst);
    }

    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    ~Use() {
        if (users.fetch_sub(1, std::memory_order_seq_cst) == 1 &&
            offered.load(std::memory_order_seq_cst) == nullptr) {
            unused.wake_all();
        }
    }

    [[nodiscard]] Stack* stack() const { return stack_; }

  private:
    Stack* stack_ = nullptr;
};

}  // namespace

void offer(Stack& stack) {
    offered.store(&stack, std::memory_order_seq_cst);
    fs::set_network_writer(write_network);
}

void withdraw() {
    offered.store(nullptr, std::memory_order_seq_cst);
    static_cast<void>(unused.wait(Deadline::never("jobs of the network bound themselves"),
                                  [] { return users.load(std::memory_order_seq_cst) == 0; }));
}

void ask(Errand& errand) {
    const Use use;
    if (use.stack() != nullptr) {
        use.stack()->ask(errand);
    }
}

Outcome<> on_network(FunctionRef<Outcome<>()> job) {
    const Use use;
    if (use.stack() == nullptr) {
        return fail(Errno::enetdown);
    }
    Outcome<> outcome;
    const Result<> called =
        use.stack()->call(Deadline::never("a turn of the network is bounded"), [&] { outcome = job(); });
    return called ? outcome : fail(Errno::enetdown);
}

}  // namespace pv::net
