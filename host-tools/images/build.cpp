// From a recipe to an archive.
// SPDX-License-Identifier: MIT
#include "images/build.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/file.hpp"
#include "images/closure.hpp"
#include "images/cpio.hpp"
#include "images/pool.hpp"
#include "images/store.hpp"
#include "paravane/image.h"

namespace pv::images {
namespace {

namespace fs = std::filesystem;

// Raised whenever the same inputs would give other bytes.
constexpr int layout_version = 2;

Result<std::int64_t> source_date() {
    const char* text = std::getenv("SOURCE_DATE_EPOCH");
    if (text == nullptr || *text == '\0') {
        return 0;
    }
    const std::string_view word(text);
    std::int64_t time = 0;
    const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), time);
    // newc has eight hexadecimal digits for it.
    if (problem != std::errc() || end != word.data() + word.size() || time < 0 || time > 0xffffffff) {
        return fail(ExitStatus::usage,
                    fmt::format("SOURCE_DATE_EPOCH is '{}', no time an image can have", word),
                    "seconds since 1970, up to 4294967295; or unset it");
    }
    return time;
}

std::string stamp_of(const fs::path& path) {
    struct stat status{};

    if (::stat(path.c_str(), &status) != 0) {
        return "missing";
    }
    return fmt::format("{} {}.{:09} {}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                       status.st_ino);
}

// Everything the image depends on, as text: the same text, the same image.
std::string inputs_of(const Recipe& recipe, const BuildOptions& options, std::int64_t time,
                      const std::string& lists) {
    std::string text = fmt::format("layout {}\ntime {}\nlists {}\ninit {}\n", layout_version, time, lists,
                                   stamp_of(options.init));
    for (const auto& [path, own] : recipe.files) {
        if (!own.text) {
            text += fmt::format("file {} {}\n", own.from.string(), stamp_of(own.from));
        }
    }
    return text + "recipe\n" + recipe.source;
}

// Nothing where there is none.
std::string contents(const fs::path& path) {
    return read_regular(path, "file", most_bytes).value_or("");
}

std::string lists_stamp(const BuildOptions& options) {
    const std::string text = contents(options.cache / "apt" / "stamp");
    return text.substr(0, text.find('\n'));
}

fs::path inputs_file(fs::path image) {
    return image.replace_extension(".inputs");
}

std::string package_lines(const std::vector<PackageFile>& packages, const std::vector<std::string>& used) {
    const std::set<std::string> names(used.begin(), used.end());
    std::set<std::string> lines;
    for (const PackageFile& package : packages) {
        if (names.contains(package.name)) {
            lines.insert(fmt::format("{} {} {}\n", package.name, package.version, package.architecture));
        }
    }
    return fmt::format("{}", fmt::join(lines, ""));
}

// What a builder left that was killed.
void remove_unfinished(const fs::path& folder) {
    std::error_code problem;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, problem)) {
        const std::string extension = entry.path().extension().string();
        if (extension != ".cpio" && extension != ".inputs") {
            fs::remove(entry.path(), problem);
        }
    }
}

Result<Assembled> gather(const Recipe& recipe, const BuildOptions& options, const Work& work) {
    std::string init = PV_TRY(read_regular(options.init, "program", most_bytes));
    std::vector<std::string> packages = recipe.packages;
    std::vector<std::string> named;
    for (const auto& [package, paths] : recipe.programs) {
        named.push_back(package);
    }
    std::vector<PackageFile> all;
    std::vector<std::string> whole;
    if (!named.empty() || !packages.empty()) {
        Apt apt = PV_TRY(Apt::open(options.cache / "apt", work));
        if (options.update) {
            PV_TRY(apt.update());
        }
        for (std::string& name : packages) {
            name = PV_TRY(apt.choose(name));
        }
        named.insert(named.end(), packages.begin(), packages.end());
        all = PV_TRY(apt.get(named));
        for (const PackageFile& package : PV_TRY(apt.get(packages))) {
            whole.push_back(package.name);
        }
    }
    Pool pool(all, work);
    Assembled assembled = PV_TRY(assemble(recipe, whole, pool, std::move(init)));
    PV_TRY(assembled.tree.add(PV_IMAGE_PACKAGES, file(package_lines(all, assembled.packages), 0644)));
    return assembled;
}

}  // namespace

std::optional<fs::path> built_already(const Recipe& recipe, const BuildOptions& options) {
    const Result<std::int64_t> time = source_date();
    const fs::path image = cached_image(options.cache, recipe.path);
    std::error_code problem;
    if (!time.has_value() || !fs::is_regular_file(image, problem) ||
        contents(inputs_file(image)) != inputs_of(recipe, options, *time, lists_stamp(options))) {
        return std::nullopt;
    }
    return image;
}

Result<Built> build(const Recipe& recipe, const BuildOptions& options, const Work& work) {
    const std::int64_t time = PV_TRY(source_date());
    Built built;
    std::optional<fs::path> there = options.update ? std::nullopt : built_already(recipe, options);
    if (!there) {
        const Descriptor lock = PV_TRY(lock_cache(options.cache, work));
        there = options.update ? std::nullopt : built_already(recipe, options);  // by whom we waited for
        if (!there) {
            const Assembled assembled = PV_TRY(gather(recipe, options, work));
            const fs::path image = cached_image(options.cache, recipe.path);
            std::error_code problem;
            fs::create_directories(image.parent_path(), problem);
            remove_unfinished(image.parent_path());
            work.tell("writing the image");
            fs::remove(inputs_file(image), problem);
            PV_TRY(write_image(assembled.tree, image, time));
            std::ofstream(inputs_file(image), std::ios::binary)
                << inputs_of(recipe, options, time, lists_stamp(options));
            built.fresh = true;
            built.notes = assembled.notes;
            there = image;
        }
    }
    built.image = *there;
    if (!options.output.empty()) {
        PV_TRY(copy_image(built.image, options.output, {}));
    }
    if (work.cancelled()) {
        return std::unexpected(Work::given_up());
    }
    return built;
}

}  // namespace pv::images
