// Opens libvirt connections.
// SPDX-License-Identifier: MIT
#include "domain/connection.hpp"

#include <fmt/format.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <pugixml.hpp>
#include <thread>

namespace pv::domain {

// libvirt delivers events only while somebody runs its loop, and the embedded driver cannot even start a
// domain without. The default loop can be registered once a process and never be taken away: one thread for
// the process's life, started with the first connection.
class Connection::EventLoop {
  public:
    static std::shared_ptr<EventLoop> shared() {
        static std::mutex lock;
        static std::weak_ptr<EventLoop> current;
        const std::lock_guard guard(lock);
        std::shared_ptr<EventLoop> loop = current.lock();
        if (loop == nullptr) {
            loop = std::shared_ptr<EventLoop>(new EventLoop());
            current = loop;
        }
        return loop;
    }

    ~EventLoop() {
        ending_ = true;
        ::virEventUpdateTimeout(wake_, 0);
        thread_.join();
        ::virEventRemoveTimeout(wake_);
    }

    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

  private:
    EventLoop() {
        static const int registered = ::virEventRegisterDefaultImpl();
        static_cast<void>(registered);
        wake_ = ::virEventAddTimeout(-1, [](int, void*) {}, nullptr, nullptr);
        thread_ = std::thread([this] {
            while (!ending_) {
                ::virEventRunDefaultImpl();
            }
        });
    }

