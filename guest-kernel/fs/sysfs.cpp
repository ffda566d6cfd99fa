// sysfs: processors and the machine's name.
// SPDX-License-Identifier: MIT
#include "fs/sysfs.hpp"

#include <linux/magic.h>

#include "arch/processor.hpp"
#include "fs/static_tree.hpp"

namespace pv::fs {
namespace {

Outcome<> write_range(Text& text, unsigned count) {
    text.append("0");
    if (count > 1) {
        text.add("-{}", count - 1);
    }
    text.append("\n");
    return {};
}

Outcome<> write_online(Text& text) {
    return write_range(text, arch::cpu_count());
}

Outcome<> write_last_possible(Text& text) {
    text.add("{}\n", arch::cpus_max - 1);
    return {};
}

Outcome<> write_newline(Text& text) {
    text.append("\n");
    return {};
}

Outcome<> write_one_node(Text& text) {
    return write_range(text, 1);
}

constexpr StaticEntry cpu_entries[] = {
    {"online", write_online},   {"possible", write_online},          {"present", write_online},
    {"offline", write_newline}, {"kernel_max", write_last_possible},
};

constexpr StaticEntry node_entries[] = {
    {"online", write_one_node},
    {"possible", write_one_node},
};

constexpr StaticEntry system_entries[] = {
    {"cpu", nullptr, cpu_entries, 0555},
    {"node", nullptr, node_entries, 0555},
};

constexpr StaticEntry device_entries[] = {
    {"system", nullptr, system_entries, 0555},
};

constexpr StaticEntry entries[] = {
    {"devices", nullptr, device_entries, 0555},
};

class Root final : public StaticDirectory {
  public:
    explicit Root(std::uint64_t device)
        : StaticDirectory({.device = device, .number = 1, .mode = 0555, .magic = SYSFS_MAGIC}, entries) {}
};

}  // namespace

Outcome<Ref<Node>> create_sysfs() {
    return Ref<Node>(PV_TRY(make_synthetic<Root>(next_anonymous_device())));
}

}  // namespace pv::fs
