// Holds the numbers of fs/types.hpp and fs/poll.hpp to the headers of Linux's system-call interface.
// SPDX-License-Identifier: MIT
#include <asm/fcntl.h>
#include <linux/limits.h>
#include <linux/poll.h>

#include "fs/poll.hpp"
#include "fs/types.hpp"

namespace pv::fs {

static_assert(name_max == NAME_MAX && path_max == PATH_MAX);

static_assert(open_flag::access_mask == O_ACCMODE && open_flag::read_only == O_RDONLY &&
              open_flag::write_only == O_WRONLY && open_flag::read_write == O_RDWR);
static_assert(open_flag::create == O_CREAT && open_flag::exclusive == O_EXCL &&
              open_flag::no_controlling_terminal == O_NOCTTY && open_flag::truncate == O_TRUNC &&
              open_flag::append == O_APPEND && open_flag::nonblock == O_NONBLOCK);
static_assert(open_flag::data_sync == O_DSYNC && open_flag::async == FASYNC &&
              open_flag::direct == O_DIRECT && open_flag::large_file == O_LARGEFILE &&
              open_flag::directory == O_DIRECTORY && open_flag::no_follow == O_NOFOLLOW &&
              open_flag::no_access_time == O_NOATIME && open_flag::close_on_exec == O_CLOEXEC &&
              open_flag::sync == __O_SYNC && open_flag::path_only == O_PATH &&
              open_flag::temporary == __O_TMPFILE);

static_assert(poll_event::in == POLLIN && poll_event::priority == POLLPRI && poll_event::out == POLLOUT &&
              poll_event::error == POLLERR && poll_event::hang_up == POLLHUP &&
              poll_event::invalid == POLLNVAL && poll_event::read_normal == POLLRDNORM &&
              poll_event::read_band == POLLRDBAND && poll_event::write_normal == POLLWRNORM &&
              poll_event::write_band == POLLWRBAND && poll_event::read_hang_up == POLLRDHUP);

}  // namespace pv::fs
