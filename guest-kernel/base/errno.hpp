// Errors as a Linux program sees them: the numbers of the system-call interface, as a type.
// SPDX-License-Identifier: MIT
#pragma once

#include <asm/errno.h>

#include <expected>

#include "base/result.hpp"

namespace pv {

/// Linux's error numbers (uapi/asm/errno.h), by their names in small letters. A system call returns -number.
enum class Errno : int {
    eperm = EPERM,
    enoent = ENOENT,
    esrch = ESRCH,
    eintr = EINTR,
    eio = EIO,
    enxio = ENXIO,
    e2big = E2BIG,
    enoexec = ENOEXEC,
    ebadf = EBADF,
    echild = ECHILD,
    eagain = EAGAIN,
    enomem = ENOMEM,
    eacces = EACCES,
    efault = EFAULT,
    enotblk = ENOTBLK,
    ebusy = EBUSY,
    eexist = EEXIST,
    exdev = EXDEV,
    enodev = ENODEV,
    enotdir = ENOTDIR,
    eisdir = EISDIR,
    einval = EINVAL,
    enfile = ENFILE,
    emfile = EMFILE,
    enotty = ENOTTY,
    etxtbsy = ETXTBSY,
    efbig = EFBIG,
    enospc = ENOSPC,
    espipe = ESPIPE,
    erofs = EROFS,
    emlink = EMLINK,
    epipe = EPIPE,
    edom = EDOM,
    erange = ERANGE,
    edeadlk = EDEADLK,
    enametoolong = ENAMETOOLONG,
    enolck = ENOLCK,
    enosys = ENOSYS,
    enotempty = ENOTEMPTY,
    eloop = ELOOP,
    enomsg = ENOMSG,
    eidrm = EIDRM,
    enodata = ENODATA,
    etime = ETIME,
    eproto = EPROTO,
    eoverflow = EOVERFLOW,
    eilseq = EILSEQ,
    enotsock = ENOTSOCK,
    edestaddrreq = EDESTADDRREQ,
    emsgsize = EMSGSIZE,
    eprototype = EPROTOTYPE,
    enoprotoopt = ENOPROTOOPT,
    eprotonosupport = EPROTONOSUPPORT,
    esocktnosupport = ESOCKTNOSUPPORT,
    eopnotsupp = EOPNOTSUPP,
    eafnosupport = EAFNOSUPPORT,
    eaddrinuse = EADDRINUSE,
    eaddrnotavail = EADDRNOTAVAIL,
    econnaborted = ECONNABORTED,
    econnreset = ECONNRESET,
    enetdown = ENETDOWN,
    enetunreach = ENETUNREACH,
    enobufs = ENOBUFS,
    eisconn = EISCONN,
    enotconn = ENOTCONN,
    etoomanyrefs = ETOOMANYREFS,
    etimedout = ETIMEDOUT,
    econnrefused = ECONNREFUSED,
    ehostunreach = EHOSTUNREACH,
    ealready = EALREADY,
    einprogress = EINPROGRESS,
    estale = ESTALE,
    edquot = EDQUOT,
    ecanceled = ECANCELED,
};

/// What a call on behalf of a program returns: a value, or the error the program gets.
template <class T = void>
using Outcome = std::expected<T, Errno>;

[[nodiscard]] constexpr std::unexpected<Errno> fail(Errno error) {
    return std::unexpected(error);
}

/// The number behind an error; positive.
[[nodiscard]] constexpr int number(Errno error) {
    return static_cast<int>(error);
}

/// What a program is told of a failure inside the kernel.
[[nodiscard]] constexpr Errno to_errno(Error error) {
    switch (error) {
        case Error::invalid_argument:
        case Error::out_of_range:
            return Errno::einval;
        case Error::out_of_memory:
            return Errno::enomem;
        case Error::timed_out:
            return Errno::etimedout;
        case Error::not_found:
            return Errno::enoent;
        case Error::not_supported:
            return Errno::eopnotsupp;
        case Error::corrupt:
        case Error::io:
        case Error::device_failed:
            return Errno::eio;
        case Error::busy:
            return Errno::ebusy;
        case Error::no_space:
            return Errno::enospc;
        case Error::cancelled:
            return Errno::ecanceled;
        case Error::interrupted:
            return Errno::eintr;
    }
    return Errno::eio;
}

/// The same for a whole result, for PV_TRY: `PV_TRY(as_outcome(vector.push_back(x)))`.
template <class T>
[[nodiscard]] constexpr Outcome<T> as_outcome(Result<T> result) {
    if (!result) {
        return fail(to_errno(result.error()));
    }
    if constexpr (std::is_void_v<T>) {
        return {};
    } else {
        return std::move(*result);
    }
}

}  // namespace pv
