// Subjects and subject filters.
//
// The form of a subject is the Event document's: "multiple alphanumeric and hyphenated strings,
// separated by dots"; `order.`, `order.-` and `order..` are wrong. Filters follow NATS: a token `*`
// stands for exactly one token, and a last token `>` for one or more.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/ascii.hpp"

namespace kanthorq {

inline constexpr std::size_t max_subject_bytes = 128;

enum class SubjectFault {
  none,
  empty,
  too_long,
  empty_token,          // nothing before, between or after dots
  bad_character,        // not a letter, a digit or a hyphen
  no_letter_or_digit,   // hyphens only
  wildcard_in_subject,  // `*` or `>` as a token of a subject
  wildcard_in_token,    // `*` or `>` beside other characters of a filter's token
  tail_not_last,        // `>` before the last token of a filter
};

struct SubjectVerdict {
  SubjectFault fault = SubjectFault::none;
  std::size_t token_number = 0;  // of the offending token, counted from 1
  std::string_view token{};      // the offending token
};

// Walks the tokens of a subject or filter. "a..b" has three tokens, the second one empty.
class Tokens {
 public:
  constexpr explicit Tokens(std::string_view text) noexcept : rest_(text) {}

  constexpr bool next(std::string_view& token) noexcept {
    if (done_) return false;
    const std::size_t dot = rest_.find('.');
    done_ = dot == std::string_view::npos;
    token = slice(rest_, 0, dot);
    if (!done_) rest_ = slice(rest_, dot + 1);
    return true;
  }

  constexpr bool at_end() const noexcept { return done_; }

 private:
  std::string_view rest_;
  bool done_ = false;
};

constexpr SubjectFault check_literal_token(std::string_view token) noexcept {
  if (token.empty()) return SubjectFault::empty_token;
  bool letter_or_digit = false;
  for (char c : token) {
    if (is_letter_or_digit(c))
      letter_or_digit = true;
    else if (c != '-')
      return SubjectFault::bad_character;
  }
  return letter_or_digit ? SubjectFault::none : SubjectFault::no_letter_or_digit;
}

constexpr bool is_wildcard(std::string_view token) noexcept { return token == "*" || token == ">"; }

constexpr SubjectFault check_subject_token(std::string_view token, bool) noexcept {
  return is_wildcard(token) ? SubjectFault::wildcard_in_subject : check_literal_token(token);
}

constexpr SubjectFault check_filter_token(std::string_view token, bool last) noexcept {
  if (token == "*") return SubjectFault::none;
  if (token == ">") return last ? SubjectFault::none : SubjectFault::tail_not_last;
  const bool mixed =
      token.find('*') != std::string_view::npos || token.find('>') != std::string_view::npos;
  return mixed ? SubjectFault::wildcard_in_token : check_literal_token(token);
}

template <typename CheckToken>
constexpr SubjectVerdict check_tokens(std::string_view text, CheckToken check) noexcept {
  if (text.empty()) return {SubjectFault::empty, 0, {}};
  Tokens tokens(text);
  std::string_view token;
  for (std::size_t number = 1; tokens.next(token); number++) {
    const SubjectFault fault = check(token, tokens.at_end());
    if (fault != SubjectFault::none) return {fault, number, token};
  }
  if (text.size() > max_subject_bytes) return {SubjectFault::too_long, 0, {}};
  return {};
}

constexpr SubjectVerdict check_subject(std::string_view subject) noexcept {
  return check_tokens(subject, check_subject_token);
}

// A filter is at most as long as a subject: a longer one could match none.
constexpr SubjectVerdict check_subject_filter(std::string_view filter) noexcept {
  return check_tokens(filter, check_filter_token);
}

constexpr bool is_subject(std::string_view subject) noexcept {
  return check_subject(subject).fault == SubjectFault::none;
}

constexpr bool is_subject_filter(std::string_view filter) noexcept {
  return check_subject_filter(filter).fault == SubjectFault::none;
}

// Does a valid subject match a valid filter?
constexpr bool subject_matches(std::string_view subject, std::string_view filter) noexcept {
  Tokens subject_tokens(subject);
  Tokens filter_tokens(filter);
  std::string_view wanted;
  std::string_view found;
  while (filter_tokens.next(wanted)) {
    if (!subject_tokens.next(found)) return false;
    if (wanted == ">") return true;
    if (wanted != "*" && wanted != found) return false;
  }
  return subject_tokens.at_end();
}

// The start of every subject that matches a valid filter: the whole tokens before the first
// wildcard, and the dot after them. A filter without a wildcard is its own head.
constexpr std::string_view filter_head(std::string_view filter) noexcept {
  Tokens tokens(filter);
  std::string_view token;
  while (tokens.next(token))
    if (is_wildcard(token))
      return std::string_view(filter.data(), std::size_t(token.data() - filter.data()));
  return filter;
}

}  // namespace kanthorq
