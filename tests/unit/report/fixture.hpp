// A directory of its own for each test of the reports, and sample traces in it.
// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "sample_trace.hpp"
#include "store/trace.hpp"

namespace pv::test {

class ReportTest : public testing::Test {
  protected:
    ReportTest() {
        std::string name = (std::filesystem::temp_directory_path() / "paravane-report-XXXXXX").string();
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        directory_ = name;
    }

    ~ReportTest() override { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::filesystem::path path(const std::string& name) const { return directory_ / name; }

    /// A sample trace, open for reading.
    store::Trace sample(const SampleOptions& options = {}, const std::string& name = "trace.db") {
        const Result<> written = write_sample_trace(path(name), options);
        EXPECT_TRUE(written) << (written ? "" : written.error().message);
        return open(name);
    }

    store::Trace open(const std::string& name = "trace.db",
                      store::Trace::Mode mode = store::Trace::Mode::read) {
        Result<store::Trace> trace = store::Trace::open(path(name), mode);
        EXPECT_TRUE(trace) << (trace ? "" : trace.error().message);
        return *std::move(trace);
    }

    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream file(path(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }

    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path(name), std::ios::binary) << text;
    }

  private:
    std::filesystem::path directory_;
};

}  // namespace pv::test
