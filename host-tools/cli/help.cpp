// Builds the CLI11 tree from the registry: options, descriptions, examples and exit statuses.
// SPDX-License-Identifier: MIT
#include "cli/help.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iterator>
#include <map>

namespace pv::cli {
namespace {

std::string filled(std::string_view text, std::size_t width) {
    std::string result;
    std::size_t column = 0;
    std::string_view rest = text;
    while (!rest.empty()) {
        if (rest.starts_with("\n\n")) {
            result += "\n\n";
            column = 0;
            rest.remove_prefix(2);
            continue;
        }
        if (rest.front() == ' ' || rest.front() == '\n') {
            rest.remove_prefix(1);
            continue;
        }
        const std::size_t end = std::min(rest.find_first_of(" \n"), rest.size());
        if (column != 0 && column + 1 + end > width) {
            result += '\n';
            column = 0;
        }
        if (column != 0) {
            result += ' ';
            ++column;
        }
        result += rest.substr(0, end);
        column += end;
        rest.remove_prefix(end);
    }
    return result;
}

// Lists of subcommands show the summary only, the subcommand's own help the whole description.
class HelpFormatter : public CLI::Formatter {
  public:
    std::string make_subcommand(const CLI::App* app) const override {
        const std::string description = app->get_description();
        return fmt::format("  {:<12}{}\n", app->get_name(), description.substr(0, description.find('\n')));
    }

    std::string make_description(const CLI::App* app) const override {
        return app->get_description() + "\n\n";
    }
};

std::string footer(const Subcommand& subcommand) {
    std::string text;
    if (!subcommand.examples.empty()) {
        text += "Examples:\n";
        for (const Example& example : subcommand.examples) {
            fmt::format_to(std::back_inserter(text), "  {}\n      {}\n", example.command, example.meaning);
        }
    }
    if (!subcommand.statuses.empty()) {
        text += "\nExit status:\n";
        for (const StatusMeaning& meaning : subcommand.statuses) {
            fmt::format_to(std::back_inserter(text), "  {:<4}{}\n", static_cast<int>(meaning.status),
                           meaning.meaning);
        }
    }
    return text;
}

}  // namespace

CommandLine::CommandLine() = default;
CommandLine::~CommandLine() = default;
CommandLine::CommandLine(CommandLine&&) noexcept = default;
CommandLine& CommandLine::operator=(CommandLine&&) noexcept = default;

CommandLine make_command_line() {
    CommandLine line;
    line.root = std::make_unique<CLI::App>(
        filled(
            "Paravane boots a guest in a libvirt domain, watches its DMA, MMIO and interrupts from outside, "
            "injects faults, and says whether isolation and timeouts hold.",
            100),
        "paravane");
    CLI::App& root = *line.root;
    root.formatter(std::make_shared<HelpFormatter>());
    root.require_subcommand(0, 1);
    root.set_help_flag("-h,--help", "Print this help and exit");
    root.set_version_flag("--version", "paravane " PV_VERSION, "Print the version and exit");
    root.set_help_all_flag("--help-all", "Print the help of every subcommand and exit");
    root.footer(
        "`paravane SUBCOMMAND --help` has examples and exit statuses.\nStart with: paravane doctor\n");
    std::map<std::string, CLI::App*, std::less<>> groups;
    for (const Subcommand* subcommand : subcommands()) {
        CLI::App* parent = &root;
        std::string name(subcommand->name);
        if (const std::size_t space = name.find(' '); space != std::string::npos) {
            const std::string group = name.substr(0, space);
            name.erase(0, space + 1);
            auto [where, fresh] = groups.try_emplace(group, nullptr);
            if (fresh) {
                where->second =
                    root.add_subcommand(group, group == "image" ? "Images made from recipes"
                                                                : fmt::format("About the guest's {}", group));
                where->second->require_subcommand(1);
            }
            parent = where->second;
        }
        CLI::App* app = parent->add_subcommand(name, std::string(subcommand->summary));
        Action action = subcommand->define(*app);
        app->description(filled(subcommand->summary, 100) + "\n\n" + filled(subcommand->description, 100));
        app->footer(footer(*subcommand));
        line.bound.push_back({subcommand, app, std::move(action)});
    }
    return line;
}

}  // namespace pv::cli
