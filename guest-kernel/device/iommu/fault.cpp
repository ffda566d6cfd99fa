// What an IOMMU refused, in words.
// SPDX-License-Identifier: MIT
#include "device/iommu/fault.hpp"

namespace pv::iommu {

std::string_view vtd_reason(std::uint8_t reason) {
    switch (reason) {
        case 0x1:
            return "its bus has no root entry";
        case 0x2:
            return "it has no domain";
        case 0x3:
            return "its context entry is invalid";
        case 0x4:
            return "beyond its domain's addresses";
        case 0x5:
            return "not mapped for writing";
        case 0x6:
            return "not mapped for reading";
        case 0x7:
            return "a table could not be read";
        case 0x8:
            return "the root table could not be read";
        case 0x9:
            return "the context table could not be read";
        case 0xa:
            return "reserved bits in its root entry";
        case 0xb:
            return "reserved bits in its context entry";
        case 0xc:
            return "reserved bits in a paging entry";
        case 0xd:
            return "a request of a kind its context entry does not allow";
        case 0x20:
            return "reserved bits in the interrupt request";
        case 0x21:
            return "beyond the interrupt table";
        case 0x22:
            return "no such interrupt entry";
        case 0x23:
            return "the interrupt table could not be read";
        case 0x24:
            return "reserved bits in the interrupt entry";
        case 0x25:
            return "an interrupt in compatibility format";
        case 0x26:
            return "an interrupt entry of another device";
        default:
            return "unknown reason";
    }
}

}  // namespace pv::iommu
