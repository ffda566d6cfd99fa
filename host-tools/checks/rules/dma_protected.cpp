// dma-protected: what a device writes never reaches memory that the guest declared to be protected from it.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "checks/findings.hpp"
#include "checks/limits.hpp"
#include "checks/model/range_map.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/access.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

constexpr unsigned page_shift = 12;
constexpr std::uint64_t page_mask = (std::uint64_t{1} << page_shift) - 1;
/// VT-d 4.1, section 9.8: bit 1 of a second-stage entry allows writes.
constexpr std::uint64_t entry_write = 2;
/// VIRTIO 1.2, section 5.13.6.5: VIRTIO_IOMMU_MAP_F_WRITE.
constexpr std::uint64_t map_write = 2;

class DmaProtected final : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) override {
        switch (event.kind) {
            case Kind::marker_hello:
                protected_ = {};  // a guest that began again declares everything anew
                break;
            case Kind::marker_memory_protect:
                protect(event);
                break;
            case Kind::marker_memory_unprotect:
                protected_.clear(trace::get<Kind::marker_memory_unprotect, "physical">(event),
                                 trace::get<Kind::marker_memory_unprotect, "length">(event));
                break;
            case Kind::iommu_device_translated:
                translate(static_cast<Bdf>(trace::get<Kind::iommu_device_translated, "bdf">(event)),
                          trace::get<Kind::iommu_device_translated, "on">(event) != 0);
                break;
            case Kind::iommu_cached:
                cached(event);
                break;
            case Kind::iommu_translation: {
                const auto bdf = static_cast<Bdf>(trace::get<Kind::iommu_translation, "bdf">(event));
                const std::uint64_t iova = trace::get<Kind::iommu_translation, "iova">(event);
                const std::uint64_t mask = trace::get<Kind::iommu_translation, "mask">(event);
                translated(event, bdf, iova,
                           {trace::get<Kind::iommu_translation, "address">(event), mask | page_mask},
                           [&] { return writable_.contains(key(bdf, iova)); });
                break;
            }
            case Kind::viommu_attach:
                attach(event);
                break;
            case Kind::viommu_map:
                viommu_map(event);
                break;
            case Kind::viommu_unmap: {
                const std::uint64_t first = trace::get<Kind::viommu_unmap, "first">(event);
                const auto domain = domains_.find(trace::get<Kind::viommu_unmap, "domain">(event));
                if (domain != domains_.end()) {
                    domain->second.clear(first,
                                         length_of(first, trace::get<Kind::viommu_unmap, "last">(event)));
                }
                break;
            }
            case Kind::viommu_translation: {
                const auto bdf = static_cast<Bdf>(trace::get<Kind::viommu_translation, "stream">(event));
                const std::uint64_t iova = trace::get<Kind::viommu_translation, "iova">(event);
                const std::uint64_t address = trace::get<Kind::viommu_translation, "address">(event);
                translated(event, bdf, iova, {address, page_mask}, [&] {
                    const auto attached = domain_of_.find(bdf);
                    const auto domain =
                        attached == domain_of_.end() ? domains_.end() : domains_.find(attached->second);
                    return domain != domains_.end() && domain->second.find(iova).value != nullptr;
                });
                break;
            }
            default:
                break;
        }
    }

    /// A device behind an IOMMU is judged by where its unit let it.
    void on_transfer(const Transfer& transfer) override {
        if (!transfer.device_writes || !promised() ||
            transfer.at.sequence < world().guest().hello().sequence || is_translated(transfer.bdf)) {
            return;
        }
        ++judged_;
        const auto found = protected_.find(transfer.address, transfer.length);
        if (found.value != nullptr) {
            Draft draft = shared_draft(transfer, found.begin, found.last);
            draft.title += fmt::format(", which is {}", what(found.value->kind));
            add(std::move(draft), *found.value);
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (std::string why = missing(PV_FEATURE_PROTECTION, "protected memory"); !why.empty()) {
            return {0, std::move(why)};
        }
        if (declared_ == 0) {
            return {0, "the guest declared no memory to be protected"};
        }
        if (judged_ == 0) {
            return {0, "no device wrote memory after the guest's hello"};
        }
        return {judged_, dropped_ == 0 ? std::string()
                                       : fmt::format("{} were too many to follow",
                                                     counted(dropped_, "ranges and translations"))};
    }

  private:
    struct Protected {
        std::uint64_t kind = 0;  ///< pv_protection
        Place declared;
    };

    static std::uint64_t key(Bdf bdf, std::uint64_t iova) {
        return std::uint64_t{bdf} << 44 ^ iova >> page_shift;  // VT-d: 16 bits of device, 45 of page
    }

    /// Of first..last, as far as 64 bits hold it.
    static std::uint64_t length_of(std::uint64_t first, std::uint64_t last) {
        return last < first                                                ? 0
               : last - first == std::numeric_limits<std::uint64_t>::max() ? last - first
                                                                           : last - first + 1;
    }

    static std::string_view what(std::uint64_t kind) {
        switch (kind) {
            case PV_PROTECT_CODE:
                return "code or constants";
            case PV_PROTECT_TABLE:
                return "a page table";
            case PV_PROTECT_PRIVATE:
                return "private to its owner";
            default:
                return "protected";
        }
    }

    [[nodiscard]] bool promised() const { return world().guest().promises(PV_FEATURE_PROTECTION); }

    [[nodiscard]] bool is_translated(Bdf bdf) const {
        // Whose an access was is not always known: then any unit at all may have translated it.
        return bdf == no_device ? !translated_.empty() : translated_.contains(bdf);
    }

    void translate(Bdf bdf, bool on) {
        if (!on) {
            translated_.erase(bdf);
        } else if (translated_.size() < limits().devices) {
            translated_.insert(bdf);
        }
    }

    void protect(const trace::Event& event) {
        if (!promised()) {
            return;
        }
        const std::uint64_t physical = trace::get<Kind::marker_memory_protect, "physical">(event);
        const std::uint64_t length = trace::get<Kind::marker_memory_protect, "length">(event);
        if (protected_.size() + 2 > limits().open_objects) {
            ++dropped_;
            return;
        }
        ++declared_;
        const Protected range{trace::get<Kind::marker_memory_protect, "kind">(event), place_of(event)};
        protected_.set(physical, length, range);
        // What a device is still to write there: its memory was given to somebody else too early.
        world().ledger().in_flight_of_any(physical, length, [&](const Transfer& transfer) {
            if (transfer.device_writes && !transfer.doubtful && !is_translated(transfer.bdf)) {
                Draft draft =
                    shared_draft(transfer, physical, RangeMap<Protected>::last_byte(physical, length));
                draft.at = range.declared;
                draft.title = fmt::format("{} was still to write {} at bus address {:#x} when it became {}",
                                          world().devices().name(transfer.bdf),
                                          counted(*draft.length, "bytes"), *draft.address, what(range.kind));
                add(std::move(draft), range);
            }
            return true;
        });
    }

    /// About the bytes of a transfer that lie in first..last.
    [[nodiscard]] Draft shared_draft(const Transfer& transfer, std::uint64_t first,
                                     std::uint64_t last) const {
        const std::uint64_t begin = std::max(first, transfer.address);
        const std::uint64_t end =
            std::min(last, RangeMap<Protected>::last_byte(transfer.address, transfer.length));
        return access_draft(world(), transfer, begin, end - begin + 1);
    }

    void cached(const trace::Event& event) {
        const auto bdf = static_cast<Bdf>(trace::get<Kind::iommu_cached, "bdf">(event));
        const std::uint64_t page = key(bdf, trace::get<Kind::iommu_cached, "iova">(event));
        if ((trace::get<Kind::iommu_cached, "entry">(event) & entry_write) == 0) {
            writable_.erase(page);
        } else if (writable_.size() < limits().open_objects) {
            writable_.insert(page);
        } else {
            ++dropped_;
        }
    }

    void attach(const trace::Event& event) {
        const auto bdf = static_cast<Bdf>(trace::get<Kind::viommu_attach, "endpoint">(event));
        translate(bdf, true);
        if (domain_of_.size() < limits().devices || domain_of_.contains(bdf)) {
            domain_of_[bdf] = trace::get<Kind::viommu_attach, "domain">(event);
        }
    }

    void viommu_map(const trace::Event& event) {
        const std::uint64_t id = trace::get<Kind::viommu_map, "domain">(event);
        if (!domains_.contains(id) && domains_.size() >= limits().devices) {
            ++dropped_;
            return;
        }
        RangeMap<bool>& domain = domains_[id];
        const std::uint64_t first = trace::get<Kind::viommu_map, "first">(event);
        const std::uint64_t length = length_of(first, trace::get<Kind::viommu_map, "last">(event));
        if ((trace::get<Kind::viommu_map, "flags">(event) & map_write) == 0) {
            domain.clear(first, length);
        } else if (domain.size() + 2 <= limits().ended_mappings) {
            domain.set(first, length, true);
        } else {
            ++dropped_;
        }
    }

    /// The page around a physical address.
    struct Page {
        std::uint64_t address;
        std::uint64_t mask;  ///< its size - 1
    };

    /// A unit let a device through to `page`; `may_write` tells whether it may write there.
    template <class MayWrite>
    void translated(const trace::Event& event, Bdf bdf, std::uint64_t iova, const Page& page,
                    MayWrite&& may_write) {
        translate(bdf, true);
        if (!promised() || !may_write()) {
            return;
        }
        ++judged_;
        const std::uint64_t begin = page.address & ~page.mask;
        const auto found = protected_.find(begin, page.mask + 1);
        if (found.value == nullptr) {
            return;
        }
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = bdf;
        draft.address = iova;
        draft.length = page.mask + 1;
        draft.title = fmt::format(
            "{}: the IOMMU lets it write at bus address {:#x}, which leads to {:#x}, and that is {}",
            world().devices().name(bdf), iova, begin, what(found.value->kind));
        draft.lines.push_back(
            fmt::format("access: {}, {}", world().devices().long_name(bdf), where(world(), draft.at)));
        draft.events.push_back({event.sequence, "access"});
        draft.part_of = fmt::format("{}/{}", bdf, found.value->declared.sequence);
        add(std::move(draft), *found.value);
    }

    void add(Draft draft, const Protected& range) {
        draft.lines.push_back(fmt::format("protected: {}", where(world(), range.declared)));
        draft.events.push_back({range.declared.sequence, "protected"});
        draft.cause = fmt::format("{}/{}/{:x}", draft.bdf, range.kind, range.declared.pc);
        report(std::move(draft));
    }

    RangeMap<Protected> protected_;                     ///< by physical address
    std::unordered_set<Bdf> translated_;                ///< devices behind an IOMMU
    std::unordered_set<std::uint64_t> writable_;        ///< pages that VT-d keeps for writing, by key()
    std::unordered_map<Bdf, std::uint64_t> domain_of_;  ///< virtio-iommu: a device's domain
    std::unordered_map<std::uint64_t, RangeMap<bool>> domains_;  ///< what may be written there
    std::uint64_t judged_ = 0;
    std::uint64_t declared_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace

RuleInfo dma_protected_rule() {
    return {.name = "dma-protected",
            .summary = "What a device writes never reaches code, page tables or private memory",
            .severity = store::Severity::error,
            .evidence = "E V M",
            .unit = "accesses",
            .needs_markers = true,
            .create = make_rule<DmaProtected>};
}

}  // namespace pv::checks
