// apt-get with a configuration of its own.
// SPDX-License-Identifier: MIT
#include "images/apt.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>

namespace pv::images {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto longest_fetch = 3'600s;
constexpr auto longest_look = 300s;

// The machine's own configuration is read first (proxies, keys, certificates stay); hooks and places are
// replaced. apt.conf(5).
constexpr std::string_view configuration = R"(#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Post-Invoke-Stats;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Architectures;
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Default-Release "";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
APT::Status-Fd "{1}";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Dir::State "{0}";
Dir::State::lists "{0}/lists";
Dir::State::status "{0}/status";
Dir::State::extended_states "{0}/extended";
Dir::Cache "{0}";
Dir::Cache::archives "{0}/archives";
Dir::Cache::pkgcache "{0}/packages.bin";
Dir::Cache::srcpkgcache "";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "{0}/nothing";
Dir::Log "{0}";
)";

std::string decoded(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned code = 0;
        if (text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16).ptr == text.data() + i + 3) {
            plain += static_cast<char>(code);
            i += 2;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

// apt's lines that say what is wrong: the first "E: ", without the letter.
std::string first_error(const std::string& errors) {
    for (std::size_t begin = 0; begin < errors.size();) {
        const std::size_t end = std::min(errors.find('\n', begin), errors.size());
        const std::string line = errors.substr(begin, end - begin);
        if (line.starts_with("E: ")) {
            return line.substr(3);
        }
        begin = end + 1;
    }
    return "apt-get failed without a word";
}

// "dlstatus:1:20.0:Retrieving file 1 of 5 (3s remaining)"
std::string progress_of(std::string_view line) {
    std::string_view rest = line;
    for (int i = 0; i < 2; ++i) {
        rest.remove_prefix(std::min(rest.find(':'), rest.size() - 1) + 1);
    }
    const std::size_t colon = rest.find(':');
    if (!line.starts_with("dlstatus:") || colon == std::string_view::npos) {
        return {};
    }
    return fmt::format("{}% ({})", rest.substr(0, rest.find('.')), rest.substr(colon + 1));
}

Result<> make_folder(const fs::path& folder) {
    std::error_code problem;
    fs::create_directories(folder, problem);
    if (problem) {
        return fail(ExitStatus::unavailable,
                    fmt::format("the cache '{}' cannot be made: {}", folder.string(), problem.message()),
                    "set PARAVANE_CACHE to a folder that is writable");
    }
    return {};
}

}  // namespace

bool is_package_name(std::string_view name) {
    const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return name.size() >= 2 && name.size() <= 128 && plain(name.front()) &&
           std::ranges::all_of(name, [&](char c) { return plain(c) || c == '+' || c == '-' || c == '.'; });
}

std::vector<PackageFile> parse_uris(std::string_view output, const fs::path& folder) {
    std::vector<PackageFile> files;
    while (!output.empty()) {
        const std::size_t end = std::min(output.find('\n'), output.size());
        std::string_view line = output.substr(0, end);
        output.remove_prefix(std::min(end + 1, output.size()));
        const std::size_t quote = line.rfind("' ");
        if (!line.starts_with('\'') || quote == std::string_view::npos) {
            continue;
        }
        line.remove_prefix(quote + 2);
        const std::string_view name = line.substr(0, line.find(' '));
        const std::size_t first = name.find('_');
        const std::size_t second = name.find('_', first + 1);
        if (!name.ends_with(".deb") || second == std::string_view::npos ||
            name.find('/') != std::string_view::npos) {
            continue;
        }
        PackageFile file;
        file.name = name.substr(0, first);
        file.version = decoded(name.substr(first + 1, second - first - 1));
        file.architecture = name.substr(second + 1, name.size() - second - 5);
        const std::string_view size = line.substr(std::min(name.size() + 1, line.size()));
        std::from_chars(size.data(), size.data() + size.size(), file.size);
        file.archive = folder / name;
        if (is_package_name(file.name)) {
            files.push_back(std::move(file));
        }
    }
    return files;
}

Result<Apt> Apt::open(const fs::path& folder, const Work& work) {
    for (const char* part : {"lists/partial", "archives/partial", "none/partial", "nothing"}) {
        PV_TRY(make_folder(folder / part));
    }
    // Nothing is installed, as far as apt knows: everything a package depends on is wanted.
    const std::ofstream status(folder / "status", std::ios::trunc);
    std::ofstream file(folder / "apt.conf", std::ios::trunc);
    if (folder.string().find_first_of("\"\\\n{}") != std::string::npos) {
        return fail(ExitStatus::usage,
                    fmt::format("the cache's path '{}' has quotes or braces in it", folder.string()),
                    "set PARAVANE_CACHE to a plainer one");
    }
    file << fmt::format(configuration, folder.string(), status_descriptor);
    if (!file.flush()) {
        return fail(ExitStatus::unavailable, fmt::format("the cache '{}' cannot be written", folder.string()),
                    "is it writable, and the disk not full? PARAVANE_CACHE names another");
    }
    return Apt(folder, work);
}

