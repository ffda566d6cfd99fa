// Life of a device's commands: submitted, completed, timed out, late, failed by a reset.
// SPDX-License-Identifier: MIT
#include "block/command_table.hpp"

#include <utility>

namespace pv::block {

std::optional<CommandId> CommandTable::begin(Command&& command) {
    const auto id = slots_.acquire();
    if (id) {
        command.state = Command::State::submitted;
        *slots_.find(*id) = std::move(command);
        ++owed_;
        ++counts_.submitted;
    }
    return id;
}

void CommandTable::withdraw(CommandId id) {
    if (Command* command = slots_.find(id); command != nullptr) {
        command->data.unmap();
        slots_.release(id);
        --owed_;
        --counts_.submitted;
    }
}

Arrival CommandTable::complete(std::uint16_t wire, std::uint16_t status, std::uint32_t result) {
    Command* command = slots_.find(wire);
    if (command == nullptr || command->state == Command::State::completed ||
        command->state == Command::State::failed) {
        ++counts_.refused;
        return Arrival::refused;
    }
    --owed_;
    ++counts_.completed;
    counts_.succeeded += status == 0 ? 1 : 0;
    if (command->state != Command::State::submitted) {
        --overdue_;
        ++counts_.late;
    }
    if (command->state == Command::State::timed_out) {
        command->data.unmap();
        slots_.release(*slots_.name(wire));
        return Arrival::late;
    }
    command->state = Command::State::completed;
    command->status = status;
    command->result = result;
    return Arrival::delivered;
}

bool CommandTable::finished(CommandId id) {
    const Command* command = slots_.find(id);
    return command != nullptr &&
           (command->state == Command::State::completed || command->state == Command::State::failed);
}

std::optional<Result<Outcome>> CommandTable::take(CommandId id) {
    dma::Mapping data;
    const auto outcome = take(id, data);
    data.unmap();
    return outcome;
}

std::optional<Result<Outcome>> CommandTable::take(CommandId id, dma::Mapping& data) {
    if (!finished(id)) {
        return std::nullopt;
    }
    Command& command = *slots_.find(id);
    Result<Outcome> outcome = Outcome{command.status, command.result};
    if (command.state == Command::State::failed) {
        outcome = std::unexpected(command.error);
    }
    data = std::move(command.data);
    slots_.release(id);
    return outcome;
}

bool CommandTable::expire(CommandId id) {
    Command* command = slots_.find(id);
    if (command == nullptr || command->state != Command::State::submitted) {
        return false;
    }
    command->state = Command::State::overdue;
    ++overdue_;
    ++counts_.timed_out;
    return true;
}

bool CommandTable::abandon(CommandId id) {
    Command* command = slots_.find(id);
    if (command == nullptr || command->state != Command::State::overdue) {
        return false;
    }
    command->state = Command::State::timed_out;
    // Not before: whoever still waits for the data gets it, if it comes.
    command->data.quarantine();
    return true;
}

}  // namespace pv::block
