// The tree of files.
// SPDX-License-Identifier: MIT
#include "images/tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "images/paths.hpp"

namespace pv::images {
namespace {

constexpr std::size_t most_links = 40;  // as path_resolution(7) has it

std::string owner_of(const Node& node) {
    return node.owner.empty() ? "the recipe" : fmt::format("package {}", node.owner);
}

bool same(const Node& one, const Node& other) {
    if (one.kind != other.kind) {
        return false;
    }
    switch (one.kind) {
        case Node::Kind::directory:
            return true;
        case Node::Kind::file:
            return one.content == other.content || *one.content == *other.content;
        case Node::Kind::symlink:
            return one.target == other.target;
        case Node::Kind::character_device:
            return one.major == other.major && one.minor == other.minor;
    }
    return false;
}

void push_front(std::deque<std::string>& todo, std::string_view path) {
    std::vector<std::string> components;
    for (std::size_t begin = 0; begin < path.size();) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        components.emplace_back(path.substr(begin, end - begin));
        begin = end + 1;
    }
    todo.insert(todo.begin(), components.begin(), components.end());
}

}  // namespace

Node directory(unsigned mode, std::string owner) {
    Node node;
    node.mode = mode;
    node.owner = std::move(owner);
    return node;
}

Node file(std::string content, unsigned mode, std::string owner) {
    Node node;
    node.kind = Node::Kind::file;
    node.mode = mode;
    node.content = std::make_shared<const std::string>(std::move(content));
    node.owner = std::move(owner);
    return node;
}

Node symlink(std::string target, std::string owner) {
    Node node;
    node.kind = Node::Kind::symlink;
    node.mode = 0777;
    node.target = std::move(target);
    node.owner = std::move(owner);
    return node;
}

Result<std::string> Tree::add(const std::string& path, Node node) {
    std::string place = path;
    // Up to the nearest folder that is there; what is missing below it comes with complete().
    for (std::string_view folder = parent_of(path); folder != "/"; folder = parent_of(folder)) {
        const Node* there = find(folder);
        if (there == nullptr) {
            continue;
        }
        const std::string real = resolve(folder);
        const Node* end = real == "/" ? nullptr : find(real);
        if (real.empty() || (end != nullptr && end->kind != Node::Kind::directory)) {
            return fail(ExitStatus::usage,
                        fmt::format("'{}' of {} cannot be placed: '{}' of {} is no folder", path,
                                    owner_of(node), folder, owner_of(*there)),
                        "one of the two has to go: name fewer packages, or `exclude` one of the paths");
        }
        place = (real == "/" ? "" : real) + path.substr(folder.size());
        break;
    }
    const auto [where, fresh] = nodes_.try_emplace(place, node);
    if (!fresh && !same(where->second, node)) {
        return fail(ExitStatus::usage,
                    fmt::format("'{}' is in {} and, different, in {}", place, owner_of(where->second),
                                owner_of(node)),
                    "one of the two has to go: name fewer packages, or `exclude` the path");
    }
    return place;
}

void Tree::remove(std::string_view path) {
    if (const auto found = nodes_.find(path); found != nodes_.end()) {
        nodes_.erase(found);
    }
}

std::string Tree::resolve(std::string_view path, std::vector<std::string>* links) const {
    std::deque<std::string> todo;
    push_front(todo, path);
    std::string here;
    std::size_t followed = 0;
    while (!todo.empty()) {
        const std::string component = std::move(todo.front());
        todo.pop_front();
        if (component.empty() || component == ".") {
            continue;
        }
        if (component == "..") {
            here.resize(std::min(here.rfind('/'), here.size()));
            continue;
        }
        const std::string next = here + "/" + component;
        const Node* node = find(next);
        if (node == nullptr) {
            // Packages need not have an entry for each folder.
            const auto below = nodes_.lower_bound(next + "/");
            if (below == nodes_.end() || !below->first.starts_with(next + "/")) {
                return {};
            }
        } else if (node->kind == Node::Kind::symlink) {
            if (++followed > most_links) {
                return {};
            }
            if (links != nullptr) {
                links->push_back(next);
            }
            push_front(todo, node->target);
            if (node->target.starts_with('/')) {
                here.clear();
            }
            continue;
        } else if (node->kind != Node::Kind::directory && !todo.empty()) {
            return {};
        }
        here = next;
    }
    return here.empty() ? "/" : here;
}

const Node* Tree::find(std::string_view path) const {
    const auto found = nodes_.find(path);
    return found == nodes_.end() ? nullptr : &found->second;
}

void Tree::complete() {
    std::vector<std::string> missing;
    for (const auto& [path, node] : nodes_) {
        for (std::string_view folder = parent_of(path); folder != "/" && !nodes_.contains(folder);
             folder = parent_of(folder)) {
            missing.emplace_back(folder);
        }
    }
    for (const std::string& folder : missing) {
        nodes_.try_emplace(folder, directory(0755));
    }
}

std::uint64_t Tree::bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [path, node] : nodes_) {
        sum += node.content == nullptr ? 0 : node.content->size();
    }
    return sum;
}

}  // namespace pv::images
