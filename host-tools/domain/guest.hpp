// What a guest is made of: kernel, memory, processors, disks. Typed; knows nothing of libvirt.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "domain/network.hpp"

namespace pv::domain {

enum class DiskKind : std::uint8_t { nvme, virtio_blk };

/// The kind as `--disk` and the trace's table `device` write it: nvme, virtio-blk.
std::string_view name(DiskKind kind);

struct Disk {
    DiskKind kind = DiskKind::nvme;
    /// An existing raw image or block device, or the size in bytes of an empty one made for this run.
    std::variant<std::filesystem::path, std::uint64_t> backing = std::uint64_t{64} << 20;
    bool read_only = false;     ///< virtio-blk only: QEMU's NVMe refuses it
    bool packed = false;        ///< virtio-blk only: packed rings are offered
    bool removable = false;     ///< in a slot it can be taken out of, behind a port of its own
    unsigned block_size = 512;  ///< logical block size in bytes: 512 or 4096
    std::filesystem::path nbd =
        {};  ///< UNIX socket of an NBD server to use instead of the backing; may be empty
};

/// Understands `KIND` (an empty disk of 64 MiB), or `KIND:SIZE` or `KIND:PATH` and then options: `,readonly`
/// `,packed` `,block-size=N`. A comma in a
/// path is doubled. A word that is a size is one, whatever files are called: write ./64M for such a file.
/// Does not look at the file. Errors: usage, naming the word that is wrong.
Result<Disk> parse_disk(std::string_view text);

enum class Accelerator : std::uint8_t {
    tcg,  ///< QEMU translates: the plugin sees markers, control registers, rings
    kvm,  ///< the processor runs the guest: QEMU's own trace events only
};

/// The unit between the guest's devices and its memory.
enum class Iommu : std::uint8_t {
    none,    ///< devices use physical addresses
    intel,   ///< VT-d with interrupt remapping (QEMU's intel-iommu)
    virtio,  ///< virtio-iommu, at PCI 00:1e.0
};

/// As `--iommu` writes it: none, intel, virtio.
std::string_view name(Iommu iommu);

/// Errors: usage, when `text` names none of them.
Result<Iommu> parse_iommu(std::string_view text);

struct GuestSpec {
    std::string name;  ///< the domain's name: letters, digits, '-'; unique for the run
    std::filesystem::path kernel;
    std::filesystem::path initrd;                     ///< empty: none
    std::string command_line;                         ///< passed to the kernel as it is
    std::uint64_t memory = std::uint64_t{512} << 20;  ///< bytes
    unsigned cpus = 1;
    Accelerator accelerator = Accelerator::tcg;
    Iommu iommu = Iommu::none;
    /// The n-th is disk<n>, at PCI 00:(0x10 + n).0, and where it is removable the only one behind a port
    /// there.
    std::vector<Disk> disks;
    std::vector<Network> networks;  ///< the n-th is net<n>, at PCI 00:(0x0c + n).0, or behind a port there
};

inline constexpr unsigned first_disk_slot = 0x10;
inline constexpr std::size_t max_disks = 14;  ///< slots 0x10 to 0x1d
inline constexpr unsigned iommu_slot = 0x1e;  ///< of a virtio-iommu; 0x1f is the chipset's

/// Segment, bus, device and function as one number (abi/paravane/marker.h, DEVICES), for the n-th disk or
/// network interface of the guest. Firmware numbers the buses behind ports in the order of the ports' slots.
std::uint32_t disk_bdf(const GuestSpec& guest, std::size_t index);
std::uint32_t network_bdf(const GuestSpec& guest, std::size_t index);

/// Everything about the specification that this machine can refuse before a process is started: kernel and
/// initrd readable, kernel bootable (kernel_file.hpp), disks there, readable, writable unless read-only, not
/// in use, not of another format; memory within this machine's; processors 1 to 255.
Result<> validate(const GuestSpec& guest);

}  // namespace pv::domain
