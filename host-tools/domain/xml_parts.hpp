// Parts of domains' XML that more than one writer needs; for this folder only.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>
#include <span>
#include <string>

#include "base/error.hpp"
#include "domain/xml.hpp"

namespace pv::domain {

pugi::xml_node add(pugi::xml_node parent, const char* name);
pugi::xml_node add_text(pugi::xml_node parent, const char* name, const std::string& text);
/// Adds the attribute, or changes it.
void set(pugi::xml_node node, const char* name, const std::string& value);

std::string absolute_text(const std::filesystem::path& path);

/// QEMU's own arguments, in order.
class Arguments {
  public:
    explicit Arguments(pugi::xml_node domain) : node_(add(domain, "qemu:commandline")) {}

    void add_pair(const std::string& option, const std::string& value);

    void add_pair(const std::string& option, const nlohmann::json& value) { add_pair(option, value.dump()); }

  private:
    pugi::xml_node node_;
};

inline constexpr const char* qemu_namespace = "http://libvirt.org/schemas/domain/qemu/1.0";

/// The guest's memory, as a file of its own that others may map.
void add_memory_backing(pugi::xml_node domain);
/// What ends a run: no event of the guest's starts it again.
void end_on_events(pugi::xml_node domain);
/// The first serial port, at the tool's socket; none when it has none.
void add_serial(pugi::xml_node devices, const std::filesystem::path& socket);
/// Monitor, log, trace events and plugin.
void add_watching(Arguments& arguments, const Wiring& wiring);

/// Error, usage: one of `texts` is nothing XML 1.0 carries, or a path of the wiring has a comma, which QEMU's
/// options divide by.
Result<> refuse_unwritable(std::span<const std::string> texts, const Wiring& wiring);

std::string to_text(const pugi::xml_document& document);

}  // namespace pv::domain
