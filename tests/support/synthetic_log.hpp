// A log as QEMU and the plugin write it for a clean run of the exercise, of any length, without a guest.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pv::test {

/// One NVMe controller (disk0, 00:10.0) and one virtio-blk device (disk1, 00:11.0), two vCPUs, a guest with
/// every promise of paravane/marker.h kept: every mapping ended, every command completed in time, every queue
/// deleted. The same seed gives the same bytes.
class SyntheticLog {
  public:
    explicit SyntheticLog(std::uint64_t seed = 1) : random_(seed * 2 + 1) {}

    /// Firmware, handshake, devices, queues: about 70 lines.
    void begin(std::string& out);
    /// One read or write with everything it causes (about 20 lines); now and then a flush with its durable
    /// markers.
    void request(std::string& out);
    /// Queues deleted, devices released, goodbye.
    void end(std::string& out);

    [[nodiscard]] std::uint64_t lines() const { return lines_; }

  private:
    void line(std::string& out, std::string_view text);
    template <class... Args>
    void marker(std::string& out, std::uint64_t number, Args... args);
    void doorbell(std::string& out, std::uint64_t queue);
    void completion_doorbell(std::string& out, std::uint64_t queue);
    void admin(std::string& out, unsigned opcode, std::string_view name, std::string_view effect);
    void nvme(std::string& out, bool write);
    void virtio(std::string& out, bool write);
    void flush(std::string& out);
    std::uint64_t next_random();

    std::uint64_t random_;
    std::uint64_t lines_ = 0;
    std::uint64_t microseconds_ = 1'795'231'757'000'000;
    std::uint64_t mapping_ = 0;
    std::uint64_t command_ = 0;  // generation above, id below: here one counter, as ids are 16 bits of it
    std::uint64_t request_ = 0;
    std::uint64_t tail_[2] = {0, 0};
    std::uint64_t head_[2] = {0, 0};
    std::uint64_t available_ = 0;
    std::uint64_t pages_ = 0;
    int cpu_ = 0;
};

/// A whole run of at least `lines` lines.
[[nodiscard]] std::string synthetic_log(std::uint64_t lines, std::uint64_t seed = 1);

/// Writes such a run to `path`, in pieces: its length is bounded by the disk only. The number of lines.
std::uint64_t write_synthetic_log(const std::string& path, std::uint64_t lines, std::uint64_t seed = 1);

}  // namespace pv::test
