// nbdkit-paravane-plugin: a raw disk whose requests are held, delayed or failed on demand.
// SPDX-License-Identifier: MIT
#define NBDKIT_API_VERSION 2
#include <fcntl.h>
#include <nbdkit-plugin.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "faults/image.hpp"
#include "faults/nbdkit/control.hpp"
#include "faults/nbdkit/engine.hpp"
#include "faults/plan.hpp"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

namespace pv::faults::nbdkit {
namespace {

/// How long this process goes on after its owner is gone: time for a client to be answered.
constexpr std::chrono::seconds longest_without_owner{2};

struct Settings {
    std::string disk = "disk0";
    std::string file;
    std::uint64_t size = 0;
    bool read_only = false;
    std::string control_path;
    int control_descriptor = -1;
};

struct Server {
    Settings settings;
    std::optional<Image> image;
    std::unique_ptr<Control> control;
    Engine engine{[this](const Event& event) {
        if (control) {
            control->report(event);
        }
    }};
};

Server* server = nullptr;

int failed(const Error& error) {
    nbdkit_error("%s (%s)", error.message.c_str(), error.hint.c_str());
    return -1;
}

int os_failed(int error) {
    nbdkit_set_error(error);
    nbdkit_error("%s", std::strerror(error));
    return -1;
}

/// No exception may pass into nbdkit, which is C.
template <class F>
int guarded(F&& function) {
    try {
        return std::forward<F>(function)();
    } catch (const std::exception& error) {
        nbdkit_set_error(EIO);
        nbdkit_error("%s", error.what());
        return -1;
    }
}

void load() {
    server = new Server;
}

void unload() {
    delete std::exchange(server, nullptr);
}

int config(const char* key, const char* value) {
    return guarded([&]() -> int {
        Settings& settings = server->settings;
        const std::string_view name{key};
        if (name == "file") {
            char* path = nbdkit_realpath(value);
            settings.file = path != nullptr ? path : value;
            std::free(path);
        } else if (name == "size") {
            const std::int64_t size = nbdkit_parse_size(value);
            if (size < 0) {
                return -1;
            }
            settings.size = static_cast<std::uint64_t>(size);
        } else if (name == "disk") {
            settings.disk = value;
        } else if (name == "readonly") {
            const int flag = nbdkit_parse_bool(value);
            if (flag < 0) {
                return -1;
            }
            settings.read_only = flag != 0;
        } else if (name == "control") {
            char* path = nbdkit_absolute_path(value);
            settings.control_path = path != nullptr ? path : value;
            std::free(path);
        } else if (name == "control-fd") {
            return nbdkit_parse_int("control-fd", value, &settings.control_descriptor);
        } else if (name == "fault") {
            auto fault = parse_fault(value);
            if (!fault) {
                return failed(fault.error());
            }
            if (!server->engine.add(std::move(*fault))) {
                nbdkit_error("more than %zu faults", Engine::most_faults);
                return -1;
            }
        } else {
            nbdkit_error(
                "unknown parameter '%s'; known: file, size, disk, readonly, fault, control, control-fd", key);
            return -1;
        }
        return 0;
    });
}

int config_complete() {
    if (server->settings.file.empty() == (server->settings.size == 0)) {
        nbdkit_error("give either file=IMAGE or size=BYTES");
        return -1;
    }
    return 0;
}

int get_ready() {
    return guarded([]() -> int {
        const Settings& settings = server->settings;
        auto image = settings.file.empty() ? Image::memory(settings.size)
                                           : Image::open(settings.file, settings.read_only);
        if (!image) {
            return failed(image.error());
        }
        server->image.emplace(std::move(*image));
        return 0;
    });
}

/// The owner went away without ending this process: nothing may be left of it.
void owner_gone() {
    nbdkit_shutdown();
    // nbdkit waits for its clients, and one that is kept alive elsewhere would keep it.
    std::thread{[] {
        std::this_thread::sleep_for(longest_without_owner);
        _exit(1);
    }}.detach();
}

int after_fork() {
    return guarded([]() -> int {
        const Settings& settings = server->settings;
        server->control = std::make_unique<Control>(server->engine, settings.disk, owner_gone);
        if (!settings.control_path.empty()) {
            if (const int error = server->control->listen(settings.control_path); error != 0) {
                nbdkit_error("control=%s: %s", settings.control_path.c_str(), std::strerror(error));
                return -1;
            }
        }
        if (settings.control_descriptor >= 0) {
            if (const int error = server->control->adopt(settings.control_descriptor); error != 0) {
                nbdkit_error("control-fd=%d: %s", settings.control_descriptor, std::strerror(error));
                return -1;
            }
        }
        server->control->start();
        return 0;
    });
}

void cleanup() {
    if (server != nullptr && server->control) {
        server->control->stop();
    }
}

void* open_connection(int) {
    return NBDKIT_HANDLE_NOT_NEEDED;
}

std::int64_t get_size(void*) {
    return static_cast<std::int64_t>(server->image->size());
}

int can_write(void*) {
    return server->settings.read_only ? 0 : 1;
}

int yes(void*) {
    return 1;
}

int can_fua(void*) {
    return NBDKIT_FUA_NATIVE;
}

int no(void*) {
    return 0;
}

/// Passes a request through the faults, then carries it out: `carry_out(corrupt)`.
int serve(const Request& request, const std::function<int(bool)>& carry_out) {
    return guarded([&]() -> int {
        // Ends early, with -1, when the client has gone or the server is to end.
        const auto interrupted = [] { return nbdkit_nanosleep(0, 1) != 0; };
        const Answer answer = server->engine.pass(request, interrupted);
        if (answer.error != 0) {
            nbdkit_set_error(answer.error);
            if (answer.error != ESHUTDOWN) {
                nbdkit_debug("injected fault: %.*s", static_cast<int>(error_name(answer.error).size()),
                             error_name(answer.error).data());
            }
            return -1;
        }
        const int result = carry_out(answer.corrupt);
        server->engine.ended();
        return result;
    });
}

/// Calls `transfer(done)` until `count` bytes went; it returns what pread or pwrite do.
template <class F>
int transfer_all(std::uint32_t count, F&& transfer) {
    for (std::uint32_t done = 0; done < count;) {
        const ssize_t moved = transfer(done);
        if (moved < 0 && errno == EINTR) {
            continue;
        }
        if (moved <= 0) {
            return os_failed(moved == 0 ? EIO : errno);  // 0: the image was cut shorter meanwhile
        }
        done += static_cast<std::uint32_t>(moved);
    }
    return 0;
}

/// Wrong data that every reader notices: the first byte of every 512 inverted.
void spoil(std::span<char> data) {
    for (std::size_t i = 0; i < data.size(); i += 512) {
        data[i] = static_cast<char>(~data[i]);
    }
}

int make_durable() {
    return fdatasync(server->image->descriptor()) == 0 ? 0 : os_failed(errno);
}

int durable_if_asked(int result, std::uint32_t flags) {
    return result == 0 && (flags & NBDKIT_FLAG_FUA) != 0 ? make_durable() : result;
}

int pread_disk(void*, void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t) {
    return serve({Operation::read, offset, count}, [&](bool corrupt) {
        const int result = transfer_all(count, [&](std::uint32_t done) {
            return pread(server->image->descriptor(), static_cast<char*>(buffer) + done, count - done,
                         static_cast<off_t>(offset + done));
        });
        if (corrupt) {
            spoil({static_cast<char*>(buffer), count});
        }
        return result;
    });
}

int pwrite_disk(void*, const void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
    return serve({Operation::write, offset, count}, [&](bool corrupt) {
        const char* data = static_cast<const char*>(buffer);
        std::vector<char> wrong;
        if (corrupt) {
            wrong.assign(data, data + count);
            spoil(wrong);
            data = wrong.data();
        }
        return durable_if_asked(transfer_all(count,
                                             [&](std::uint32_t done) {
                                                 return pwrite(server->image->descriptor(), data + done,
                                                               count - done,
                                                               static_cast<off_t>(offset + done));
                                             }),
                                flags);
    });
}

int flush_disk(void*, std::uint32_t) {
    return serve({Operation::flush, 0, 0}, [](bool) { return make_durable(); });
}

int punch(std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
    const int result = fallocate(server->image->descriptor(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                 static_cast<off_t>(offset), count);
    return durable_if_asked(result == 0 ? 0 : os_failed(errno), flags);
}

int trim_disk(void*, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
    return serve({Operation::trim, offset, count}, [&](bool) { return punch(count, offset, flags); });
}

/// A hole reads as zeros. Where the file system has none, EOPNOTSUPP makes nbdkit write zeros, which would
/// count as writes: so they are written here.
int zero_disk(void*, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
    return serve({Operation::zero, offset, count}, [&](bool) -> int {
        if (fallocate(server->image->descriptor(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(offset), count) == 0) {
            return durable_if_asked(0, flags);
        }
        if ((flags & NBDKIT_FLAG_FAST_ZERO) != 0) {
            return os_failed(EOPNOTSUPP);
        }
        static constexpr std::array<char, 65'536> zeros{};
        return durable_if_asked(transfer_all(count,
                                             [&](std::uint32_t done) {
                                                 return pwrite(
                                                     server->image->descriptor(), zeros.data(),
                                                     std::min<std::size_t>(zeros.size(), count - done),
                                                     static_cast<off_t>(offset + done));
                                             }),
                                flags);
    });
}

constexpr const char* help =
    "file=IMAGE        raw image to serve\n"
    "size=BYTES        or an empty disk in memory\n"
    "disk=NAME         name that faults call this disk (default disk0)\n"
    "readonly=BOOL     do not write to the image\n"
    "fault=TEXT        a fault from the start, may be repeated: 'stall disk0 read after 100 for 8s'\n"
    "control=SOCKET    UNIX socket to listen on for commands\n"
    "control-fd=N      connected socket of the process that started nbdkit; when it closes, nbdkit ends";

struct nbdkit_plugin make_plugin() {
    struct nbdkit_plugin p{};

    p.name = "paravane";
    p.longname = "disk with injected faults";
    p.description = "Serves a raw image; holds, delays, fails, corrupts and reorders chosen requests";
    p.load = load;
    p.unload = unload;
    p.config = config;
    p.config_complete = config_complete;
    p.config_help = help;
    p.get_ready = get_ready;
    p.after_fork = after_fork;
    p.cleanup = cleanup;
    p.open = open_connection;
    p.get_size = get_size;
    p.can_write = can_write;
    p.can_flush = yes;
    p.can_trim = yes;
    p.can_zero = yes;
    p.can_fua = can_fua;
    p.can_multi_conn = yes;
    p.is_rotational = no;
    p.pread = pread_disk;
    p.pwrite = pwrite_disk;
    p.flush = flush_disk;
    p.trim = trim_disk;
    p.zero = zero_disk;
    return p;
}

}  // namespace
}  // namespace pv::faults::nbdkit

static struct nbdkit_plugin plugin = pv::faults::nbdkit::make_plugin();
NBDKIT_REGISTER_PLUGIN(plugin)
