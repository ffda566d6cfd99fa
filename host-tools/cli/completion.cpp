// Writes bash's completion from the CLI11 tree.
// SPDX-License-Identifier: MIT
#include "cli/completion.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

#include "checks/select.hpp"
#include "cli/help.hpp"

namespace pv::cli {
namespace {

// How the command line is read: words before the one to complete say the subcommand, the word before it the
// option. bash divides words at `=` and `:` too, so a value may follow one of those.
constexpr std::string_view program = R"bash(
_paravane() {
  local word kind='' command='' i last=$((COMP_CWORD - 1)) current=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case " $(_paravane_below "$command") " in
      *" $word "*) command=${command:+$command }$word ;;
    esac
  done
  if [[ $current == [:=] ]]; then
    last=$COMP_CWORD current=''
  fi
  word=${COMP_WORDS[last]}
  if [[ $word == '=' ]]; then
    word=${COMP_WORDS[last - 1]}
  fi
  if [[ $word == ':' ]]; then
    kind=FILE
  elif [[ $word == -* ]]; then
    kind=$(_paravane_value "$command" "$word")
  fi
  if [[ -z $kind ]]; then
    if [[ $current == -* ]]; then
      mapfile -t COMPREPLY < <(compgen -W "$(_paravane_options "$command")" -- "$current")
      return
    fi
    kind=$(_paravane_value "$command" '')
    word=$(_paravane_below "$command")
    if [[ -n $word ]]; then
      mapfile -t COMPREPLY < <(compgen -W "$word" -- "$current")
      return
    fi
  fi
  case $kind in
    FILE | PATH)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      ;;
    DIR)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      ;;
    DISK)
      compopt -o nospace
      mapfile -t COMPREPLY < <(compgen -W 'nvme: virtio-blk:' -- "$current")
      ;;
    RULES)
      word=''
      if [[ $current == *,* ]]; then
        word=${current%,*},
      fi
      mapfile -t COMPREPLY < <(compgen -P "$word" -W "$_paravane_rules" -- "${current##*,}")
      ;;
    RECIPE)
      compopt -o filenames
      mapfile -t COMPREPLY < <(
        compgen -W "$("${COMP_WORDS[0]}" image list 2>/dev/null | cut -d' ' -f1)" -- "$current"
        compgen -f -X '!*.toml' -- "$current"
        compgen -d -- "$current"
      )
      ;;
    *'|'*) mapfile -t COMPREPLY < <(compgen -W "${kind//|/ }" -- "$current") ;;
  esac
}
complete -F _paravane paravane
)bash";

// How the value of an option is completed; empty: not at all, but the option takes one.
std::string kind_of(const CLI::Option& option) {
    const std::string type = option.get_type_name();
    if (option.check_lname("rules")) {
        return "RULES";
    }
    if (option.check_lname("net")) {
        return "none|user|listen:|connect:";
    }
    if (type == "KIND:SIZE|PATH") {
        return "DISK";
    }
    if (type == "FILE" || type == "DIR" || type.find('|') != std::string::npos) {
        return type;
    }
    return "-";
}

struct Tables {
    std::string below;
    std::string options;
    std::string values;

    // `path` is "check" or "domain xml", empty for the command itself.
    void add(CLI::App& app, const std::string& path) {
        std::vector<std::string> names;
        for (CLI::App* child :

             app.get_subcommands(nullptr)) {
            names.push_back(child->get_name());
            add(*child, path.empty() ? child->get_name() : path + " " + child->get_name());
        }

        line(below, path, fmt::format("{}", fmt::join(names, " ")));
        names.clear();
        for (const CLI::Option* option : app.get_options()) {
            for (const std::string& name : option->get_lnames()) {
                names.push_back("--" + name);
            }
            add_value(*option, path);
        }
        line(options, path, fmt::format("{}", fmt::join(names, " ")));
    }

  private:
    static void line(std::string& table, std::string_view key, std::string_view value) {
        if (!value.empty()) {
            fmt::format_to(std::back_inserter(table), "    '{}') echo '{}' ;;\n", key, value);
        }
    }

    void add_value(const CLI::Option& option, const std::string& path) {
        if (option.get_positional()) {
            // The first one decides; a question in SQL is not completed.
            if (option.get_name() == "TRACE") {
                line(values, path + " ", "FILE");
            }
            if (option.get_name() == "RECIPE" || option.get_name() == "IMAGE") {
                line(values, path + " ", "RECIPE");
            }
            return;
        }
        if (option.get_items_expected_max() == 0) {
            return;
        }
        const std::string kind = kind_of(option);
        for (const std::string& name : option.get_lnames()) {
            line(values, path + " --" + name, kind);
        }
        for (const std::string& name : option.get_snames()) {
            line(values, path + " -" + name, kind);
        }
    }
};

std::string rule_words() {
    std::string words = "all no-markers";
    if (const auto rules = checks::select_rules({}); rules.has_value()) {
        for (const checks::RuleInfo* rule : *rules) {
            words += fmt::format(" {}", rule->name);
        }
    }
    return words;
}

}  // namespace

std::string bash_completion() {
    CommandLine line = make_command_line();
    Tables tables;
    tables.add(*line.root, "");
    std::string script = "# bash completion for paravane; made from its options.\n";
    const auto function = [&script](std::string_view name, std::string_view key, std::string_view cases) {
        fmt::format_to(std::back_inserter(script), "{}() {{\n  case {} in\n{}  esac\n}}\n", name, key, cases);
    };
    function("_paravane_below", "$1", tables.below);
    function("_paravane_options", "$1", tables.options);
    function("_paravane_value", "\"$1 $2\"", tables.values);
    fmt::format_to(std::back_inserter(script), "_paravane_rules='{}'\n", rule_words());
    return script + std::string(program.substr(1));
}

}  // namespace pv::cli
