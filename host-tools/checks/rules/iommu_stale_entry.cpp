// iommu-stale-entry: what the IOMMU cached of a mapping is invalidated before the memory serves something
// else.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

constexpr std::uint64_t page_shift = 12;

class IommuStaleEntry final : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) override {
        switch (event.kind) {
            case Kind::iommu_cached:
                ++cached_events_;
                cache(event);
                break;
            case Kind::iommu_invalidate_pages: {
                const std::uint64_t order = trace::get<Kind::iommu_invalidate_pages, "order">(event);
                const std::uint64_t page =
                    trace::get<Kind::iommu_invalidate_pages, "iova">(event) >> page_shift;
                const std::uint64_t pages = order < 52 ? std::uint64_t{1} << order : ~std::uint64_t{0};
                drop(trace::get<Kind::iommu_invalidate_pages, "domain">(event), page & ~(pages - 1), pages);
                break;
            }
            case Kind::iommu_invalidate_domain:
                drop(trace::get<Kind::iommu_invalidate_domain, "domain">(event), 0, ~std::uint64_t{0});
                break;
            case Kind::iommu_invalidate_all:
            case Kind::iommu_cache_dropped:
                cached_.clear();
                pending_ = 0;
                break;
            case Kind::iommu_translation:
                used(event);
                break;
            default:
                break;
        }
    }

    void on_unmap(const Mapping& mapping) override {
        ++unmapped_;
        if (mapping.length == 0) {
            return;
        }
        const std::uint64_t last = (mapping.bus + (mapping.length - 1)) >> page_shift;
        for (auto at = cached_.lower_bound(Key{mapping.bdf, mapping.bus >> page_shift, 0});
             at != cached_.end() && std::get<0>(at->first) == mapping.bdf && std::get<1>(at->first) <= last;
             ++at) {
            if (!at->second.ended()) {
                ++pending_;
            }
            at->second.unmapped = mapping;
        }
    }

    void on_map(const Mapping& mapping) override {
        if (pending_ == 0 || !mapping.is_at_known_frames()) {
            return;
        }
        // The same frames again, wherever: the old entry still leads to them.
        for (auto& [key, entry] : cached_) {
            if (!entry.ended() || entry.told || !entry.unmapped.is_at_known_frames()) {
                continue;
            }
            const Mapping& earlier = entry.unmapped;
            if (mapping.physical < earlier.physical + earlier.length &&
                earlier.physical < mapping.physical + mapping.length) {
                add(entry, mapping.mapped, "its memory was given out again");
            }
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (cached_events_ == 0) {
            return {0, "no IOMMU kept a translation (VT-d only: --iommu intel)", true};
        }
        if (std::string why = missing(PV_FEATURE_DMA, "mappings"); !why.empty()) {
            return {0, std::move(why)};
        }
        return {unmapped_, dropped_ == 0 ? "" : "more translations were cached than are followed"};
    }

  private:
    using Key = std::tuple<Bdf, std::uint64_t, std::uint64_t>;  // device, page, domain

    struct Entry {
        Bdf bdf = no_device;
        Place cached;
        Mapping unmapped;  ///< that it was kept of, once that ended
        bool told = false;

        [[nodiscard]] bool ended() const { return static_cast<bool>(unmapped.unmapped); }
    };

    void cache(const trace::Event& event) {
        if (cached_.size() >= limits().open_objects) {
            ++dropped_;
            return;
        }
        const auto bdf = static_cast<Bdf>(trace::get<Kind::iommu_cached, "bdf">(event));
        const std::uint64_t domain = trace::get<Kind::iommu_cached, "domain">(event);
        const Key key{bdf, trace::get<Kind::iommu_cached, "iova">(event) >> page_shift, domain};
        devices_of_[domain].insert(bdf);
        forget(cached_.find(key));
        cached_.insert_or_assign(key, Entry{.bdf = bdf, .cached = place_of(event), .unmapped = {}});
    }

    void drop(std::uint64_t domain, std::uint64_t first, std::uint64_t pages) {
        const std::uint64_t last = pages == ~std::uint64_t{0} ? pages : first + (pages - 1);
        const auto devices = devices_of_.find(domain);
        if (devices == devices_of_.end()) {
            return;
        }
        for (const Bdf bdf : devices->second) {
            auto at = cached_.lower_bound(Key{bdf, first, 0});
            while (at != cached_.end() && std::get<0>(at->first) == bdf && std::get<1>(at->first) <= last) {
                at = std::get<2>(at->first) == domain ? forget(at) : std::next(at);
            }
        }
    }

    std::map<Key, Entry>::iterator forget(std::map<Key, Entry>::iterator at) {
        if (at == cached_.end()) {
            return at;
        }
        if (at->second.ended()) {
            --pending_;
        }
        return cached_.erase(at);
    }

    void used(const trace::Event& event) {
        if (pending_ == 0) {
            return;
        }
        const auto bdf = static_cast<Bdf>(trace::get<Kind::iommu_translation, "bdf">(event));
        const std::uint64_t page = trace::get<Kind::iommu_translation, "iova">(event) >> page_shift;
        for (auto at = cached_.lower_bound(Key{bdf, page, 0});
             at != cached_.end() && std::get<0>(at->first) == bdf && std::get<1>(at->first) == page; ++at) {
            if (at->second.ended() && !at->second.told) {
                add(at->second, place_of(event), "the device used it");
            }
        }
    }

    void add(Entry& entry, const Place& at, std::string_view how) {
        entry.told = true;
        const Mapping& mapping = entry.unmapped;
        Draft draft;
        draft.at = at;
        draft.bdf = entry.bdf;
        draft.address = mapping.bus;
        draft.length = mapping.length;
        draft.title = fmt::format(
            "{}: a mapping at bus address {:#x} ended, the IOMMU still has its translation, and {}",
            world().devices().name(entry.bdf), mapping.bus, how);
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(entry.bdf)));
        draft.lines.push_back(fmt::format("mapped: {}", where(world(), mapping.mapped)));
        draft.lines.push_back(fmt::format("cached: {}", where(world(), entry.cached)));
        draft.lines.push_back(fmt::format("unmapped: {}", where(world(), mapping.unmapped)));
        draft.events.push_back({entry.cached.sequence, "cached"});
        draft.events.push_back({mapping.unmapped.sequence, "unmapped"});
        draft.events.push_back({at.sequence, "here"});
        draft.part_of = fmt::format("{}/{}", entry.bdf, mapping.id);
        draft.cause = fmt::format("{}", entry.bdf);
        report(std::move(draft));
    }

    std::map<Key, Entry> cached_;
    std::map<std::uint64_t, std::set<Bdf>> devices_of_;  ///< by domain; both have few values in QEMU's unit
    std::uint64_t pending_ = 0;                          ///< entries whose mapping ended
    std::uint64_t cached_events_ = 0;
    std::uint64_t unmapped_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace

RuleInfo iommu_stale_entry_rule() {
    return {.name = "iommu-stale-entry",
            .summary = "What the IOMMU cached of a mapping is invalidated before its memory is used again",
            .severity = store::Severity::error,
            .evidence = "V M",
            .unit = "mappings that ended",
            .needs_markers = true,
            .create = make_rule<IommuStaleEntry>};
}

}  // namespace pv::checks
