// SPDX-License-Identifier: MIT
#include "faults/server.hpp"

namespace pv::faults {
class FaultServer::Impl {};

FaultServer::FaultServer(std::unique_ptr<Impl> i) : impl_(std::move(i)) {}

FaultServer::~FaultServer() = default;

Result<std::unique_ptr<FaultServer>> FaultServer::start(const ServerOptions&) {
    return fail(ExitStatus::unavailable, "no faults yet");
}

const std::filesystem::path& FaultServer::socket_path() const {
    static std::filesystem::path p;
    return p;
}

void FaultServer::kill() {}
}  // namespace pv::faults
