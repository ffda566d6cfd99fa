// Disk images: what is refused, and that two programs do not write one image.
// SPDX-License-Identifier: MIT
#include "faults/image.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace pv::faults {
namespace {

using testing::HasSubstr;

class FaultImage : public testing::Test {
  protected:
    void SetUp() override {
        std::ofstream{path}.close();
        std::filesystem::resize_file(path, 1 << 20);
    }

    void TearDown() override { std::filesystem::remove(path); }

    std::filesystem::path path = testing::TempDir() + "/pv-image-" + std::to_string(getpid()) + ".raw";
};

TEST_F(FaultImage, AWriterExcludesAllOthers) {
    {
        const auto first = Image::open(path, false);
        ASSERT_TRUE(first);
        EXPECT_EQ(first->size(), 1U << 20);
        for (const bool read_only : {false, true}) {
            const auto second = Image::open(path, read_only);
            ASSERT_FALSE(second);
            EXPECT_THAT(second.error().message, HasSubstr("in use"));
            EXPECT_EQ(second.error().status, ExitStatus::usage);
        }
    }
    EXPECT_TRUE(Image::open(path, false)) << "the lock ends with its holder";
}

TEST_F(FaultImage, ReadersShare) {
    const auto first = Image::open(path, true);
    const auto second = Image::open(path, true);
    EXPECT_TRUE(first && second);
}

TEST_F(FaultImage, RefusesWhatIsNoDisk) {
    EXPECT_THAT(Image::open("/nonexistent/disk", false).error().message, HasSubstr("is not there"));
    EXPECT_THAT(Image::open("/tmp", true).error().message, HasSubstr("cannot be opened"));
    EXPECT_THAT(Image::open("/dev/null", false).error().message, HasSubstr("cannot be opened"));
    std::filesystem::resize_file(path, 0);
    EXPECT_THAT(Image::open(path, false).error().message, HasSubstr("empty"));
    EXPECT_FALSE(Image::memory(0));
    EXPECT_FALSE(Image::memory(UINT64_MAX));
}

TEST_F(FaultImage, MemoryIsADisk) {
    const auto image = Image::memory(1 << 20);
    ASSERT_TRUE(image);
    EXPECT_TRUE(image->is_memory());
    EXPECT_EQ(image->size(), 1U << 20);
}

}  // namespace
}  // namespace pv::faults
