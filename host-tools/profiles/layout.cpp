// libbpf reads the type information.
// SPDX-License-Identifier: MIT
#include "profiles/layout.hpp"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <optional>

namespace pv::profiles {
namespace {

constexpr int deepest = 8;  // parts within parts that have no name

/// Bits from the beginning of `type` to `member`; nothing when it has none of this name.
std::optional<std::uint64_t> bits_to(const btf* types, const btf_type* type, std::string_view member,
                                     int depth) {
    if (type == nullptr || !btf_is_composite(type) || depth > deepest) {
        return std::nullopt;
    }
    for (__u32 i = 0; i < btf_vlen(type); ++i) {
        const btf_member& one = btf_members(type)[i];
        const char* name = btf__name_by_offset(types, one.name_off);
        const std::uint64_t begin = btf_member_bit_offset(type, i);
        if (name != nullptr && name == member) {
            return begin;
        }
        if (name == nullptr || *name == '\0') {
            if (const auto within = bits_to(types, btf__type_by_id(types, one.type), member, depth + 1)) {
                return begin + *within;
            }
        }
    }
    return std::nullopt;
}

}  // namespace

void Layout::End::operator()(btf* types) const {
    btf__free(types);
}

Result<Layout> Layout::read(std::string_view data) {
    libbpf_set_print(nullptr);  // its complaints go to standard error otherwise
    btf* types = data.empty() ? nullptr : btf__new(data.data(), static_cast<__u32>(data.size()));
    if (types == nullptr) {
        return fail(ExitStatus::usage, "the kernel carries no type information",
                    "build it with CONFIG_DEBUG_INFO_BTF=y, as Debian's are");
    }
    return Layout(types);
}

Result<std::uint64_t> Layout::offset(const std::string& structure, std::string_view member) const {
    const int id = btf__find_by_name_kind(types_.get(), structure.c_str(), BTF_KIND_STRUCT);
    const auto bits =
        id < 0 ? std::nullopt
               : bits_to(types_.get(), btf__type_by_id(types_.get(), static_cast<__u32>(id)), member, 0);
    if (!bits || *bits % 8 != 0) {
        return fail(ExitStatus::usage,
                    fmt::format("the kernel has no member '{}' of struct {}", member, structure),
                    "the profile is for another version of Linux");
    }
    return *bits / 8;
}

Result<std::uint64_t> Layout::enumerator(const std::string& enumeration, std::string_view name) const {
    const int id = btf__find_by_name_kind(types_.get(), enumeration.c_str(), BTF_KIND_ENUM);
    const btf_type* type = id < 0 ? nullptr : btf__type_by_id(types_.get(), static_cast<__u32>(id));
    for (__u32 i = 0; type != nullptr && i < btf_vlen(type); ++i) {
        const struct btf_enum& one = ::btf_enum(type)[i];  // a function has the same name
        const char* text = btf__name_by_offset(types_.get(), one.name_off);
        if (text != nullptr && text == name) {
            return static_cast<std::uint64_t>(one.val);
        }
    }
    return fail(ExitStatus::usage, fmt::format("the kernel has no '{}' of enum {}", name, enumeration),
                "the profile is for another version of Linux");
}

Result<std::uint64_t> Layout::size(const std::string& structure) const {
    const int id = btf__find_by_name_kind(types_.get(), structure.c_str(), BTF_KIND_STRUCT);
    if (id < 0) {
        return fail(ExitStatus::usage, fmt::format("the kernel has no struct {}", structure),
                    "the profile is for another version of Linux");
    }
    return btf__type_by_id(types_.get(), static_cast<__u32>(id))->size;
}

}  // namespace pv::profiles
