// PRP entries: how an NVMe command says where its data lies.
// SPDX-License-Identifier: MIT
#include "device/nvme/prp.hpp"

namespace pv::nvme {

Result<Prp> build_prp(BusAddress data, std::size_t length, unsigned page_shift, std::span<le64> list,
                      BusAddress list_address) {
    const std::uint64_t start = data.value();
    const std::uint64_t page = std::uint64_t{1} << page_shift;
    if (length == 0 || start % 4 != 0 || start + (length - 1) < start) {
        return fail(Error::invalid_argument);
    }
    Prp prp{.prp1 = start};
    const std::uint64_t in_first = page - start % page;
    if (length <= in_first) {
        return prp;
    }
    // Every entry but the first has an offset of zero.
    const std::uint64_t second = start + in_first;
    const std::size_t more = (length - in_first + page - 1) >> page_shift;
    if (more == 1) {
        prp.prp2 = second;
        return prp;
    }
    if (more > list.size() || list_address.value() % page + more * sizeof(le64) > page) {
        return fail(Error::invalid_argument);
    }
    for (std::size_t i = 0; i < more; ++i) {
        list[i] = second + i * page;
    }
    prp.prp2 = list_address.value();
    prp.list_entries = more;
    return prp;
}

}  // namespace pv::nvme
