// Understands --disk, and refuses a guest this machine cannot run before anything is started.
// SPDX-License-Identifier: MIT
#include "domain/guest.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.hpp"
#include "base/size.hpp"
#include "domain/kernel_file.hpp"
#include "domain/options.hpp"

namespace pv::domain {
namespace {

constexpr std::uint64_t smallest_disk = std::uint64_t{1} << 20;
constexpr std::uint64_t smallest_memory = std::uint64_t{16} << 20;

constexpr std::uint64_t default_disk = std::uint64_t{64} << 20;
constexpr std::string_view disk_hint =
    "write KIND, KIND:SIZE or KIND:PATH, KIND nvme or virtio-blk, then ,readonly, ,packed or "
    ",block-size=4096: nvme:64M";

bool looks_like_size(std::string_view word) {
    return word.find_first_not_of("0123456789") != 0 && parse_size(word).has_value();
}

// QEMU locks single bytes from 100 and 200 on (docs/system/images, "Disk image file locking"): any of them
// held means that another QEMU, or an nbdkit of ours, has the image open.
bool in_use(int descriptor) {
    struct flock lock{};

    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 100;
    lock.l_len = 200;
    return ::fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

struct Format {
    std::string_view name;
    std::string_view magic;
};

constexpr std::array foreign_formats = {
    Format{"qcow2", std::string_view("QFI\xfb", 4)},
    Format{"VMDK", "KDMV"},
    Format{"VHDX", "vhdxfile"},
    Format{"VHD", "conectix"},
    Format{"VDI", "<<< Oracle VM VirtualBox Disk Image >>>"},
};

Result<> validate_image(const std::filesystem::path& path, const Disk& disk, const std::string& what) {
    const int flags = disk.read_only ? O_RDONLY : O_RDWR;
    const Descriptor file = PV_TRY(open_file(path, flags, what));

    struct stat status{};

    if (::fstat(file.get(), &status) != 0 || !(S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))) {
        return fail(ExitStatus::usage,
                    fmt::format("{} '{}' is neither a file nor a block device", what, path.string()),
                    "give a raw disk image, or a size for an empty disk: nvme:64M");
    }
    std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
    if (S_ISBLK(status.st_mode) && ::ioctl(file.get(), BLKGETSIZE64, &size) != 0) {
        return fail(ExitStatus::usage, fmt::format("{} '{}': its size cannot be read: {}", what,
                                                   path.string(), std::strerror(errno)));
    }
    if (size < disk.block_size || size % disk.block_size != 0) {
        return fail(ExitStatus::usage,
                    fmt::format("{} '{}' has {} bytes, which is no positive multiple of its block size {}",
                                what, path.string(), size, disk.block_size),
                    "`truncate -s 64M FILE` makes a raw image of 64 MiB");
    }
    std::array<char, 64> head{};
    if (::pread(file.get(), head.data(), head.size(), 0) < 0) {
        return fail(ExitStatus::usage,
                    fmt::format("{} '{}' cannot be read: {}", what, path.string(), std::strerror(errno)));
    }
    for (const Format& format : foreign_formats) {
        if (std::string_view(head.data(), head.size()).starts_with(format.magic)) {
            return fail(ExitStatus::usage,
                        fmt::format("{} '{}' is a {} image; only raw ones are used", what, path.string(),
                                    format.name),
                        fmt::format("`qemu-img convert -O raw {} disk.raw` makes a raw copy", path.string()));
        }
    }
    if (S_ISREG(status.st_mode) && in_use(file.get())) {
        return fail(ExitStatus::usage,
                    fmt::format("{} '{}' is in use by another process", what, path.string()),
                    "end the virtual machine that has it open, or give a copy");
    }
    return {};
}

}  // namespace

std::string_view name(DiskKind kind) {
    return kind == DiskKind::nvme ? "nvme" : "virtio-blk";
}

std::string_view name(Iommu iommu) {
    switch (iommu) {
        case Iommu::none:
            return "none";
        case Iommu::intel:
            return "intel";
        case Iommu::virtio:
            return "virtio";
    }
    return "?";
}

Result<Iommu> parse_iommu(std::string_view text) {
    for (const Iommu iommu : {Iommu::none, Iommu::intel, Iommu::virtio}) {
        if (text == name(iommu)) {
            return iommu;
        }
    }
    return fail(ExitStatus::usage, fmt::format("'{}' is no IOMMU", text),
                "--iommu takes none, intel or virtio");
}

Result<Disk> parse_disk(std::string_view text) {
    const auto refuse = [&](const std::string& why) {
        return fail(ExitStatus::usage, fmt::format("disk '{}': {}", text, why), std::string(disk_hint));
    };
    const std::size_t colon = text.find(':');
    const std::string_view kind = text.substr(0, colon);
    Disk disk;
    if (kind == "nvme") {
        disk.kind = DiskKind::nvme;
    } else if (kind == "virtio-blk") {
        disk.kind = DiskKind::virtio_blk;
    } else {
        return refuse(fmt::format("'{}' is no kind of disk", kind));
    }
    if (colon == std::string_view::npos) {
        disk.backing = default_disk;
        return disk;
    }
    const std::vector<std::string> words = split_options(text.substr(colon + 1));
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "readonly") {
            disk.read_only = true;
        } else if (word == "packed") {
            disk.packed = true;
        } else if (word == "block-size=512") {
            disk.block_size = 512;
        } else if (word == "block-size=4096") {
            disk.block_size = 4096;
        } else {
            return refuse(fmt::format("'{}' is no option of a disk", word));
        }
    }
    if (disk.read_only && disk.kind == DiskKind::nvme) {
        return refuse("QEMU's NVMe controller has no read-only mode");
    }
    if (disk.packed && disk.kind == DiskKind::nvme) {
        return refuse("packed rings are virtio-blk's");
    }
    const std::string& backing = words.front();
    if (backing.empty()) {
        return refuse("the size or path is missing");
    }
    if (!looks_like_size(backing)) {
        disk.backing = std::filesystem::path(backing);
        return disk;
    }
    const std::uint64_t size = PV_TRY(parse_size(backing));
    if (size < smallest_disk || size % disk.block_size != 0) {
        return refuse(
            fmt::format("{} bytes is too small, or no multiple of the block size (at least 1M)", size));
    }
    disk.backing = size;
    return disk;
}

