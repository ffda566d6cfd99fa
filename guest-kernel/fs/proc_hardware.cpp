// What /proc says of processors, interrupts and the boot: cpuinfo, interrupts, cmdline.
// SPDX-License-Identifier: MIT
#include <cpuid.h>

#include <algorithm>
#include <cstring>

#include "boot/options.hpp"
#include "fs/proc_tree.hpp"
#include "interrupt/vector.hpp"

namespace pv::fs::proc {
namespace {

struct Leaf {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

Leaf leaf_of(unsigned number) {
    Leaf leaf;
    // A leaf the processor does not have is all zeros.
    static_cast<void>(__get_cpuid_count(number, 0, &leaf.a, &leaf.b, &leaf.c, &leaf.d));
    return leaf;
}

/// Interrupts that a processor has without any device, by the names Linux gives them.
struct OwnInterrupt {
    std::string_view name;
    std::uint64_t ProcessorFacts::* count;
    std::string_view words;
};

constexpr std::array own_interrupts{
    OwnInterrupt{"LOC", &ProcessorFacts::timer, "Local timer interrupts"},
    OwnInterrupt{"RES", &ProcessorFacts::calls, "Rescheduling interrupts"},
    OwnInterrupt{"TLB", &ProcessorFacts::shootdowns, "TLB shootdowns"},
};

/// A bit of CPUID by the name Linux gives it (arch/x86's cpufeatures.h).
struct Feature {
    std::uint8_t bit;
    std::string_view name;
};

// Leaf 1, EDX and ECX.
constexpr Feature features_d[] = {{0, "fpu"},  {1, "vme"},    {2, "de"},       {3, "pse"},  {4, "tsc"},
                                  {5, "msr"},  {6, "pae"},    {7, "mce"},      {8, "cx8"},  {9, "apic"},
                                  {11, "sep"}, {12, "mtrr"},  {13, "pge"},     {14, "mca"}, {15, "cmov"},
                                  {16, "pat"}, {17, "pse36"}, {19, "clflush"}, {23, "mmx"}, {24, "fxsr"},
                                  {25, "sse"}, {26, "sse2"},  {28, "ht"}};
constexpr Feature features_c[] = {{0, "pni"},    {1, "pclmulqdq"}, {9, "ssse3"},   {12, "fma"},
                                  {13, "cx16"},  {19, "sse4_1"},   {20, "sse4_2"}, {21, "x2apic"},
                                  {22, "movbe"}, {23, "popcnt"},   {25, "aes"},    {26, "xsave"},
                                  {28, "avx"},   {29, "f16c"},     {30, "rdrand"}, {31, "hypervisor"}};
// Leaf 0x80000001, EDX and ECX.
constexpr Feature more_features_d[] = {{11, "syscall"}, {20, "nx"},     {22, "mmxext"}, {25, "fxsr_opt"},
                                       {26, "pdpe1gb"}, {27, "rdtscp"}, {29, "lm"}};
constexpr Feature more_features_c[] = {
    {0, "lahf_lm"}, {5, "abm"}, {6, "sse4a"}, {7, "misalignsse"}, {8, "3dnowprefetch"}};
// Leaf 7, EBX, ECX and EDX; what needs registers that the kernel does not keep (AVX-512, AMX, keys) is left
// out.
constexpr Feature late_features_b[] = {{0, "fsgsbase"}, {3, "bmi1"},        {5, "avx2"},    {7, "smep"},
                                       {8, "bmi2"},     {9, "erms"},        {18, "rdseed"}, {19, "adx"},
                                       {20, "smap"},    {23, "clflushopt"}, {24, "clwb"},   {29, "sha_ni"}};
constexpr Feature late_features_c[] = {
    {2, "umip"}, {8, "gfni"}, {9, "vaes"}, {10, "vpclmulqdq"}, {22, "rdpid"}};
constexpr Feature late_features_d[] = {{4, "fsrm"}};

void add_features(Text& text, unsigned word, std::span<const Feature> features) {
    for (const Feature& feature : features) {
        if ((word >> feature.bit & 1) != 0) {
            text.add("{} ", feature.name);
        }
    }
}

// The name in leaves 0x80000002 to 0x80000004, without the blanks around it.
void add_model_name(Text& text) {
    std::array<char, 48> room{};
    for (unsigned i = 0; i < 3; ++i) {
        const Leaf leaf = leaf_of(0x8000'0002 + i);
        std::memcpy(room.data() + i * sizeof leaf, &leaf, sizeof leaf);
    }
    std::string_view name(room.data(), room.size());
    name = name.substr(0, name.find('\0'));
    name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
    text.append(name);
}

}  // namespace

Outcome<> write_processors(Text& text) {
    const Leaf vendor = leaf_of(0);
    const Leaf signature = leaf_of(1);
    const Leaf late = leaf_of(7);
    const Leaf more = leaf_of(0x8000'0001);
    const Leaf sizes = leaf_of(0x8000'0008);
    std::array<char, 12> vendor_name;
    std::memcpy(vendor_name.data(), &vendor.b, 4);
    std::memcpy(vendor_name.data() + 4, &vendor.d, 4);
    std::memcpy(vendor_name.data() + 8, &vendor.c, 4);
    // Intel SDM vol. 2A, CPUID, "Version Information".
    unsigned family = signature.a >> 8 & 0xf;
    const unsigned model = (signature.a >> 4 & 0xf) | (family >= 6 ? signature.a >> 12 & 0xf0 : 0);
    family += family == 15 ? signature.a >> 20 & 0xff : 0;
    const unsigned count = process_view().processors();
    for (unsigned i = 0; i < count; ++i) {
        text.add("processor\t: {}\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: ", i,
                 std::string_view(vendor_name.data(), vendor_name.size()), family, model);
        add_model_name(text);
        text.add("\nstepping\t: {}\nphysical id\t: 0\nsiblings\t: {}\ncore id\t\t: {}\ncpu cores\t: {}\n",
                 signature.a & 0xf, count, i, count);
        text.add("fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: {}\nwp\t\t: yes\nflags\t\t: ", vendor.a);
        add_features(text, signature.d, features_d);
        add_features(text, more.d, more_features_d);
        add_features(text, signature.c, features_c);
        add_features(text, more.c, more_features_c);
        add_features(text, late.b, late_features_b);
        add_features(text, late.c, late_features_c);
        add_features(text, late.d, late_features_d);
        text.add("\nclflush size\t: {}\naddress sizes\t: {} bits physical, {} bits virtual\n\n",
                 (signature.b >> 8 & 0xff) * 8, sizes.a & 0xff, sizes.a >> 8 & 0xff);
    }
    return {};
}

std::uint64_t interrupts_so_far() {
    std::uint64_t all = interrupt::spurious_count();
    interrupt::for_each_vector([&](const interrupt::VectorFacts& vector) { all += vector.count; });
    for (const OwnInterrupt& kind : own_interrupts) {
        for (unsigned i = 0; i < process_view().processors(); ++i) {
            all += process_view().processor(i).*kind.count;
        }
    }
    return all;
}

Outcome<> write_interrupts(Text& text) {
    const unsigned count = process_view().processors();
    text.append("    ");
    for (unsigned i = 0; i < count; ++i) {
        std::array<char, 12> name;
        text.add(" {:>10}", format::to(name, "CPU{}", i));
    }
    text.append("\n");
    interrupt::for_each_vector([&](const interrupt::VectorFacts& vector) {
        text.add("{:>3}:", vector.number);
        for (unsigned i = 0; i < count; ++i) {
            text.add(" {:>10}", i == vector.cpu ? vector.count : 0);
        }
        text.add("  MSI  {}\n", vector.name);
    });
    for (const OwnInterrupt& kind : own_interrupts) {
        text.add("{}:", kind.name);
        for (unsigned i = 0; i < count; ++i) {
            text.add(" {:>10}", process_view().processor(i).*kind.count);
        }
        text.add("  {}\n", kind.words);
    }
    text.add("ERR: {:>10}\n", interrupt::spurious_count());
    return {};
}

Outcome<> write_kernel_command_line(Text& text) {
    text.add("{}\n", boot::command_line().text());
    return {};
}

}  // namespace pv::fs::proc
