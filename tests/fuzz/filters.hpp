// Subjects and filters a second time, with vectors and recursion instead of one pass.
#pragma once

#include "fuzz.hpp"

namespace fuzz {

using Words = std::vector<std::string>;

inline bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

inline bool is_literal(const std::string& word) {
  bool plain = false;
  for (char c : word) {
    if (!is_plain(c) && c != '-') return false;
    plain = plain || is_plain(c);
  }
  return plain;
}

inline bool is_subject_by_words(std::string_view text) {
  for (const std::string& word : split(text, '.'))
    if (!is_literal(word)) return false;
  return text.size() <= 128;
}

inline bool is_filter_by_words(std::string_view text) {
  Words words = split(text, '.');
  if (words.back() == ">") words.pop_back();
  for (const std::string& word : words)
    if (word != "*" && !is_literal(word)) return false;
  return text.size() <= 128;
}

// Do the subject's words from `at` match the filter's from `of`?
inline bool matches(const Words& subject, std::size_t at, const Words& filter, std::size_t of) {
  if (of == filter.size()) return at == subject.size();
  if (at == subject.size()) return false;
  if (filter[of] == ">") return true;
  return (filter[of] == "*" || filter[of] == subject[at]) &&
         matches(subject, at + 1, filter, of + 1);
}

inline bool matches(std::string_view subject, std::string_view filter) {
  return matches(split(subject, '.'), 0, split(filter, '.'), 0);
}

}  // namespace fuzz
