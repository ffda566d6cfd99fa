// A path as a program gives it.
// SPDX-License-Identifier: MIT
#include "linux/path_argument.hpp"

#include <new>

namespace pv::linux {

Outcome<> PathArgument::read_text(UserString path) {
    Outcome<std::size_t> length = path.read(short_);
    if (!length && length.error() == Errno::enametoolong) {
        long_.reset(new (std::nothrow) char[fs::path_max]);
        if (long_ == nullptr) {
            return fail(Errno::enomem);
        }
        length = path.read({long_.get(), fs::path_max});
    }
    length_ = PV_TRY(length);
    return {};
}

Outcome<> PathArgument::read(Call& call, int directory, UserString path, bool may_be_empty, bool is_scope) {
    resolver_.emplace(call.thread);
    if (!(may_be_empty && path.address.value() == 0)) {
        PV_TRY(read_text(path));
    }
    if (length_ == 0 && !may_be_empty) {
        return fail(Errno::enoent);
    }
    if (directory != AT_FDCWD && (is_scope || length_ == 0 || text().front() != '/')) {
        const Ref<fs::OpenFile> file = PV_TRY(call.process().descriptors->get(directory));
        if (length_ != 0 && (file->node() == nullptr || !file->node()->is_directory())) {
            return fail(Errno::enotdir);
        }
        resolver_->start = file->location();
    }
    return {};
}

}  // namespace pv::linux
