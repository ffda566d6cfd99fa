// A watched copy of a domain that is there already: what of its description is kept, changed, left out.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "domain/xml.hpp"

namespace pv::domain {

/// A disk of the original, which the copy sees through an overlay of its own.
struct CloneDisk {
    std::string target;           ///< as the domain calls it: vda
    std::filesystem::path image;  ///< of the original; absolute
    std::string format;           ///< raw, qcow2, ...
    std::string kind;             ///< as in the trace's table `device`: virtio-blk, nvme; else its bus: sata
    std::optional<std::uint32_t> bdf;  ///< where the description says it (abi/paravane/marker.h, DEVICES)
};

/// A network interface of the original. The copy's has no link.
struct CloneCard {
    std::string model;  ///< virtio, e1000e, ...
    std::optional<std::uint32_t> bdf;
};

struct Clone {
    std::string original;  ///< its name
    std::string xml;       ///< its description
    unsigned cpus = 1;
    std::uint64_t memory = 0;      ///< bytes
    std::filesystem::path kernel;  ///< booted directly; empty: from a disk
    std::filesystem::path nvram;   ///< UEFI variables that are there; empty: none
    std::vector<CloneDisk> disks;  ///< not optical, not floppy
    std::vector<CloneCard> cards;
    std::vector<std::string> left_out;  ///< what the copy does without, a line for people each
};

/// Understands a domain's description (libvirt.org/formatdomain). Hostile text gives an error. Errors: usage:
/// no domain for x86-64 QEMU; a disk of which no copy-on-write overlay can be made.
Result<Clone> read_clone(std::string xml);

/// What a copy has of its own.
struct CloneFiles {
    std::string name;
    std::vector<std::filesystem::path> overlays;  ///< one a disk, qcow2
    std::filesystem::path nvram;                  ///< empty: none
};

/// The copy's XML: translated by QEMU (TCG) with every processor feature it has, reaching no network, no
/// device and no file of the host's but those it is given, ended when it powers off or reboots; wired to the
/// tool. Errors: usage: a string that XML 1.0 cannot carry.
Result<std::string> clone_xml(const Clone& clone, const CloneFiles& files, const Wiring& wiring);

/// Makes `overlay` (qcow2) over the disk's image, which is only read from then on. Errors: usage: the image
/// is in use, cannot be read or is not of its format; unavailable: no qemu-img, no space.
Result<> make_overlay(const CloneDisk& disk, const std::filesystem::path& overlay);

/// A domain's description: of the file `name`, if it has a slash in it or ends with ".xml", else of the
/// domain called so at the libvirt connection `uri`, with volumes of storage pools as the files they are.
/// `notes` gets lines for people. Errors: usage: no such file or domain, the domain is running; unavailable:
/// no connection.
Result<std::string> read_definition(const std::string& name, const std::string& uri,
                                    std::vector<std::string>& notes);

}  // namespace pv::domain
