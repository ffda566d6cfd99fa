// From the RSDP to every table this kernel knows.
// SPDX-License-Identifier: MIT
#include "acpi/tables.hpp"

#include <array>
#include <string_view>

#include "acpi/entries.hpp"
#include "acpi/spec.hpp"
#include "base/log.hpp"

namespace pv::acpi {
namespace {

constexpr std::uint64_t table_max = 16ULL << 20;  // a DSDT of a large machine is some hundred KiB

bool sums_to_zero(std::span<const std::byte> bytes) {
    unsigned sum = 0;
    for (const std::byte b : bytes) {
        sum += std::to_integer<unsigned>(b);
    }
    return (sum & 0xff) == 0;
}

/// A mapped piece of physical memory, let go of at the end.
class Mapped {
  public:
    static Result<Mapped> map(Memory& memory, PhysicalAddress address, std::uint64_t length) {
        return Mapped(memory, PV_TRY(memory.map(address, length)));
    }

    Mapped(Mapped&& other) noexcept : memory_(other.memory_), bytes_(std::exchange(other.bytes_, {})) {}

    Mapped& operator=(Mapped&&) = delete;

    ~Mapped() {
        if (bytes_.data() != nullptr) {
            memory_.release(bytes_);
        }
    }

    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

  private:
    Mapped(Memory& memory, std::span<const std::byte> bytes) : memory_(memory), bytes_(bytes) {}

    Memory& memory_;
    std::span<const std::byte> bytes_;
};

// A signature for a log line: whatever bytes are there, the log makes them harmless.
std::string_view name_of(const spec::Signature& signature) {
    return {signature.data(), signature.size()};
}

class Parser {
  public:
    explicit Parser(Memory& memory) : memory_(memory) {}

    Result<Tables> parse(PhysicalAddress rsdp) {
        PV_TRY(read_root(rsdp));
        return std::move(tables_);
    }

  private:
    struct Root {
        PhysicalAddress address{};
        std::size_t entry_size = 0;
    };

    Result<Root> find_root(PhysicalAddress rsdp) {
        const auto mapped = Mapped::map(memory_, rsdp, sizeof(spec::Rsdp));
        if (!mapped) {
            return fail(mapped.error() == Error::out_of_memory ? Error::out_of_memory : Error::not_found);
        }
        const auto base = *read_at<spec::Rsdp>(mapped->bytes(), 0);
        if (std::string_view(base.signature.data(), base.signature.size()) != "RSD PTR ") {
            return fail(Error::not_found);
        }
        if (!sums_to_zero(mapped->bytes())) {
            log::error("ACPI: the RSDP at {} has a wrong checksum", rsdp);
            return fail(Error::corrupt);
        }
        if (base.revision >= 2) {
            const auto extended = Mapped::map(memory_, rsdp, sizeof(spec::RsdpExtended));
            if (extended && sums_to_zero(extended->bytes())) {
                const auto e = *read_at<spec::RsdpExtended>(extended->bytes(), 0);
                if (e.xsdt != 0) {
                    return Root{PhysicalAddress(e.xsdt), sizeof(le64)};
                }
            } else {
                log::warning("ACPI: the extended part of the RSDP cannot be trusted; using the RSDT");
            }
        }
        return Root{PhysicalAddress(base.rsdt), sizeof(le32)};
    }

    // A whole table, checked; nothing (and a line on the log) when it cannot be trusted.
    Result<std::optional<Mapped>> table_at(PhysicalAddress address) {
        const auto refuse = [&](std::string_view why) -> Result<std::optional<Mapped>> {
            ++tables_.refused;
            log::error("ACPI: the table at {} {}", address, why);
            return std::nullopt;
        };
        std::uint64_t length = 0;
        {
            const auto head = Mapped::map(memory_, address, sizeof(spec::Header));
            if (!head) {
                return head.error() == Error::out_of_memory
                           ? Result<std::optional<Mapped>>(fail(head.error()))
                           : refuse("is not in readable memory");
            }
            length = read_at<spec::Header>(head->bytes(), 0)->length;
        }
        if (length < sizeof(spec::Header) || length > table_max) {
            return refuse("has an impossible length");
        }
        auto whole = Mapped::map(memory_, address, length);
        if (!whole) {
            return whole.error() == Error::out_of_memory ? Result<std::optional<Mapped>>(fail(whole.error()))
                                                         : refuse("does not lie in readable memory entirely");
        }
        if (!sums_to_zero(whole->bytes())) {
            return refuse("has a wrong checksum");
        }
        return std::optional<Mapped>(std::move(*whole));
    }

    Result<> read_root(PhysicalAddress rsdp) {
        const Root root = PV_TRY(find_root(rsdp));
        const std::optional<Mapped> table = PV_TRY(table_at(root.address));
        if (!table) {
            return fail(Error::corrupt);
        }
        const std::span<const std::byte> bytes = table->bytes();
        const std::string_view wanted = root.entry_size == sizeof(le64) ? "XSDT" : "RSDT";
        if (name_of(read_at<spec::Header>(bytes, 0)->signature) != wanted) {
            log::error("ACPI: the root table at {} is no {}", root.address, wanted);
            return fail(Error::corrupt);
        }
        for (std::size_t offset = sizeof(spec::Header); offset + root.entry_size <= bytes.size();
             offset += root.entry_size) {
            const std::uint64_t at = root.entry_size == sizeof(le64) ? read_at<le64>(bytes, offset)->get()
                                                                     : read_at<le32>(bytes, offset)->get();
            PV_TRY(read_table(PhysicalAddress(at)));
        }
        return {};
    }

    Result<> read_table(PhysicalAddress address) {
        const std::optional<Mapped> table = PV_TRY(table_at(address));
        if (!table) {
            return {};
        }
        const auto header = *read_at<spec::Header>(table->bytes(), 0);
        const std::string_view name = name_of(header.signature);
        constexpr std::array<std::string_view, 5> known{"APIC", "MCFG", "FACP", "DMAR", "VIOT"};
        for (std::size_t i = 0; i < known.size(); ++i) {
            if (name == known[i] && (seen_ & 1U << i) != 0) {
                ++tables_.refused;
                log::error("ACPI: a second {}, left out", name);
                return {};
            }
            seen_ |= name == known[i] ? 1U << i : 0;
        }
        if (name == "APIC") {
            return read_madt(table->bytes(), tables_);
        }
        if (name == "MCFG") {
            return read_mcfg(table->bytes(), tables_);
        }
        if (name == "DMAR") {
            return read_dmar(table->bytes(), tables_);
        }
        if (name == "VIOT") {
            return read_viot(table->bytes(), tables_);
        }
        if (name == "FACP") {
            const PhysicalAddress dsdt = read_fadt(table->bytes(), tables_);
            if (dsdt.value() != 0) {
                const std::optional<Mapped> code = PV_TRY(table_at(dsdt));
                if (code) {
                    read_dsdt(code->bytes(), *tables_.fixed);
                }
            }
        }
        return {};
    }

    Memory& memory_;
    Tables tables_;
    unsigned seen_ = 0;
};

}  // namespace

Result<Tables> parse(PhysicalAddress rsdp, Memory& memory) {
    return Parser(memory).parse(rsdp);
}

}  // namespace pv::acpi
