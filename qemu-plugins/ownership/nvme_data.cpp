// Where a command's data lie: PRP entries and lists, SGL descriptors and segments.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>

#include "ownership/nvme.hpp"

namespace pv::ownership {
namespace {

/// NVMe 2.0, 4.1.2: an SGL descriptor.
struct Segment {
    std::uint64_t address;
    std::uint32_t length;
    std::array<std::uint8_t, 3> unused;
    std::uint8_t type;  ///< in the upper four bits
};

static_assert(sizeof(Segment) == 16);

enum : std::uint8_t { data_block = 0, bit_bucket = 1, segment = 2, last_segment = 3 };

/// What is followed of one command: more than any has, and an end to lists in a circle.
constexpr std::size_t most_lists = 256;
constexpr std::size_t most_segments = 65'536;

}  // namespace

void Nvme::own_data(std::uint32_t command, const Entry& entry, std::uint64_t length, BufferRole role) {
    // 4.1: how the data pointer is to be understood.
    constexpr unsigned prp = 0;
    if (entry.flags >> 6 == prp) {
        own_pages(command, entry, length, role);
    } else {
        own_segments(command, entry, role);
    }
}

void Nvme::own_pages(std::uint32_t command, const Entry& entry, std::uint64_t length, BufferRole role) {
    const std::uint64_t first = std::min(length, page_ - entry.pointer1 % page_);
    length -= first;
    if (!tracker().own(command, route(), entry.pointer1, first, role) || length == 0) {
        return;
    }
    if (length <= page_) {
        static_cast<void>(tracker().own(command, route(), entry.pointer2, length, role));
    } else {
        own_list(command, entry.pointer2, length, role);
    }
}

void Nvme::own_list(std::uint32_t command, std::uint64_t list, std::uint64_t length, BufferRole role) {
    const BusMemory from = memory();
    for (std::size_t lists = 0; length != 0 && lists < most_lists; ++lists) {
        const std::uint64_t pages = (length + page_ - 1) / page_;
        const std::uint64_t room = (page_ - list % page_) / 8;
        const std::uint64_t entries = std::min(pages, room);
        if (!tracker().own(command, route(), list, entries * 8, BufferRole::list)) {
            return;
        }
        // The last entry of a full page leads to the next list, unless it is the last of all.
        const bool goes_on = pages > room;
        for (std::uint64_t i = 0; i < entries - (goes_on ? 1 : 0); ++i) {
            const auto page = from.value<std::uint64_t>(list + 8 * i);
            if (!page) {
                tracker().skip();
                return;
            }
            const std::uint64_t part = std::min(length, page_);
            if (!tracker().own(command, route(), *page, part, role)) {
                return;
            }
            length -= part;
        }
        const auto next = goes_on ? from.value<std::uint64_t>(list + 8 * (entries - 1)) : std::nullopt;
        if (!next) {
            return;
        }
        list = *next;
    }
}

void Nvme::own_segments(std::uint32_t command, const Entry& entry, BufferRole role) {
    const BusMemory from = memory();
    Segment leads{entry.pointer1,
                  static_cast<std::uint32_t>(entry.pointer2),
                  {},
                  static_cast<std::uint8_t>(entry.pointer2 >> 56)};
    std::size_t left = most_segments;
    for (std::size_t lists = 0; lists < most_lists; ++lists) {
        const unsigned type = leads.type >> 4;
        if (type == data_block) {
            static_cast<void>(tracker().own(command, route(), leads.address, leads.length, role));
            return;
        }
        if (type != segment && type != last_segment) {
            return;
        }
        if (!tracker().own(command, route(), leads.address, leads.length, BufferRole::list)) {
            return;
        }
        const std::uint64_t here = leads.address;
        const auto count = static_cast<std::uint32_t>(leads.length / sizeof(Segment));
        bool goes_on = false;
        for (std::uint32_t i = 0; i < count && left != 0; ++i, --left) {
            const auto one = from.value<Segment>(here + std::uint64_t{i} * sizeof(Segment));
            if (!one) {
                tracker().skip();
                return;
            }
            const unsigned kind = one->type >> 4;
            if (kind == data_block) {
                if (!tracker().own(command, route(), one->address, one->length, role)) {
                    return;
                }
            } else if (kind == segment || kind == last_segment) {
                leads = *one;
                goes_on = true;
                break;
            } else if (kind != bit_bucket) {
                return;
            }
        }
        if (!goes_on) {
            return;
        }
    }
}

}  // namespace pv::ownership
