// The report as one HTML file that needs nothing else.
// SPDX-License-Identifier: MIT
#include "report/html.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "base/file.hpp"
#include "report/page_data.hpp"

namespace pv::report {
namespace {

constexpr std::size_t most_page = std::size_t{64} << 20;
constexpr std::string_view placeholder = "@DATA@";
constexpr std::string_view signature = "<meta name=\"generator\" content=\"paravane report\">";

std::unexpected<Error> cannot_write(const std::filesystem::path& path, int error) {
    const bool full = error == ENOSPC || error == EDQUOT;
    return fail(full ? ExitStatus::unavailable : ExitStatus::usage,
                fmt::format("cannot write {}: {}", path.string(), std::strerror(error)),
                full ? "make room on the disk, or give another path"
                     : "does the directory exist, and may you write to it?");
}

class Descriptor {
  public:
    explicit Descriptor(int value) : value_(value) {}

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    ~Descriptor() {
        if (value_ >= 0) {
            ::close(value_);
        }
    }

    [[nodiscard]] int get() const { return value_; }

    /// 0, or errno. Some file systems report a full disk only here.
    int close() { return ::close(std::exchange(value_, -1)) == 0 ? 0 : errno; }

  private:
    int value_;
};

// 0, or errno.
int write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
}

struct Page {
    std::string before;
    std::string after;
};

Result<Page> read_page(const std::filesystem::path& path) {
    const std::string text = read_regular(path, "page", most_page).value_or("");
    const std::size_t at = text.find(placeholder);
    if (at == std::string::npos || text.find(placeholder, at + 1) != std::string::npos) {
        return fail(ExitStatus::unavailable,
                    fmt::format("the report's page {} is missing or damaged", path.string()),
                    "build the target `pv_report_page`, or install paravane again");
    }
    return Page{text.substr(0, at), text.substr(at + placeholder.size())};
}

bool is_report(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string start(4096, '\0');
    file.read(start.data(), static_cast<std::streamsize>(start.size()));
    start.resize(static_cast<std::size_t>(file.gcount()));
    return start.empty() || start.find(signature) != std::string::npos;
}

Result<> write_parts(int descriptor, const std::filesystem::path& path, const Page& page,
                     std::string_view data) {
    for (const std::string_view part : {std::string_view(page.before), data, std::string_view(page.after)}) {
        if (const int error = write_all(descriptor, part); error != 0) {
            return cannot_write(path, error);
        }
    }
    return {};
}

Result<> write_in_place(const std::filesystem::path& path, const Page& page, std::string_view data) {
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0) {
        return cannot_write(path, errno);
    }
    return write_parts(file.get(), path, page, data);
}

Result<> write_atomically(const std::filesystem::path& path, const Page& page, std::string_view data) {
    std::string temporary = path.string() + ".XXXXXX";
    Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
    if (file.get() < 0) {
        return cannot_write(path, errno);
    }
    Result<> written = write_parts(file.get(), path, page, data);
    if (written) {
        // mkostemp made it private; a report is as readable as any file its user makes.
        const mode_t mask = ::umask(0);
        ::umask(mask);
        int error = ::fchmod(file.get(), 0666 & ~mask) == 0 ? 0 : errno;
        error = error != 0 ? error : ::fsync(file.get()) == 0 ? 0 : errno;
        error = error != 0 ? error : file.close();
        error = error != 0 ? error : ::rename(temporary.c_str(), path.c_str()) == 0 ? 0 : errno;
        if (error != 0) {
            written = cannot_write(path, error);
        }
    }
    if (!written) {
        ::unlink(temporary.c_str());
    }
    return written;
}

}  // namespace

Result<> html(store::Trace& trace, const std::filesystem::path& path, const HtmlOptions& options) {
    const Page page = PV_TRY(read_page(options.page));
    // A symbolic link is followed: what it names is replaced, not the link.
    std::error_code ignored;
    const std::filesystem::path resolved = std::filesystem::canonical(path, ignored);
    const std::filesystem::path& target = resolved.empty() ? path : resolved;

    struct stat status{};

    const bool exists = ::stat(target.c_str(), &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) {
        return fail(ExitStatus::usage, fmt::format("{} is a directory", path.string()),
                    "name the file to write, for example report.html");
    }
    if (exists && S_ISREG(status.st_mode) && !options.force && !is_report(target)) {
        return fail(ExitStatus::usage, fmt::format("{} exists and is not a report", path.string()),
                    "name another file, or give --force to replace it");
    }
    const std::string data = PV_TRY(page_data(trace, options.trace_path));
    return exists && !S_ISREG(status.st_mode) ? write_in_place(target, page, data)
                                              : write_atomically(target, page, data);
}

}  // namespace pv::report