Result<Outcome> Apt::run(std::vector<std::string> arguments, std::string_view what) const {
    std::vector<std::string> command = {"apt-get", "-q", "-y", "-c", (folder_ / "apt.conf").string()};
    command.insert(command.end(), std::make_move_iterator(arguments.begin()),
                   std::make_move_iterator(arguments.end()));
    work_->tell(what);
    return run_program(command, what.empty() ? longest_look : longest_fetch, *work_,
                       [&](std::string_view line) {
                           if (const std::string progress = progress_of(line); !progress.empty()) {
                               work_->tell(fmt::format("{}: {}", what, progress));
                           }
                       });
}

Result<> Apt::update() {
    updated_ = true;
    const Outcome outcome = PV_TRY(run({"update"}, "fetching the lists of packages"));
    if (outcome.status != 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("the lists of packages cannot be fetched: {}", first_error(outcome.errors)),
                    "is the Debian mirror of this machine's apt sources reachable?");
    }
    std::ofstream(folder_ / "stamp", std::ios::trunc)
        << std::chrono::system_clock::now().time_since_epoch().count() << '\n';
    return {};
}

std::string Apt::lists_stamp() const {
    std::ifstream file(folder_ / "stamp");
    std::string stamp;
    std::getline(file, stamp);
    return stamp;
}

Result<std::vector<PackageFile>> Apt::resolve(const std::vector<std::string>& packages) const {
    // Of what is in the archives' folder apt prints no URI: it is shown an empty one.
    std::vector<std::string> arguments = {"-o",
                                          fmt::format("Dir::Cache::archives={}", (folder_ / "none").string()),
                                          "--print-uris", "install", "--"};
    arguments.insert(arguments.end(), packages.begin(), packages.end());
    const Outcome outcome = PV_TRY(run(std::move(arguments), ""));
    if (outcome.status != 0) {
        return fail(ExitStatus::usage, first_error(outcome.errors),
                    "the names are looked up in the machine's apt sources: `apt-cache policy NAME`");
    }
    std::vector<PackageFile> files = parse_uris(outcome.output, folder_ / "archives");
    for (const std::string& name : packages) {
        if (std::ranges::find(files, name, &PackageFile::name) == files.end()) {
            return fail(ExitStatus::usage, fmt::format("there is no package '{}' to install", name),
                        "it may be a virtual one: name the package that provides it");
        }
    }
    return files;
}

Result<> Apt::download(const std::vector<std::string>& packages) const {
    std::vector<std::string> arguments = {"--download-only", "install", "--"};
    arguments.insert(arguments.end(), packages.begin(), packages.end());
    const Outcome outcome = PV_TRY(run(std::move(arguments), "fetching packages"));
    if (outcome.status != 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("packages cannot be fetched: {}", first_error(outcome.errors)),
                    "is the Debian mirror of this machine's apt sources reachable? What was fetched is kept");
    }
    return {};
}

Result<std::vector<PackageFile>> Apt::try_get(const std::vector<std::string>& packages) {
    std::vector<PackageFile> files = PV_TRY(resolve(packages));
    const auto missing = [](const PackageFile& file) {
        std::error_code problem;
        return fs::file_size(file.archive, problem) != file.size || problem;
    };
    if (std::ranges::any_of(files, missing)) {
        PV_TRY(download(packages));
        if (const auto gone = std::ranges::find_if(files, missing); gone != files.end()) {
            return fail(ExitStatus::unavailable, fmt::format("package {} was not fetched", gone->name),
                        "is the disk full?");
        }
    }
    return files;
}

Result<std::string> Apt::choose(const std::string& alternatives) {
    if (lists_stamp().empty()) {
        PV_TRY(update());
    }
    std::string_view rest = alternatives;
    for (;;) {
        const std::size_t end = rest.find(" | ");
        std::string name(rest.substr(0, end));
        // The last one is taken as it is: whoever wants it says what is wrong with it.
        if (end == std::string_view::npos) {
            return name;
        }
        const Result<std::vector<PackageFile>> files = resolve({name});
        if (files.has_value() || files.error().status != ExitStatus::usage) {
            return files.has_value() ? Result<std::string>(name) : std::unexpected(files.error());
        }
        rest.remove_prefix(end + 3);
    }
}

Result<std::vector<PackageFile>> Apt::get(const std::vector<std::string>& packages) {
    if (packages.empty()) {
        return std::vector<PackageFile>{};
    }
    if (lists_stamp().empty()) {
        PV_TRY(update());
    }
    Result<std::vector<PackageFile>> files = try_get(packages);
    if (!files.has_value() && !updated_ && files.error().status != ExitStatus::interrupted) {
        // Lists age: what they name may be gone from the mirror, or not be in them yet. Without a network it
        // is the first error that counts.
        if (const Result<> fresh = update(); fresh.has_value()) {
            files = try_get(packages);
        } else if (fresh.error().status == ExitStatus::interrupted) {
            return std::unexpected(fresh.error());
        }
    }
    return files;
}

}  // namespace pv::images
