// What --disk, sizes and kernels are understood as, and what is refused.
// SPDX-License-Identifier: MIT
#include "domain/guest.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/file.hpp"
#include "base/size.hpp"
#include "domain/diagnosis.hpp"
#include "domain/kernel_file.hpp"

namespace pv::domain {
namespace {

namespace fs = std::filesystem;

class Folder {
  public:
    Folder() {
        std::string name = fs::temp_directory_path() / "pv-test-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }

    ~Folder() { fs::remove_all(path_); }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] fs::path file(const std::string& name, const std::string& bytes) const {
        std::ofstream(path_ / name, std::ios::binary) << bytes;
        return path_ / name;
    }

  private:
    fs::path path_;
};

std::string bz_image() {
    std::string bytes(1024, '\0');
    bytes.replace(0x1fe, 2, "\x55\xaa");
    bytes.replace(0x202, 4, "HdrS");
    return bytes;
}

GuestSpec guest(const Folder& folder) {
    GuestSpec spec;
    spec.name = "test";
    spec.kernel = folder.file("vmlinuz", bz_image());
    spec.memory = std::uint64_t{64} << 20;
    return spec;
}

TEST(ParseSize, units) {
    EXPECT_EQ(parse_size("64M").value(), 64U << 20U);
    EXPECT_EQ(parse_size("4k").value(), 4096U);
    EXPECT_EQ(parse_size("1GiB").value(), 1U << 30U);
    EXPECT_EQ(parse_size("512").value(), 512U);
    for (const char* wrong : {"", "M", "-1", "12X", "64MB2", "99999999999999999999", "9999999T", " 1"}) {
        EXPECT_FALSE(parse_size(wrong).has_value()) << wrong;
    }
}

TEST(ParseDisk, kinds_and_options) {
    EXPECT_EQ(std::get<std::uint64_t>(parse_disk("virtio-blk").value().backing), std::uint64_t{64} << 20);
    const Disk sized = parse_disk("nvme:64M,block-size=4096").value();
    EXPECT_EQ(sized.kind, DiskKind::nvme);
    EXPECT_EQ(std::get<std::uint64_t>(sized.backing), 64U << 20U);
    EXPECT_EQ(sized.block_size, 4096U);
    const Disk named = parse_disk("virtio-blk:/a,,b.img,readonly").value();
    EXPECT_EQ(std::get<fs::path>(named.backing), "/a,b.img");
    EXPECT_TRUE(named.read_only);
    EXPECT_FALSE(named.packed);
    EXPECT_TRUE(parse_disk("virtio-blk:64M,packed").value().packed);
}

TEST(ParseDisk, names_the_word_that_is_wrong) {
    const auto message = [](const char* text) { return parse_disk(text).error().message; };
    EXPECT_NE(message("floppy:1M").find("'floppy'"), std::string::npos);
    EXPECT_NE(message("nvme:64M,fast").find("'fast'"), std::string::npos);
    EXPECT_NE(message("nvme:").find("missing"), std::string::npos);
    EXPECT_NE(message("nvme:64M,readonly").find("read-only"), std::string::npos);
    EXPECT_NE(message("nvme:64M,packed").find("virtio-blk's"), std::string::npos);
    EXPECT_NE(message("nvme:1000").find("too small"), std::string::npos);
}

TEST(Kernel, formats) {
    const Folder folder;
    EXPECT_EQ(inspect_kernel(folder.file("bz", bz_image())).value(), KernelFormat::bz_image);
    EXPECT_NE(inspect_kernel("/nonexistent/kernel").error().message.find("does not exist"),
              std::string::npos);
    EXPECT_NE(inspect_kernel(folder.file("text", "hello")).error().message.find("no kernel"),
              std::string::npos);
    EXPECT_NE(inspect_kernel(folder.file("cut", std::string("\x7f"
                                                            "ELF",
                                                            4)))
                  .error()
                  .message.find("damaged"),
              std::string::npos);
    EXPECT_NE(inspect_kernel("/proc/self/exe").error().message.find("without a PVH note"), std::string::npos);
    EXPECT_NE(inspect_kernel("/tmp").error().message.find("not a regular file"), std::string::npos);
}

TEST(Validate, memory_processors_and_command_line) {
    const Folder folder;
    GuestSpec spec = guest(folder);
    EXPECT_TRUE(validate(spec).has_value());
    spec.memory = std::uint64_t{1} << 50;
    EXPECT_NE(validate(spec).error().message.find("does not fit"), std::string::npos);
    spec = guest(folder);
    spec.memory = 1U << 20U;
    EXPECT_FALSE(validate(spec).has_value());
    spec = guest(folder);
    spec.cpus = 0;
    EXPECT_FALSE(validate(spec).has_value());
    spec = guest(folder);
    spec.command_line = "a\x1b[2J";
    EXPECT_FALSE(validate(spec).has_value());
}

TEST(Validate, disks) {
    const Folder folder;
    GuestSpec spec = guest(folder);
    const auto refused = [&](const fs::path& image) {
        spec.disks = {Disk{.backing = image}};
        const auto result = validate(spec);
        return result.has_value() ? std::string("accepted") : result.error().message;
    };
    EXPECT_NE(refused("/nonexistent.img").find("does not exist"), std::string::npos);
    EXPECT_NE(refused(folder.file("q", "QFI\xfb" + std::string(508, '\0'))).find("qcow2"), std::string::npos);
    EXPECT_NE(refused(folder.file("odd", std::string(700, '\0'))).find("no positive multiple"),
              std::string::npos);
    const fs::path image = folder.file("raw", std::string(1024, '\0'));
    EXPECT_EQ(refused(image), "accepted");
    spec.disks = {Disk{.backing = image}, Disk{.backing = image}};
    EXPECT_NE(validate(spec).error().message.find("same image"), std::string::npos);
    // As another QEMU holds it: a byte of its lock range.
    const Descriptor holder(::open(image.c_str(), O_RDWR | O_CLOEXEC));
    struct flock lock{};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 201;
    lock.l_len = 1;
    ASSERT_EQ(::fcntl(holder.get(), F_OFD_SETLK, &lock), 0);
    EXPECT_NE(refused(image).find("in use"), std::string::npos);
}

TEST(Diagnosis, known_words) {
    EXPECT_EQ(diagnose_start("... Failed to get \"write\" lock ...").status, ExitStatus::usage);
    EXPECT_NE(diagnose_start("qemu: -plugin: invalid option").message.find("without TCG plugins"),
              std::string::npos);
    EXPECT_NE(diagnose_start("something new").message.find("something new"), std::string::npos);
}

}  // namespace
}  // namespace pv::domain
