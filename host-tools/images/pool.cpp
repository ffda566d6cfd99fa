// The packages' files.
// SPDX-License-Identifier: MIT
#include "images/pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "images/paths.hpp"

namespace pv::images {

Pool::Pool(std::vector<PackageFile> packages, const Work& work) : work_(&work) {
    for (PackageFile& package : packages) {
        std::string name = package.name;
        if (packages_.try_emplace(name, std::move(package)).second) {
            unread_.push_back(std::move(name));
        }
    }
    std::ranges::sort(unread_, [this](const std::string& one, const std::string& other) {
        return std::tuple(packages_.at(one).size, one) > std::tuple(packages_.at(other).size, other);
    });
    for (const char* top : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
        // The merged layout; nothing is there yet that it could be in conflict with.
        std::ignore = tree_.add(fmt::format("/{}", top), symlink(fmt::format("usr/{}", top)));
    }
}

Result<> Pool::read(const std::string& name) {
    if (work_->cancelled()) {
        return std::unexpected(Work::given_up());
    }
    work_->tell(fmt::format("reading package {}", name));
    std::erase(unread_, name);
    Members members = PV_TRY(read_deb(packages_.at(name).archive, name, budget_));
    for (const auto& [path, node] : members) {
        if (links_.erase(path) != 0) {
            tree_.remove(path);  // what a package has comes first
        }
        PV_TRY(tree_.add(path, node));
    }
    read_.try_emplace(name, std::move(members));
    const std::string script = PV_TRY(read_postinst(packages_.at(name).archive, name));
    for (const Alternative& alternative : read_alternatives(script)) {
        offer(alternative, name);
    }
    return {};
}

void Pool::offer(const Alternative& alternative, const std::string& owner) {
    const Result<std::string> link = image_path(alternative.link, true);
    const Result<std::string> path = image_path(alternative.path, true);
    if (!link.has_value() || !path.has_value() || tree_.resolve(*path).empty()) {
        return;
    }
    offers_.push_back({{*link, *path, alternative.priority}, owner});
    const auto before = links_.find(*link);
    if (before == links_.end() ? tree_.find(*link) != nullptr : before->second >= alternative.priority) {
        return;
    }
    tree_.remove(*link);
    if (tree_.add(*link, symlink(*path, owner)).has_value()) {
        links_.insert_or_assign(*link, alternative.priority);
    }
}

Result<const Members*> Pool::members(const std::string& package) {
    if (!packages_.contains(package)) {
        return fail(ExitStatus::usage, fmt::format("package {} is not among those at hand", package), "");
    }
    if (!read_.contains(package)) {
        PV_TRY(read(package));
    }
    return &read_.at(package);
}

Result<std::string> Pool::find(std::span<const std::string> paths, std::vector<std::string>& links) {
    for (;;) {
        for (const std::string& path : paths) {
            links.clear();
            std::string real = tree_.resolve(path, &links);
            if (!real.empty() && tree_.find(real) != nullptr) {
                return real;
            }
        }
        links.clear();
        if (unread_.empty()) {
            return std::string();
        }
        const std::string next = unread_.back();
        PV_TRY(read(next));
    }
}

const PackageFile* Pool::owner(std::string_view path) const {
    const Node* node = tree_.find(path);
    const auto found = node == nullptr ? packages_.end() : packages_.find(node->owner);
    return found == packages_.end() ? nullptr : &found->second;
}

}  // namespace pv::images
