// Parts of domains' XML that more than one writer needs.
// SPDX-License-Identifier: MIT
#include "domain/xml_parts.hpp"

#include <fmt/format.h>

#include <sstream>
#include <string_view>
#include <vector>

namespace pv::domain {
namespace {

using nlohmann::json;
using pugi::xml_node;

// XML 1.0 has no way to write most control characters, and libvirt takes UTF-8 only.
bool carried_by_xml(std::string_view text) {
    try {
        [[maybe_unused]] const std::string checked = json(std::string(text)).dump();
    } catch (const json::exception&) {
        return false;
    }
    for (const char letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') {
            return false;
        }
    }
    return true;
}

}  // namespace

xml_node add(xml_node parent, const char* name) {
    return parent.append_child(name);
}

xml_node add_text(xml_node parent, const char* name, const std::string& text) {
    xml_node node = parent.append_child(name);
    node.text().set(text.c_str());
    return node;
}

void set(xml_node node, const char* name, const std::string& value) {
    pugi::xml_attribute attribute = node.attribute(name);
    (attribute ? attribute : node.append_attribute(name)).set_value(value.c_str());
}

std::string absolute_text(const std::filesystem::path& path) {
    return std::filesystem::absolute(path).string();
}

void Arguments::add_pair(const std::string& option, const std::string& value) {
    set(add(node_, "qemu:arg"), "value", option);
    set(add(node_, "qemu:arg"), "value", value);
}

void add_memory_backing(xml_node domain) {
    xml_node backing = add(domain, "memoryBacking");
    set(add(backing, "source"), "type", "memfd");
    set(add(backing, "access"), "mode", "shared");
}

void end_on_events(xml_node domain) {
    for (const char* event : {"on_poweroff", "on_reboot", "on_crash"}) {
        add_text(domain, event, "destroy");
    }
}

void add_serial(xml_node devices, const std::filesystem::path& socket) {
    if (socket.empty()) {
        return;
    }
    xml_node serial = add(devices, "serial");
    set(serial, "type", "unix");
    xml_node source = add(serial, "source");
    set(source, "mode", "connect");
    set(source, "path", absolute_text(socket));
    set(add(serial, "target"), "port", "0");
}

void add_watching(Arguments& arguments, const Wiring& wiring) {
    if (!wiring.monitor.empty()) {
        arguments.add_pair("-chardev", fmt::format("socket,id=pv-monitor,server=off,path={}",
                                                   absolute_text(wiring.monitor)));
        arguments.add_pair("-mon", std::string("chardev=pv-monitor,mode=control"));
    }
    if (!wiring.log.empty()) {
        arguments.add_pair("-d", wiring.log_items);
        arguments.add_pair("-D", absolute_text(wiring.log));
    }
    if (!wiring.trace_events.empty()) {
        arguments.add_pair("-trace", "events=" + absolute_text(wiring.trace_events));
    }
    if (!wiring.plugin.empty()) {
        std::string value = "file=" + absolute_text(wiring.plugin);
        for (const std::string& option : wiring.plugin_options) {
            value += "," + option;
        }
        arguments.add_pair("-plugin", value);
    }
}

Result<> refuse_unwritable(std::span<const std::string> texts, const Wiring& wiring) {
    std::vector<std::string> all(texts.begin(), texts.end());
    for (const std::filesystem::path& path :
         {wiring.emulator, wiring.console, wiring.log, wiring.trace_events, wiring.plugin}) {
        all.push_back(path.string());
    }
    for (const std::string& text : all) {
        if (!carried_by_xml(text)) {
            return fail(ExitStatus::usage, fmt::format("'{}' cannot be written into a domain's XML", text),
                        "use names without control characters, in UTF-8");
        }
    }
    // -D, -trace, -plugin and -chardev have no JSON form.
    for (const std::filesystem::path& path :
         {wiring.monitor, wiring.log, wiring.trace_events, wiring.plugin}) {
        if (path.string().find(',') != std::string::npos) {
            return fail(
                ExitStatus::usage, fmt::format("'{}' has a comma in its path", path.string()),
                "QEMU cannot take it: use a folder without commas (TMPDIR, or where paravane is installed)");
        }
    }
    return {};
}

std::string to_text(const pugi::xml_document& document) {
    std::ostringstream text;
    document.save(text, "  ", pugi::format_default | pugi::format_no_declaration);
    return text.str();
}

}  // namespace pv::domain
