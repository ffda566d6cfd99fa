// Follows what programs need until nothing is missing.
// SPDX-License-Identifier: MIT
#include "images/closure.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <set>
#include <tuple>

#include "base/file.hpp"
#include "base/size.hpp"
#include "images/elf.hpp"
#include "images/paths.hpp"
#include "images/start.hpp"

namespace pv::images {
namespace {

// Where Debian's loader looks by itself (glibc's --library-path of a build for x86_64-linux-gnu), merged.
constexpr std::array<const char*, 3> library_folders = {"/usr/lib/x86_64-linux-gnu", "/usr/lib64",
                                                        "/usr/lib"};

std::string who(const std::string& path, const Node& node) {
    return node.owner.empty() ? fmt::format("'{}'", path)
                              : fmt::format("'{}' of package {}", path, node.owner);
}

class Assembly {
  public:
    Assembly(const Recipe& recipe, const std::vector<std::string>& whole, Pool& pool)
        : recipe_(recipe), whole_(whole.begin(), whole.end()), pool_(pool) {}

    Result<> place_own(std::string init);
    Result<> place_packages();
    Result<> place_programs();
    Result<> follow();
    Result<> place_alternatives();
    Result<> check_links() const;
    /// `what` names the command in an error.
    Result<> check_command(std::string_view what, const std::string& program) const;
    Assembled finish();

  private:
    [[nodiscard]] bool excluded(const std::string& path) const;
    [[nodiscard]] bool may_be_missing(std::string_view what) const;
    Result<> place(const std::string& path, const Node& node);
    Result<bool> take(const std::vector<std::string>& candidates);
    Result<> need_library(const std::string& name, const ElfNeeds& needs, const std::string& path,
                          const Node& node);
    Result<> need_program(const std::string& program, const std::string& path, const Node& node);
    Result<> missing(std::string_view what, const std::string& path, const Node& node);