    std::atomic<bool> ending_{false};
    int wake_ = -1;
    std::thread thread_;
};

namespace {

namespace fs = std::filesystem;

// What the embedded driver needs to run as whoever calls it, without security drivers, log daemons or name
// spaces of its own (docs/decisions: as root, libvirt otherwise probes QEMU again for each operation).
constexpr const char* qemu_conf_common =
    "security_driver = \"none\"\n"
    "stdio_handler = \"file\"\n"
    "remember_owner = 0\n"
    "namespaces = []\n"
    "cgroup_controllers = []\n"
    "max_core = 0\n";

fs::path cache_folder() {
    const char* xdg = std::getenv("XDG_CACHE_HOME");
    if (xdg != nullptr && xdg[0] == '/') {
        return fs::path(xdg) / "paravane" / "libvirt";
    }
    const char* home = std::getenv("HOME");
    return home == nullptr || home[0] != '/' ? fs::path()
                                             : fs::path(home) / ".cache" / "paravane" / "libvirt";
}

// What lies in the cache is believed by libvirt: it must be the user's own, and nobody else's to write.
bool trusted(const fs::path& folder) {
    struct stat status{};

    return ::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() &&
           (status.st_mode & 022) == 0;
}

// libvirt writes its cache files in place: a concurrent reader could see half of one. So each run works on a
// copy, and gives new files back under their names in one step.
void copy_files(const fs::path& from, const fs::path& to) {
    std::error_code problem;
    fs::create_directories(to, problem);
    for (auto entry = fs::directory_iterator(from, problem); !problem && entry != fs::directory_iterator();
         entry.increment(problem)) {
        const fs::path target = to / entry->path().filename();
        std::error_code one;
        if (!entry->is_regular_file(one) || entry->path().extension() != ".xml") {
            continue;
        }
        const fs::path temporary = fmt::format("{}.{}.tmp", target.string(), ::getpid());
        fs::copy_file(entry->path(), temporary, fs::copy_options::overwrite_existing, one);
        if (!one) {
            fs::rename(temporary, target, one);
        }
        if (one) {
            fs::remove(temporary, one);
        }
    }
}

fs::path capabilities(const fs::path& root) {
    return root / "cache" / "qemu" / "capabilities";
}

void be_quiet(const fs::path& log) {
    // libvirt prints errors as they happen, ours say more; its log goes to a file of the run.
    ::virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    if (!log.empty()) {
        const std::string outputs = "3:file:" + log.string();
        ::setenv("LIBVIRT_LOG_OUTPUTS", outputs.c_str(), 0);
    }
}

bool has_host(const std::string& uri) {
    const std::size_t authority = uri.find("://");
    return authority != std::string::npos && authority + 3 < uri.size() && uri[authority + 3] != '/';
}

std::string version_text(unsigned long version) {
    return fmt::format("{}.{}.{}", version / 1'000'000, version / 1'000 % 1'000, version % 1'000);
}

}  // namespace

std::string last_libvirt_error() {
    const virErrorPtr error = ::virGetLastError();
    std::string text = error == nullptr || error->message == nullptr ? "unknown error" : error->message;
    for (char& byte : text) {
        if (byte == '\n') {
            byte = ' ';
        }
    }
    while (!text.empty() && text.back() == ' ') {
        text.pop_back();
    }
    return text;
}

std::string libvirt_version() {
    unsigned long version = 0;
    return ::virGetVersion(&version, nullptr, nullptr) == 0 ? version_text(version) : std::string();
}

Result<std::unique_ptr<Connection>> Connection::open_embedded(const fs::path& root) {
    std::unique_ptr<Connection> result(new Connection());
    result->root_ = root;
    std::error_code problem;
    fs::create_directories(root / "etc", problem);
    std::ofstream conf(root / "etc" / "qemu.conf");
    conf << qemu_conf_common;
    if (::geteuid() == 0) {
        conf << "user = \"root\"\ngroup = \"root\"\n";
    }
    conf.close();
    if (!conf) {
        return fail(ExitStatus::unavailable,
                    fmt::format("'{}' could not be written", (root / "etc" / "qemu.conf").string()),
                    "is the disk full? TMPDIR chooses another place");
    }
    if (const fs::path cache = cache_folder(); !cache.empty() && trusted(cache)) {
        copy_files(cache, capabilities(root));
    }
    be_quiet(root / "libvirt.log");
    if (::virInitialize() != 0) {
        return fail(ExitStatus::unavailable, fmt::format("libvirt cannot be used: {}", last_libvirt_error()),
                    "apt-get install libvirt0");
    }
    result->loop_ = EventLoop::shared();
    result->orphans_ = std::make_unique<OrphanReaper>();
    const std::string uri = fmt::format("qemu:///embed?root={}", root.string());
    result->connection_ = ::virConnectOpen(uri.c_str());
    if (result->connection_ == nullptr) {
        const std::string words = last_libvirt_error();
        // As root the driver looks its default user up, even where qemu.conf names another.
        const bool no_user = words.find("'libvirt-qemu'") != std::string::npos;
        return fail(
            ExitStatus::unavailable,
            fmt::format("libvirt's embedded QEMU driver cannot be opened: {}", words),
            no_user
                ? "the system user libvirt-qemu is missing: useradd --system --user-group --no-create-home "
                  "libvirt-qemu (Debian's libvirt-daemon-system makes it)"
                : "apt-get install libvirt-daemon-driver-qemu, or choose a connection: --connect "
                  "qemu:///system");
    }
    return result;
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& uri) {
    if (has_host(uri)) {
        return fail(
            ExitStatus::usage, fmt::format("'{}' is another machine's libvirt", uri),
            "console and trace are read through sockets and a FIFO of this machine: run paravane there");
    }
    std::unique_ptr<Connection> result(new Connection());
    be_quiet({});
    if (::virInitialize() != 0) {
        return fail(ExitStatus::unavailable, fmt::format("libvirt cannot be used: {}", last_libvirt_error()),
                    "apt-get install libvirt0");
    }
    result->loop_ = EventLoop::shared();
    result->connection_ = ::virConnectOpen(uri.c_str());
    if (result->connection_ == nullptr) {
        return fail(ExitStatus::unavailable, fmt::format("libvirt at '{}': {}", uri, last_libvirt_error()),
                    "is its daemon running, and are you allowed to? without --connect no daemon is needed");
    }
    return result;
}

Connection::~Connection() {
    if (connection_ != nullptr) {
        ::virConnectClose(connection_);
    }
}

std::string Connection::hypervisor_version() const {
    unsigned long version = 0;
    return ::virConnectGetVersion(connection_, &version) == 0 && version != 0 ? version_text(version)
                                                                              : std::string();
}

namespace {

struct FreeText {
    void operator()(char* text) const {
        std::free(text);  // NOLINT(cppcoreguidelines-no-malloc): libvirt's, by its documentation
    }
};

}  // namespace

Result<std::vector<std::string>> Connection::security_models() const {
    const std::unique_ptr<char, FreeText> text(::virConnectGetCapabilities(connection_));
    pugi::xml_document capabilities;
    const bool read = text != nullptr && capabilities.load_string(text.get());
    if (!read) {
        return fail(ExitStatus::unavailable,
                    fmt::format("libvirt does not say how it confines guests: {}", last_libvirt_error()),
                    "without --connect no daemon is needed");
    }
    std::vector<std::string> models;
    for (const pugi::xml_node& model :
         capabilities.child("capabilities").child("host").children("secmodel")) {
        if (const std::string name = model.child_value("model"); !name.empty() && name != "none") {
            models.push_back(name);
        }
    }
    return models;
}

void Connection::keep_cache() const {
    const fs::path cache = cache_folder();
    if (!embedded() || cache.empty()) {
        return;
    }
    std::error_code ignored;
    fs::create_directories(cache, ignored);
    if (trusted(cache)) {
        copy_files(capabilities(root_), cache);
    }
}

}  // namespace pv::domain