namespace {

std::uint32_t bdf(const GuestSpec& guest, unsigned slot, bool removable) {
    if (!removable) {
        return slot << 3U;
    }
    std::uint32_t bus = 1;
    const auto count = [&](const auto& devices, unsigned first) {
        for (std::size_t i = 0; i < devices.size() && first + i < slot; ++i) {
            bus += devices[i].removable ? 1U : 0U;
        }
    };
    count(guest.networks, first_network_slot);
    count(guest.disks, first_disk_slot);
    return bus << 8U;
}

}  // namespace

std::uint32_t disk_bdf(const GuestSpec& guest, std::size_t index) {
    return bdf(guest, first_disk_slot + static_cast<unsigned>(index), guest.disks.at(index).removable);
}

std::uint32_t network_bdf(const GuestSpec& guest, std::size_t index) {
    return bdf(guest, first_network_slot + static_cast<unsigned>(index), guest.networks.at(index).removable);
}

Result<> validate(const GuestSpec& guest) {
    static_cast<void>(PV_TRY(inspect_kernel(guest.kernel)));
    if (!guest.initrd.empty()) {
        const Descriptor file = PV_TRY(open_regular(guest.initrd, O_RDONLY, "initrd"));

        struct stat status{};

        if (::fstat(file.get(), &status) == 0 && status.st_size == 0) {
            return fail(ExitStatus::usage, fmt::format("initrd '{}' is empty", guest.initrd.string()),
                        "give the file the kernel is to unpack, or leave --initrd out");
        }
    }
    if (guest.command_line.size() > 2047) {
        return fail(ExitStatus::usage,
                    fmt::format("the kernel command line has {} bytes", guest.command_line.size()),
                    "x86 kernels take at most 2047");
    }
    for (const char letter : guest.command_line) {
        const auto byte = static_cast<unsigned char>(letter);
        if (byte < 0x20 || byte == 0x7f) {
            return fail(ExitStatus::usage, "the kernel command line holds a control character",
                        "give --append one line of text");
        }
    }
    const std::uint64_t machine = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                                  static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    if (guest.memory > machine) {
        return fail(ExitStatus::usage,
                    fmt::format("the guest's memory of {} does not fit this machine's {}",
                                format_size(guest.memory), format_size(machine >> 20U << 20U)),
                    "give --memory less, e.g. 512M");
    }
    if (guest.memory < smallest_memory || guest.memory % (1U << 20U) != 0) {
        return fail(ExitStatus::usage,
                    fmt::format("a guest cannot have {} of memory", format_size(guest.memory)),
                    "give --memory 16M or more, in whole MiB");
    }
    if (guest.cpus < 1 || guest.cpus > 255) {
        return fail(ExitStatus::usage, fmt::format("a guest cannot have {} processors", guest.cpus),
                    "give --smp 1 to 255");
    }
    if (guest.disks.size() > max_disks) {
        return fail(ExitStatus::usage, fmt::format("{} disks were given", guest.disks.size()),
                    fmt::format("at most {} are possible", max_disks));
    }
    if (guest.networks.size() > max_networks) {
        return fail(ExitStatus::usage, fmt::format("{} networks were given", guest.networks.size()),
                    fmt::format("at most {} are possible", max_networks));
    }
    for (std::size_t i = 0; i < guest.disks.size(); ++i) {
        const Disk& disk = guest.disks[i];
        if (const auto* path = std::get_if<std::filesystem::path>(&disk.backing)) {
            PV_TRY(validate_image(*path, disk, fmt::format("disk{}", i)));
            for (std::size_t j = 0; j < i; ++j) {
                const auto* other = std::get_if<std::filesystem::path>(&guest.disks[j].backing);
                std::error_code ignored;
                if (other != nullptr && std::filesystem::equivalent(*path, *other, ignored)) {
                    return fail(
                        ExitStatus::usage,
                        fmt::format("disk{} and disk{} are the same image '{}'", j, i, path->string()),
                        "give each disk an image of its own");
                }
            }
        }
    }
    return {};
}

}  // namespace pv::domain
