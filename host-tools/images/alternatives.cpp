// Reads maintainers' scripts for what they tell update-alternatives.
// SPDX-License-Identifier: MIT
#include "images/alternatives.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <span>

namespace pv::images {
namespace {

using Words = std::vector<std::string>;

constexpr std::size_t most_steps = 20'000;
constexpr std::size_t most_text = 100'000;

// The simple commands of a script, one after the other. Quotes are gone, what is to be expanded still stands.
class Splitter {
  public:
    explicit Splitter(std::string_view text) : text_(text) {}

    std::vector<Words> commands() {
        while (at_ < text_.size()) {
            step(text_[at_]);
            ++at_;
        }
        end_command();
        return std::move(commands_);
    }

  private:
    void step(char here) {
        switch (here) {
            case '\\':
                ++at_;
                if (at_ < text_.size() && text_[at_] != '\n') {
                    add(text_[at_]);
                }
                break;
            case '\'':
            case '"':
                quoted(here);
                break;
            case '#':
                if (word_) {
                    add(here);
                } else {
                    at_ = std::min(text_.find('\n', at_), text_.size()) - 1;
                }
                break;
            case ' ':
            case '\t':
                end_word();
                break;
            case '\n':
            case ';':
            case '&':
            case '|':
            case '(':
            case ')':
                end_command();
                break;
            default:
                add(here);
        }
    }

    void quoted(char quote) {
        word_ = word_.value_or("");
        for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
            if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) {
                ++at_;
                if (text_[at_] == '\n') {
                    continue;
                }
            }
            add(text_[at_]);
        }
    }

    void add(char here) { word_ = word_.value_or("") + here; }

    void end_word() {
        if (word_) {
            words_.push_back(*std::move(word_));
            word_.reset();
        }
    }

    void end_command() {
        end_word();
        if (!words_.empty()) {
            commands_.push_back(std::move(words_));
            words_.clear();
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::optional<std::string> word_;
    Words words_;
    std::vector<Words> commands_;
};

bool is_name(std::string_view text) {
    return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
           std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

class Script {
  public:
    std::vector<Alternative> run(std::span<const Words> commands) {
        run_all(commands);
        return std::move(found_);
    }

  private:
    void run_all(std::span<const Words> commands) {
        for (std::size_t i = 0; i < commands.size() && ++steps_ < most_steps; ++i) {
            const std::span<const Words> rest = commands.subspan(i + 1);
            const std::span<const std::string> words = without_keywords(commands[i]);
            if (words.size() >= 3 && words[0] == "for" && words[2] == "in") {
                const std::size_t length = length_of_loop(rest);
                repeat(words, rest.first(length));
                i += length;
            } else {
                run_one(words);
            }
        }
    }

    static std::span<const std::string> without_keywords(std::span<const std::string> words) {
        constexpr std::array keywords{"if", "then", "else", "elif", "do", "while", "until", "!", "{"};
        while (!words.empty() && std::ranges::find(keywords, words.front()) != keywords.end()) {
            words = words.subspan(1);
        }
        return words;
    }

    // Commands up to the one with the loop's `done`.
    static std::size_t length_of_loop(std::span<const Words> commands) {
        std::size_t depth = 1;
        for (std::size_t i = 0; i < commands.size(); ++i) {
            for (const std::string& word : commands[i]) {
                if (word == "for" || word == "while" || word == "until") {
                    ++depth;
                } else if (word == "done") {
                    --depth;
                } else if (word != "do" && word != "then" && word != "else") {
                    break;  // only a command's beginning has keywords
                }
            }
            if (depth == 0) {
                return i;
            }
        }
        return commands.size();
    }

    void repeat(std::span<const std::string> words, std::span<const Words> body) {
        for (const std::string& word : words.subspan(3)) {
            const std::optional<std::string> text = expand(word);
            if (!text) {
                continue;
            }
            for (const Words& each : Splitter(*text).commands()) {
                for (const std::string& value : each) {
                    variables_[words[1]] = value;
                    run_all(body);
                }
            }
        }
    }

    void run_one(std::span<const std::string> words) {
        while (!words.empty()) {
            const std::size_t equals = words.front().find('=');
            if (equals == std::string::npos || !is_name(words.front().substr(0, equals))) {
                break;
            }
            const std::string name = words.front().substr(0, equals);
            if (std::optional<std::string> value = expand(words.front().substr(equals + 1))) {
                variables_[name] = *std::move(value);
            } else {
                variables_.erase(name);
            }
            words = words.subspan(1);
        }
        if (!words.empty() &&
            (words.front() == "update-alternatives" || words.front() == "/usr/bin/update-alternatives")) {
            install(words.subspan(1));
        }
    }

    void install(std::span<const std::string> words) {
        Words all;
        for (const std::string& word : words) {
            std::optional<std::string> text = expand(word);
            if (!text) {
                return;
            }
            all.push_back(*std::move(text));
        }
        const auto own = std::ranges::find(all, "--install");
        if (std::distance(own, all.end()) < 5) {
            return;
        }
        int priority = 0;
        const std::string& number = own[4];
        if (std::from_chars(number.data(), number.data() + number.size(), priority).ec != std::errc()) {
            return;
        }
        found_.push_back({own[1], own[3], priority});
        for (auto at = own + 5; std::distance(at, all.end()) >= 4 && *at == "--slave"; at += 4) {
            found_.push_back({at[1], at[3], priority});
        }
    }

    // Nothing where a variable is unknown, or there is more to it than a name.
    std::optional<std::string> expand(std::string_view word) {
        std::string text;
        while (!word.empty()) {
            const std::size_t dollar = word.find_first_of("$`");
            text += word.substr(0, dollar);
            if (dollar == std::string_view::npos) {
                break;
            }
            word.remove_prefix(dollar + 1);
            const bool braced = word.starts_with('{');
            word.remove_prefix(braced ? 1 : 0);
            const auto end = std::ranges::find_if_not(
                word, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
            const std::string name(word.begin(), end);
            word.remove_prefix(name.size());
            const auto value = variables_.find(name);
            if (value == variables_.end() || (braced && !word.starts_with('}')) ||
                text.size() + value->second.size() > most_text) {
                return std::nullopt;
            }
            word.remove_prefix(braced ? 1 : 0);
            text += value->second;
        }
        return text;
    }

    std::map<std::string, std::string> variables_;
    std::vector<Alternative> found_;
    std::size_t steps_ = 0;
};

}  // namespace

std::vector<Alternative> read_alternatives(std::string_view script) {
    return Script().run(Splitter(script.substr(0, most_text)).commands());
}

}  // namespace pv::images
