// Prints the JSON of sample traces, one file each, for the schema's test: json_sample DIRECTORY.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "report/json.hpp"
#include "sample_trace.hpp"
#include "store/trace.hpp"

namespace {

pv::Result<> write(const std::filesystem::path& directory, const std::string& name,
                   const pv::test::SampleOptions& options) {
    const std::filesystem::path path = directory / (name + ".db");
    PV_TRY(pv::test::write_sample_trace(path, options));
    pv::store::Trace trace = PV_TRY(pv::store::Trace::open(path));
    std::ofstream(directory / (name + ".json")) << PV_TRY(pv::report::json(trace, path.string()));
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: json_sample DIRECTORY\n");
        return 2;
    }
    const std::array<std::pair<std::string, pv::test::SampleOptions>, 4> samples{
        {{"stall", {}},
         {"pass", {.findings = false}},
         {"hostile", {.hostile = true}},
         {"known", {.known = true}}}};
    for (const auto& [name, options] : samples) {
        if (const pv::Result<> written = write(argv[1], name, options); !written) {
            fmt::print(stderr, "{}\n", written.error().message);
            return 1;
        }
    }
    return 0;
}
