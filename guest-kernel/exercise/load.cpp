// A load keeps its requests in a ring, oldest first: the next one is begun where the oldest has just ended.
// SPDX-License-Identifier: MIT
#include "exercise/load.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/log.hpp"
#include "base/vector.hpp"
#include "boot/options.hpp"
#include "device/dma/pages.hpp"

namespace pv::exercise {
namespace {

using namespace literals;

constexpr Duration deadline = 10_s;
constexpr std::uint64_t most_depth = 256;
constexpr std::uint64_t largest_request = std::uint64_t{16} << 20;

struct Shape {
    std::uint64_t disk = 0;
    bool writes = false;
    bool random = true;
    std::uint64_t size = 4096;
    std::uint64_t depth = 1;
    std::uint64_t commands = 10'000;
};

bool choose(std::string_view value, std::string_view yes, std::string_view no, bool& into) {
    into = value == yes;
    return into || value == no;
}

bool number(Result<std::uint64_t> parsed, std::uint64_t least, std::uint64_t most, std::uint64_t& into) {
    into = parsed ? *parsed : 0;
    return parsed && into >= least && into <= most;
}

Result<Shape> parse(std::string_view text) {
    Shape shape;
    bool good = true;
    boot::for_each_item(text, [&](std::string_view key, std::string_view value) {
        const bool known = key == "disk"        ? number(boot::parse_number(value), 0, 255, shape.disk)
                           : key == "operation" ? choose(value, "write", "read", shape.writes)
                           : key == "pattern"   ? choose(value, "random", "sequential", shape.random)
                           : key == "size" ? number(boot::parse_size(value), 512, largest_request, shape.size)
                           : key == "depth" ? number(boot::parse_number(value), 1, most_depth, shape.depth)
                           : key == "commands"
                               ? number(boot::parse_number(value), 1, std::uint64_t{1} << 40, shape.commands)
                               : false;
        if (!known) {
            log::error(
                "load: '{}:{}': expected disk:0-255, operation:read|write, pattern:random|sequential, "
                "size:512-16M, depth:1-256, commands:1-2^40",
                key, value);
            good = false;
        }
    });
    return good ? Result<Shape>{shape} : fail(Error::invalid_argument);
}

class Load {
  public:
    Load(block::Device& disk, const Shape& shape) : disk_{disk}, shape_{shape} {}

    Result<> run() {
        const block::Geometry& geometry = disk_.geometry();
        blocks_ = shape_.size / geometry.block_size;
        places_ = blocks_ == 0 ? 0 : geometry.blocks / blocks_;
        if (shape_.size % geometry.block_size != 0 || places_ == 0) {
            log::error("load: {}: {} bytes are not whole blocks of it, or more than it has", disk_.name(),
                       shape_.size);
            return fail(Error::out_of_range);
        }
        // One stretch of pages a request under way: a device that is late must not write into another's.
        for (std::uint64_t i = 0; i < shape_.depth; ++i) {
            dma::Pages pages = PV_TRY(dma::Pages::allocate_in_place(shape_.size));
            PV_TRY(pages_.push_back(std::move(pages)));
            PV_TRY(under_way_.push_back(block::Ticket{}));
        }
        next_ = shape_.random ? 88'172'645'463'325'252 : 0;
        const Instant begun = now();
        const Result<> result =
            shape_.depth == 1 || blocks_ > geometry.command_blocks ? one_at_a_time() : many_at_a_time();
        const Duration spent = now() - begun;
        if (!result) {
            log::error("load: {}: a request failed: {}", disk_.name(), to_string(result.error()));
            return result;
        }
        log::info("load: operations {} nanoseconds {}", shape_.commands, spent.to_nanoseconds());
        return {};
    }

  private:
    Result<> one_at_a_time() {
        const block::Extent extent{pages_[0], 0, shape_.size};
        for (std::uint64_t i = 0; i < shape_.commands; ++i) {
            const Deadline by = Deadline::after(deadline);
            PV_TRY(shape_.writes ? disk_.write(place(), extent, by) : disk_.read(place(), extent, by));
        }
        return {};
    }

    Result<> many_at_a_time() {
        const auto operation = shape_.writes ? marker::Operation::write : marker::Operation::read;
        std::uint64_t ended = 0;
        Result<> result;
        for (std::uint64_t begun = 0; ended < shape_.commands;) {
            if (result && begun < shape_.commands && begun - ended < shape_.depth) {
                const std::size_t slot = begun % shape_.depth;
                const bool last = begun + 1 == shape_.commands || begun + 1 - ended == shape_.depth;
                const auto ticket = disk_.begin(operation, place(), {pages_[slot], 0, shape_.size},
                                                Deadline::after(deadline), !last);
                if (ticket) {
                    under_way_[slot] = *ticket;
                    ++begun;
                    continue;
                }
                if (ticket.error() != Error::busy || begun == ended) {
                    result = fail(ticket.error());
                }
            }
            if (begun == ended) {
                return result;
            }
            // All that ended are taken before others are begun, which then need one doorbell.
            do {
                const Result<> one = disk_.end(under_way_[ended++ % shape_.depth]);
                result = result ? one : result;
            } while (ended < begun && disk_.has_ended(under_way_[ended % shape_.depth]));
        }
        return result;
    }

    /// First block of the next request; xorshift64* where it is random.
    std::uint64_t place() {
        if (!shape_.random) {
            return blocks_ * (next_++ % places_);
        }
        next_ ^= next_ >> 12;
        next_ ^= next_ << 25;
        next_ ^= next_ >> 27;
        return blocks_ * ((next_ * 0x2545f4914f6cdd1dULL >> 33) % places_);
    }

    block::Device& disk_;
    Shape shape_;
    std::uint64_t blocks_ = 0;  ///< of a request
    std::uint64_t places_ = 0;  ///< requests the disk has room for
    std::uint64_t next_ = 0;    ///< sequential: the next place; random: the generator's state, never 0
    Vector<dma::Pages> pages_;
    Vector<block::Ticket> under_way_;
};

}  // namespace

Result<> load(Disks& disks, std::string_view text) {
    const Shape shape = PV_TRY(parse(text));
    block::Device* chosen = nullptr;
    std::uint64_t number = 0;
    disks.for_each([&](block::Device& disk) {
        if (number++ == shape.disk) {
            chosen = &disk;
        }
    });
    if (chosen == nullptr) {
        log::error("load: there is no disk {}", shape.disk);
        return fail(Error::out_of_range);
    }
    return Load{*chosen, shape}.run();
}

}  // namespace pv::exercise
