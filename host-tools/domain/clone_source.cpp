// Where a domain's description comes from, and the overlays of its disks.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <libvirt/libvirt.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <pugixml.hpp>

#include "domain/clone.hpp"
#include "domain/connection.hpp"
#include "domain/installation.hpp"
#include "domain/program.hpp"
#include "domain/xml_parts.hpp"

namespace pv::domain {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::size_t largest_description = std::size_t{4} << 20;

struct FreeDomain {
    void operator()(virDomainPtr domain) const { ::virDomainFree(domain); }
};

struct FreePool {
    void operator()(virStoragePoolPtr pool) const { ::virStoragePoolFree(pool); }
};

struct FreeVolume {
    void operator()(virStorageVolPtr volume) const { ::virStorageVolFree(volume); }
};

// Strings that libvirt allocated.
struct FreeText {
    void operator()(char* text) const {
        std::free(text);  // NOLINT(cppcoreguidelines-no-malloc): libvirt's, by its documentation
    }
};

using Domain = std::unique_ptr<virDomain, FreeDomain>;
using Text = std::unique_ptr<char, FreeText>;

Result<std::string> read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    if (file) {
        text.resize(largest_description + 1);
        file.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(file.gcount()));
    }
    if (file.bad() || (!file && !file.eof()) || text.empty() || text.size() > largest_description) {
        return fail(
            ExitStatus::usage,
            fmt::format("'{}' {}", path.string(),
                        text.size() > largest_description ? "is too long for a domain's description"
                                                          : "cannot be read"),
            "--domain takes the name of a domain, or a file of what `virsh dumpxml --inactive` prints");
    }
    return text;
}

Result<std::string> path_of_volume(virConnectPtr connection, const std::string& pool_name,
                                   const std::string& volume_name) {
    const std::unique_ptr<virStoragePool, FreePool> pool(
        ::virStoragePoolLookupByName(connection, pool_name.c_str()));
    const std::unique_ptr<virStorageVol, FreeVolume> volume(
        pool ? ::virStorageVolLookupByName(pool.get(), volume_name.c_str()) : nullptr);
    const Text path(volume ? ::virStorageVolGetPath(volume.get()) : nullptr);
    if (path == nullptr) {
        return fail(ExitStatus::usage,
                    fmt::format("volume '{}' of pool '{}': {}", volume_name, pool_name, last_libvirt_error()),
                    "is the pool started? virsh pool-list --all");
    }
    return std::string(path.get());
}

// Disks of storage pools become the files they are.
Result<std::string> resolve_volumes(virConnectPtr connection, const std::string& xml) {
    pugi::xml_document document;
    if (!document.load_buffer(xml.data(), xml.size())) {
        return xml;  // whoever reads it says what is wrong
    }
    for (pugi::xml_node disk : document.child("domain").child("devices").children("disk")) {
        pugi::xml_node source = disk.child("source");
        if (std::string_view(disk.attribute("type").value()) != "volume") {
            continue;
        }
        const std::string path = PV_TRY(
            path_of_volume(connection, source.attribute("pool").value(), source.attribute("volume").value()));
        const bool block = fs::is_block_file(path);
        set(disk, "type", block ? "block" : "file");
        set(source, block ? "dev" : "file", path);
    }
    return to_text(document);
}

}  // namespace

Result<std::string> read_definition(const std::string& name, const std::string& uri,
                                    std::vector<std::string>& notes) {
    if (name.find('/') != std::string::npos || name.ends_with(".xml")) {
        return read_file(name);
    }
    const std::unique_ptr<Connection> connection = PV_TRY(Connection::open(uri));
    const Domain domain(::virDomainLookupByName(connection->get(), name.c_str()));
    if (domain == nullptr) {
        return fail(ExitStatus::usage, fmt::format("'{}' at {}: {}", name, uri, last_libvirt_error()),
                    fmt::format("virsh -c {} list --all names them; --connect chooses another libvirt", uri));
    }
    if (::virDomainIsActive(domain.get()) == 1) {
        return fail(ExitStatus::usage,
                    fmt::format("'{}' is running: its disks change underneath a copy", name),
                    fmt::format("shut it down first: virsh -c {} shutdown {}", uri, name));
    }
    if (::virDomainHasManagedSaveImage(domain.get(), 0) == 1) {
        notes.emplace_back("its saved memory is left out: the copy boots as after a loss of power");
    }
    const Text xml(::virDomainGetXMLDesc(domain.get(), VIR_DOMAIN_XML_INACTIVE));
    if (xml == nullptr) {
        return fail(ExitStatus::unavailable,
                    fmt::format("libvirt does not describe '{}': {}", name, last_libvirt_error()),
                    "are you allowed to read it?");
    }
    return resolve_volumes(connection->get(), xml.get());
}

Result<> make_overlay(const CloneDisk& disk, const fs::path& overlay) {
    const fs::path program = PV_TRY(find_program("qemu-img", "qemu-utils"));
    const ProgramOutput output = run_program({program.string(), "create", "-q", "-f", "qcow2", "-F",
                                              disk.format, "-b", disk.image.string(), overlay.string()});
    if (output.status == 0) {
        return {};
    }
    const bool busy = output.text.find("\"write\" lock") != std::string::npos;
    return fail(
        ExitStatus::usage,
        busy ? fmt::format("disk '{}' is in use: {}", disk.target, disk.image.string())
             : fmt::format("nothing can be laid over disk '{}': {}", disk.target,
                           output.text.substr(0, output.text.find('\n'))),
        busy ? "shut down the virtual machine that has it open, or give a copy of the XML with another "
               "image"
             : "the image has to be there, readable and of the format that the domain says");
}

}  // namespace pv::domain
