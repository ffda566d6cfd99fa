// Understands a domain's description, and writes its copy's.
// SPDX-License-Identifier: MIT
#include "domain/clone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <pugixml.hpp>
#include <string_view>

#include "domain/xml_parts.hpp"

namespace pv::domain {
namespace {

using pugi::xml_node;

template <std::size_t Size>
bool is_one_of(std::string_view word, const std::array<std::string_view, Size>& list) {
    return std::ranges::find(list, word) != list.end();
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) {
    return std::ranges::find(list, word) != list.end();
}

// About the original's place on its host, or its identity: a copy has none of it.
constexpr std::array<std::string_view, 20> host_matters = {
    "uuid",          "title",    "description",    "metadata",         "genid",
    "memoryBacking", "memtune",  "blkiotune",      "cputune",          "numatune",
    "resource",      "seclabel", "perf",           "keywrap",          "on_poweroff",
    "on_reboot",     "on_crash", "on_lockfailure", "qemu:deprecation", "pm"};

// Devices that lead to the host's screens, ports and programs: replaced, or not missed.
constexpr std::array<std::string_view, 9> host_devices = {
    "emulator", "serial", "console", "parallel", "channel", "graphics", "audio", "sound", "redirdev"};

// Devices that a guest may miss.
constexpr std::array<std::string_view, 10> lost_devices = {
    "hostdev", "filesystem", "tpm", "smartcard", "shmem", "vsock", "lease", "nvram", "pstore", "crypto"};

// What makes sense with KVM alone.
constexpr std::array<std::string_view, 5> kvm_features = {"hyperv", "kvm", "pvspinlock", "pmu", "xen"};
constexpr std::array<std::string_view, 3> kvm_timers = {"kvmclock", "hypervclock", "tsc"};

Error not_ours(std::string message, std::string hint) {
    return {ExitStatus::usage, std::move(message), std::move(hint)};
}

template <class Keep>
void remove_children(xml_node parent, Keep&& keep) {
    for (xml_node child = parent.first_child(); child;) {
        const xml_node next = child.next_sibling();
        if (!keep(child)) {
            parent.remove_child(child);
        }
        child = next;
    }
}

// "0x1f", "31".
std::optional<std::uint32_t> number_of(std::string_view text) {
    const bool hexadecimal = text.starts_with("0x");
    text.remove_prefix(hexadecimal ? 2 : 0);
    std::uint32_t value = 0;
    const auto [end, problem] =
        std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
    return problem == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<std::uint32_t> bdf_of(xml_node device) {
    const xml_node address = device.child("address");
    if (std::string_view(address.attribute("type").value()) != "pci") {
        return std::nullopt;
    }
    const auto field = [&](const char* name) { return number_of(address.attribute(name).as_string("0")); };
    const auto segment = field("domain");
    const auto bus = field("bus");
    const auto slot = field("slot");
    const auto function = field("function");
    if (!segment || !bus || !slot || !function || *segment > 0xffff || *bus > 0xff || *slot > 0x1f ||
        *function > 7) {
        return std::nullopt;
    }
    // The n-th bus of a description is the n-th behind a port, as firmware numbers them.
    return *segment << 16 | *bus << 8 | *slot << 3 | *function;
}

std::optional<std::uint64_t> bytes_of(xml_node memory) {
    struct Unit {
        std::string_view name;
        std::uint64_t bytes;
    };

    static constexpr std::array units = {
        Unit{"b", 1},         Unit{"bytes", 1},       Unit{"KB", 1000},
        Unit{"k", 1U << 10U}, Unit{"KiB", 1U << 10U}, Unit{"MB", 1'000'000},
        Unit{"M", 1U << 20U}, Unit{"MiB", 1U << 20U}, Unit{"GB", 1'000'000'000},
        Unit{"G", 1U << 30U}, Unit{"GiB", 1U << 30U}};
    const auto unit =
        std::ranges::find(units, std::string_view(memory.attribute("unit").as_string("KiB")), &Unit::name);
    const std::string_view text = memory.child_value();
    std::uint64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (unit == units.end() || problem != std::errc() || end != text.data() + text.size() || value == 0 ||
        value > (std::uint64_t{1} << 50) / unit->bytes) {
        return std::nullopt;
    }
    return value * unit->bytes;
}

bool holds_a_medium(xml_node disk) {
    return is_one_of(disk.attribute("device").as_string("disk"), {"cdrom", "floppy"});
}

bool is_passed_through(xml_node disk) {
    return std::string_view(disk.attribute("device").value()) == "lun";
}

bool gets_overlay(xml_node disk) {
    return !holds_a_medium(disk) && !is_passed_through(disk);
}

Result<CloneDisk> read_disk(xml_node disk) {
    CloneDisk result;
    result.target = disk.child("target").attribute("dev").value();
    const std::string_view type = disk.attribute("type").value();
    const xml_node source = disk.child("source");
    result.image = source.attribute(type == "block" ? "dev" : "file").value();
    if (type != "file" && type != "block") {
        return std::unexpected(not_ours(
            fmt::format("disk '{}' is of type '{}': nothing can be laid over it", result.target, type),
            "files and block devices can be checked; take the disk out of a copy of the XML, and give "
            "that: --domain ./copy.xml"));
    }
    if (disk.child("encryption") || source.child("encryption")) {
        return std::unexpected(not_ours(fmt::format("disk '{}' is encrypted", result.target),
                                        "its secret stays with libvirt; give a copy of the XML with an image "
                                        "that is not: --domain ./copy.xml"));
    }
    if (!result.image.is_absolute()) {
        return std::unexpected(
            not_ours(fmt::format("disk '{}' has no image with an absolute path", result.target),
                     "libvirt takes no other either: is this a domain's XML?"));
    }
    result.format = disk.child("driver").attribute("type").as_string("raw");
    const std::string_view bus = disk.child("target").attribute("bus").value();
    result.kind = bus == "virtio" ? "virtio-blk" : std::string(bus);
    result.bdf = bdf_of(disk);
    return result;
}

// What the copy does without, in the order of the description.
std::vector<std::string> losses(xml_node domain) {
    std::vector<std::string> lines;
    for (const xml_node device : domain.child("devices").children()) {
        const std::string_view what = device.name();
        if (is_one_of(what, lost_devices) || (what == "disk" && is_passed_through(device))) {
            lines.push_back(fmt::format("its {} is left out", what == "disk" ? "passed-through disk" : what));
        } else if (what == "interface") {
            lines.emplace_back("its network interfaces have no link");
        }
    }
    if (domain.child("qemu:commandline") || domain.child("qemu:override")) {
        lines.emplace_back("its own arguments for QEMU are left out");
    }
    if (domain.child("launchSecurity")) {
        lines.emplace_back("its encrypted memory is plain");
    }
    const auto [first, last] = std::ranges::unique(lines);
    lines.erase(first, last);
    return lines;
}

void rewrite_cpu(xml_node domain) {
    xml_node cpu = domain.child("cpu");
    if (!cpu) {
        cpu = add(domain, "cpu");
    }
    remove_children(cpu, [](xml_node child) { return is_one_of(child.name(), {"topology", "numa"}); });
    while (cpu.first_attribute()) {
        cpu.remove_attribute(cpu.first_attribute());
    }
    set(cpu, "mode", "maximum");
    xml_node count = domain.child("vcpu");
    count.remove_attribute("cpuset");
    count.remove_attribute("placement");
}

void rewrite_features(xml_node domain) {
    xml_node features = domain.child("features");
    remove_children(features, [](xml_node child) { return !is_one_of(child.name(), kvm_features); });
    if (xml_node ioapic = features.child("ioapic")) {
        set(ioapic, "driver", "qemu");
    }
    remove_children(domain.child("clock"), [](xml_node child) {
        return std::string_view(child.name()) != "timer" ||
               !is_one_of(child.attribute("name").value(), kvm_timers);
    });
}

void rewrite_medium(xml_node disk) {
    const bool file = std::string_view(disk.attribute("type").value()) == "file";
    remove_children(disk, [&](xml_node child) {
        return is_one_of(child.name(), {"target", "address", "boot", "serial", "readonly", "driver"}) ||
               (file && std::string_view(child.name()) == "source");
    });
    set(disk, "type", "file");
    if (!disk.child("readonly")) {
        add(disk, "readonly");
    }
}

void rewrite_disk(xml_node disk, const std::filesystem::path& overlay) {
    remove_children(disk, [](xml_node child) {
        return is_one_of(child.name(), {"target", "address", "boot", "serial", "wwn", "vendor", "product",
                                        "readonly", "blockio", "geometry", "driver"});
    });
    set(disk, "type", "file");
    xml_node driver = disk.child("driver");
    if (!driver) {
        driver = add(disk, "driver");
    }
    remove_children(driver, [](xml_node) { return false; });
    for (const char* name : {"cache", "io", "copy_on_read", "rerror_policy", "event_idx", "ioeventfd",
                             "detect_zeroes", "discard_no_unref"}) {
        driver.remove_attribute(name);
    }
    set(driver, "name", "qemu");
    set(driver, "type", "qcow2");
    // The default stops the guest when the host's disk is full, and a stopped guest never ends.
    set(driver, "error_policy", "report");
    set(add(disk, "source"), "file", overlay.string());
}

// A card without a link: a copy of a machine in service must not speak in its name.
void rewrite_interface(xml_node card) {
    remove_children(card, [](xml_node child) {
        return is_one_of(child.name(), {"mac", "model", "address", "boot", "driver", "mtu", "rom"});
    });
    set(card, "type", "user");
    if (xml_node driver = card.child("driver")) {
        driver.remove_attribute("name");  // vhost is the host kernel's
    }
    set(add(card, "link"), "state", "down");
}

void rewrite_devices(xml_node devices, const CloneFiles& files) {
    std::size_t disk = 0;
    remove_children(devices, [](xml_node child) {
        const std::string_view what = child.name();
        return !is_one_of(what, host_devices) && !is_one_of(what, lost_devices) &&
               !(what == "disk" && is_passed_through(child)) &&
               !(what == "memory" && std::string_view(child.attribute("model").value()) != "dimm") &&
               !(what == "input" && is_one_of(child.attribute("type").value(), {"passthrough", "evdev"})) &&
               !(what == "interface" && is_one_of(child.attribute("type").value(), {"hostdev", "vdpa"}));
    });
    for (xml_node device : devices.children()) {
        const std::string_view what = device.name();
        if (what == "disk" && gets_overlay(device)) {
            rewrite_disk(device, files.overlays[disk++]);
        } else if (what == "disk") {
            rewrite_medium(device);
        } else if (what == "interface") {
            rewrite_interface(device);
        } else if (what == "rng") {
            remove_children(device,
                            [](xml_node child) { return std::string_view(child.name()) != "backend"; });
            set(add_text(device, "backend", ""), "model", "builtin");
        } else if (what == "video" &&
                   std::string_view(device.child("model").attribute("type").value()) == "qxl") {
            remove_children(device, [](xml_node) { return false; });
            set(add(device, "model"), "type", "vga");
        }
    }
}

}  // namespace

Result<Clone> read_clone(std::string xml) {
    pugi::xml_document document;
    const pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size());
    const xml_node domain = document.child("domain");
    if (!parsed || !domain) {
        return fail(ExitStatus::usage,
                    parsed ? std::string("no <domain> in the XML")
                           : fmt::format("no XML: {} at byte {}", parsed.description(), parsed.offset),
                    "give what `virsh dumpxml --inactive NAME` prints");
    }
    const xml_node type = domain.child("os").child("type");
    if (!is_one_of(domain.attribute("type").value(), {"kvm", "qemu"}) ||
        std::string_view(type.child_value()) != "hvm" ||
        !is_one_of(type.attribute("arch").as_string("x86_64"), {"x86_64"})) {
        return fail(ExitStatus::usage, "the domain is none of QEMU's for x86-64",
                    "others cannot be watched by paravane's plugin");
    }
    Clone clone;
    clone.original = domain.child_value("name");
    clone.kernel = domain.child("os").child_value("kernel");
    if (const xml_node nvram = domain.child("os").child("nvram")) {
        const std::string plain = nvram.child_value();
        clone.nvram = plain.empty() ? nvram.child("source").attribute("file").value() : plain;
    }
    const auto cpus = number_of(domain.child("vcpu").text().as_string("1"));
    const auto memory = bytes_of(domain.child("memory"));
    if (!cpus || *cpus == 0 || *cpus > 255 || !memory) {
        return fail(ExitStatus::usage, "the domain's memory or processors are no such number",
                    "1 to 255 processors, and <memory unit='KiB'>");
    }
    clone.cpus = *cpus;
    clone.memory = *memory;
    for (const xml_node device : domain.child("devices").children()) {
        const std::string_view what = device.name();
        if (what == "disk" && gets_overlay(device)) {
            clone.disks.push_back(PV_TRY(read_disk(device)));
        } else if (what == "interface") {
            clone.cards.push_back({device.child("model").attribute("type").value(), bdf_of(device)});
        }
    }
    clone.left_out = losses(domain);
    clone.xml = std::move(xml);
    return clone;
}

Result<std::string> clone_xml(const Clone& clone, const CloneFiles& files, const Wiring& wiring) {
    std::vector<std::string> texts = {files.name, files.nvram.string()};
    for (const std::filesystem::path& overlay : files.overlays) {
        texts.push_back(overlay.string());
    }
    PV_TRY(refuse_unwritable(texts, wiring));
    pugi::xml_document document;
    document.load_string(clone.xml.c_str());
    xml_node domain = document.child("domain");
    remove_children(domain, [](xml_node child) {
        return child.type() == pugi::node_element && !is_one_of(child.name(), host_matters) &&
               !is_one_of(child.name(), {"qemu:commandline", "qemu:override", "qemu:capabilities",
                                         "launchSecurity", "bootloader", "bootloader_args"});
    });
    domain.remove_attribute("id");
    set(domain, "type", "qemu");
    set(domain, "xmlns:qemu", qemu_namespace);
    domain.child("name").text().set(files.name.c_str());
    add_memory_backing(domain);
    end_on_events(domain);
    rewrite_cpu(domain);
    rewrite_features(domain);
    if (xml_node nvram = domain.child("os").child("nvram")) {
        remove_children(nvram, [](xml_node) { return false; });
        nvram.remove_attribute("type");
        if (files.nvram.empty()) {
            domain.child("os").remove_child(nvram);
        } else {
            nvram.text().set(files.nvram.c_str());
        }
    }
    xml_node devices = domain.child("devices");
    rewrite_devices(devices, files);
    if (!wiring.emulator.empty()) {
        devices.prepend_child("emulator").text().set(absolute_text(wiring.emulator).c_str());
    }
    add_serial(devices, wiring.console);
    Arguments arguments(domain);
    add_watching(arguments, wiring);
    return to_text(document);
}

}  // namespace pv::domain