    const Recipe& recipe_;
    std::set<std::string, std::less<>> whole_;
    Pool& pool_;
    Tree tree_;
    std::deque<std::string> todo_;  ///< files whose needs were not looked at
    std::vector<std::string> notes_;
};

bool Assembly::excluded(const std::string& path) const {
    return std::ranges::any_of(recipe_.exclude, [&](const std::string& pattern) {
        // `/usr/share/doc/*` stands for all that is below, too.
        const std::string folder =
            pattern.ends_with("/*") ? pattern.substr(0, pattern.size() - 2) : std::string();
        return matches(pattern, path) ||
               (!folder.empty() && !is_pattern(folder) && path != folder && is_within(path, folder));
    });
}

bool Assembly::may_be_missing(std::string_view what) const {
    return std::ranges::find(recipe_.allow_missing, what) != recipe_.allow_missing.end();
}

Result<> Assembly::place(const std::string& path, const Node& node) {
    const Node* there = tree_.find(path);
    if (there != nullptr && there->owner.empty() && !node.owner.empty()) {
        return {};  // the recipe has the last word
    }
    const std::size_t before = tree_.nodes().size();
    std::string real = PV_TRY(tree_.add(path, node));
    if (tree_.nodes().size() != before && node.kind == Node::Kind::file) {
        todo_.push_back(std::move(real));
    }
    return {};
}

Result<bool> Assembly::take(const std::vector<std::string>& candidates) {
    std::vector<std::string> links;
    const std::string real = PV_TRY(pool_.find(candidates, links));
    if (real.empty()) {
        return false;
    }
    links.push_back(real);
    for (const std::string& path : links) {
        PV_TRY(place(path, *pool_.tree().find(path)));
    }
    return true;
}

Result<> Assembly::place_own(std::string init) {
    for (const char* top : {"bin", "sbin", "lib", "lib64"}) {
        PV_TRY(place(fmt::format("/{}", top), symlink(fmt::format("usr/{}", top))));
        PV_TRY(place(fmt::format("/usr/{}", top), directory(0755)));
    }
    for (const auto& [path, mode] : recipe_.directories) {
        PV_TRY(place(path, directory(mode)));
    }
    for (const char* path : {"/dev", "/proc", "/sys", "/run", "/etc"}) {
        PV_TRY(place(path, directory(0755)));
    }
    PV_TRY(place("/tmp", directory(01777)));
    PV_TRY(place("/root", directory(0700)));
    // Linux opens /dev/console for /init before anything is mounted.
    Node device;
    device.kind = Node::Kind::character_device;
    device.mode = 0600;
    device.major = 5;
    device.minor = 1;
    PV_TRY(place("/dev/console", device));
    device.mode = 0666;
    device.major = 1;
    device.minor = 3;
    PV_TRY(place("/dev/null", device));
    PV_TRY(place("/init", file(std::move(init), 0755)));
    PV_TRY(place(PV_IMAGE_RECIPE_START, file(start_records(recipe_start(recipe_)), 0644)));
    for (const auto& [path, own] : recipe_.files) {
        std::string content =
            own.text ? *own.text
                     : PV_TRY(read_regular(own.from, "file", most_bytes, "an image holds at most 2 GiB"));
        PV_TRY(place(path, file(std::move(content), own.mode)));
    }
    for (const auto& [path, target] : recipe_.links) {
        PV_TRY(place(path, symlink(target)));
    }
    return {};
}

Result<> Assembly::place_packages() {
    for (const std::string& name : whole_) {
        for (const auto& [path, node] : *PV_TRY(pool_.members(name))) {
            if (!excluded(path)) {
                PV_TRY(place(path, node));
            }
        }
    }
    return {};
}

Result<> Assembly::place_programs() {
    for (const auto& [package, patterns] : recipe_.programs) {
        const Members& members = *PV_TRY(pool_.members(package));
        for (const std::string& pattern : patterns) {
            bool found = false;
            for (const auto& [path, node] : members) {
                if (matches(pattern, path) || (!is_pattern(pattern) && is_within(path, pattern))) {
                    found = true;
                    static_cast<void>(PV_TRY(take({path})));
                }
            }
            if (!found) {
                return fail(ExitStatus::usage,
                            fmt::format("package {} has no '{}', which recipe '{}' names", package, pattern,
                                        recipe_.name),
                            "`dpkg-deb -c` lists what an archive of the cache has; names may differ between "
                            "releases");
            }
        }
    }
    return {};
}

// A whole package brings programs that not every image needs, and has said what it depends on: what more it
// could use is a note.
Result<> Assembly::missing(std::string_view what, const std::string& path, const Node& node) {
    if (whole_.contains(node.owner) && tree_.resolve(recipe_.command.front()) != path) {
        notes_.push_back(
            fmt::format("{} needs {}, which is in none of the recipe's packages", who(path, node), what));
        return {};
    }
    return fail(
        ExitStatus::usage,
        fmt::format("'{}', which {} needs, is in none of the recipe's packages", what, who(path, node)),
        fmt::format("add the package that has it to `programs`, or \"{}\" to `allow-missing`", what));
}

Result<> Assembly::need_library(const std::string& name, const ElfNeeds& needs, const std::string& path,
                                const Node& node) {
    std::vector<std::string> candidates;
    const auto consider = [&candidates](const std::string& place) {
        if (Result<std::string> normal = image_path(place); normal.has_value()) {
            candidates.push_back(*std::move(normal));
        }
    };
    if (name.find('/') != std::string::npos) {
        consider(name);
    } else {
        for (std::string folder : needs.run_path) {
            for (const std::string_view origin : {"${ORIGIN}", "$ORIGIN"}) {
                if (const std::size_t at = folder.find(origin); at != std::string::npos) {
                    folder.replace(at, origin.size(), parent_of(path));
                }
            }
            // "$ORIGIN/../lib" leads upwards inside the image only.
            const std::string real = pool_.tree().resolve(folder);
            consider((real.empty() ? folder : real) + "/" + name);
        }
        for (const char* folder : library_folders) {
            consider(fmt::format("{}/{}", folder, name));
        }
    }
    for (const std::string& candidate : candidates) {
        if (!tree_.resolve(candidate).empty()) {
            return {};
        }
    }
    if (PV_TRY(take(candidates)) || may_be_missing(name)) {
        return {};
    }
    return missing(name, path, node);
}

Result<> Assembly::need_program(const std::string& program, const std::string& path, const Node& node) {
    const std::string place = PV_TRY(image_path(program));
    if (!tree_.resolve(place).empty() || PV_TRY(take({place})) || may_be_missing(program)) {
        return {};
    }
    return missing(program, path, node);
}

Result<> Assembly::follow() {
    while (!todo_.empty()) {
        const std::string path = std::move(todo_.front());
        todo_.pop_front();
        const Node node = *tree_.find(path);
        const std::optional<ElfNeeds> needs = PV_TRY(read_needs(*node.content, who(path, node)));
        if (needs) {
            if (!needs->interpreter.empty()) {
                PV_TRY(need_program(needs->interpreter, path, node));
            }
            for (const std::string& library : needs->libraries) {
                PV_TRY(need_library(library, *needs, path, node));
            }
        } else if ((node.mode & 0111U) != 0) {
            if (const std::string program = script_interpreter(*node.content); !program.empty()) {
                PV_TRY(need_program(program, path, node));
            }
        }
    }
    return {};
}

// Of those that lead to what is in the image, the ones with the highest priority, where nothing else is.
Result<> Assembly::place_alternatives() {
    std::vector<Offer> offers = pool_.offers();
    std::ranges::sort(offers, std::greater(), [](const Offer& offer) {
        return std::tie(offer.alternative.priority, offer.alternative.path, offer.owner);
    });
    for (const auto& [alternative, owner] : offers) {
        if (!tree_.resolve(alternative.path).empty() && tree_.find(alternative.link) == nullptr &&
            !excluded(alternative.link)) {
            PV_TRY(place(alternative.link, symlink(alternative.path, owner)));
        }
    }
    return {};
}

Result<> Assembly::check_links() const {
    for (const auto& [path, target] : recipe_.links) {
        // Into /proc, /dev and the like it may lead only once the guest runs.
        const bool later = is_within(target, "/proc") || is_within(target, "/dev") ||
                           is_within(target, "/sys") || is_within(target, "/run");
        if (!later && tree_.resolve(path).empty()) {
            return fail(ExitStatus::usage,
                        fmt::format("link '{}' of recipe '{}' leads to '{}', which is not in the image", path,
                                    recipe_.name, target),
                        "name the program it leads to in `programs`");
        }
    }
    return {};
}

Result<> Assembly::check_command(std::string_view what, const std::string& program) const {
    std::vector<std::string> candidates;
    if (program.find('/') != std::string::npos) {
        candidates.push_back(PV_TRY(image_path(program)));
    } else {
        const Start start = recipe_start(recipe_);
        const std::string path = start.environment.at("PATH");
        for (std::size_t begin = 0; begin <= path.size();) {
            const std::size_t end = std::min(path.find(':', begin), path.size());
            if (const auto folder = image_path(path.substr(begin, end - begin)); folder.has_value()) {
                candidates.push_back(*folder + "/" + program);
            }
            begin = end + 1;
        }
    }
    for (const std::string& candidate : candidates) {
        const Node* node = tree_.find(tree_.resolve(candidate));
        if (node != nullptr && node->kind == Node::Kind::file && (node->mode & 0111U) != 0) {
            return {};
        }
    }
    return fail(
        ExitStatus::usage,
        fmt::format("the {} '{}' of recipe '{}' is no program of the image", what, program, recipe_.name),
        "name the program in `programs`, with the package that has it");
}

Assembled Assembly::finish() {
    std::set<std::string> packages;
    for (const auto& [path, node] : tree_.nodes()) {
        if (!node.owner.empty()) {
            packages.insert(node.owner);
        }
    }
    tree_.complete();
    return {std::move(tree_), {packages.begin(), packages.end()}, std::move(notes_)};
}

}  // namespace

Result<Assembled> assemble(const Recipe& recipe, const std::vector<std::string>& whole, Pool& pool,
                           std::string init) {
    Assembly assembly(recipe, whole, pool);
    PV_TRY(assembly.place_own(std::move(init)));
    PV_TRY(assembly.place_packages());
    PV_TRY(assembly.place_programs());
    PV_TRY(assembly.follow());
    PV_TRY(assembly.place_alternatives());
    PV_TRY(assembly.check_links());
    PV_TRY(assembly.check_command("command", recipe.command.front()));
    if (!recipe.session.empty()) {
        PV_TRY(assembly.check_command("session", recipe.session.front()));
    }
    return assembly.finish();
}

}  // namespace pv::images
