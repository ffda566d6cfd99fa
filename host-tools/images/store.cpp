// The cache's folders.
// SPDX-License-Identifier: MIT
#include "images/store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace pv::images {
namespace {

namespace fs = std::filesystem;

constexpr auto longest_wait = std::chrono::hours(1);  // for another builder, who fetches at most as long

fs::path from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr || value[0] == '\0' ? fs::path() : fs::path(value);
}

// FNV-1a: tells two recipes of one name apart, nothing more.
std::uint64_t digest(std::string_view text) {
    std::uint64_t sum = 0xcbf29ce484222325;
    for (const char letter : text) {
        sum = (sum ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    }
    return sum;
}

}  // namespace

Result<fs::path> cache_dir() {
    if (const fs::path chosen = from_environment("PARAVANE_CACHE"); !chosen.empty()) {
        return fs::absolute(chosen);
    }
    // The base directory specification: a relative path there does not count.
    if (const fs::path base = from_environment("XDG_CACHE_HOME"); base.is_absolute()) {
        return base / "paravane";
    }
    if (const fs::path home = from_environment("HOME"); home.is_absolute()) {
        return home / ".cache" / "paravane";
    }
    return fail(ExitStatus::unavailable, "there is no place for the cache of images: HOME is not set",
                "set PARAVANE_CACHE to a folder that is writable");
}

std::vector<std::string> recipe_names(const fs::path& recipes) {
    std::vector<std::string> names;
    std::error_code problem;
    for (const fs::directory_entry& entry : fs::directory_iterator(recipes, problem)) {
        if (entry.path().extension() == ".toml") {
            names.push_back(entry.path().stem().string());
        }
    }
    std::ranges::sort(names);
    return names;
}

bool looks_like_recipe(const std::string& word, const fs::path& recipes) {
    std::error_code problem;
    return word.ends_with(".toml") ||
           (word.find('/') == std::string::npos && fs::exists(recipes / (word + ".toml"), problem));
}

Result<fs::path> find_recipe(const std::string& word, const fs::path& recipes) {
    if (word.find('/') != std::string::npos || word.ends_with(".toml")) {
        return fs::path(word);
    }
    std::error_code problem;
    const fs::path installed = recipes / (word + ".toml");
    if (!word.empty() && fs::is_regular_file(installed, problem)) {
        return installed;
    }
    return fail(ExitStatus::usage, fmt::format("there is no recipe '{}'", word),
                fmt::format("there are {}; a recipe of your own is named by its path: ./{}.toml",
                            fmt::join(recipe_names(recipes), ", "), word));
}

Result<Descriptor> lock_cache(const fs::path& folder, const Work& work) {
    std::error_code problem;
    fs::create_directories(folder, problem);
    Descriptor lock(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!lock) {
        return fail(ExitStatus::unavailable,
                    fmt::format("the cache '{}' cannot be used: {}", folder.string(), std::strerror(errno)),
                    "set PARAVANE_CACHE to a folder that is writable");
    }
    const auto deadline = std::chrono::steady_clock::now() + longest_wait;
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return fail(
                ExitStatus::unavailable,
                fmt::format("the cache '{}' cannot be locked: {}", folder.string(), std::strerror(errno)),
                "set PARAVANE_CACHE to a folder on a local disk");
        }
        if (std::chrono::steady_clock::now() > deadline) {
            return fail(ExitStatus::unavailable,
                        fmt::format("the cache '{}' has been in use for an hour", folder.string()),
                        "another paravane holds it; end it, or set PARAVANE_CACHE to another folder");
        }
        work.tell("waiting for another paravane that builds an image");
        pollfd entry{.fd = work.cancel, .events = POLLIN, .revents = 0};
        ::poll(&entry, 1, 100);
        if (work.cancelled()) {
            return std::unexpected(Work::given_up());
        }
    }
    return lock;
}

fs::path cached_image(const fs::path& cache, const fs::path& recipe) {
    const std::string path = fs::absolute(recipe).lexically_normal().string();
    return cache / "images" / fmt::format("{}-{:016x}.cpio", recipe.stem().string(), digest(path));
}

}  // namespace pv::images
