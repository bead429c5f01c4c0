// Subjects, filters and matching, against a second implementation. The first line of the input is a
// subject, the second a filter, and each is tried as the other as well.
#include "core/subject.hpp"

#include "filters.hpp"

namespace {

using namespace kanthorq;

void check_fault(std::string_view text, const SubjectVerdict& verdict) {
  switch (verdict.fault) {
    case SubjectFault::none:
      return;
    case SubjectFault::empty:
      REQUIRE(text.empty());
      return;
    case SubjectFault::too_long:
      REQUIRE(text.size() > 128);
      return;
    default: {
      const fuzz::Words words = fuzz::split(text, '.');
      REQUIRE(verdict.token_number >= 1 && verdict.token_number <= words.size());
      REQUIRE(verdict.token == words[verdict.token_number - 1]);
    }
  }
}

void check_forms(std::string_view text) {
  check_fault(text, check_subject(text));
  check_fault(text, check_subject_filter(text));
  REQUIRE(is_subject(text) == fuzz::is_subject_by_words(text));
  REQUIRE(is_subject_filter(text) == fuzz::is_filter_by_words(text));
  if (!is_subject(text)) return;
  REQUIRE(is_subject_filter(text));
  REQUIRE(subject_matches(text, text));
  REQUIRE(subject_matches(text, ">"));
  REQUIRE(filter_head(text) == text);
}

void check_head(std::string_view filter) {
  const std::string_view head = filter_head(filter);
  REQUIRE(filter.substr(0, head.size()) == head);
  const bool has_wildcard = filter.find_first_of("*>") != std::string_view::npos;
  REQUIRE((head.size() < filter.size()) == has_wildcard);
  if (!has_wildcard) return;
  REQUIRE(head.empty() || head.back() == '.');
  REQUIRE(filter[head.size()] == '*' || filter[head.size()] == '>');
  REQUIRE(head.find_first_of("*>") == std::string_view::npos);
}

void check_match(std::string_view subject, std::string_view filter) {
  // What is invalid is never matched, but must do no harm.
  const bool match = subject_matches(subject, filter);
  if (!is_subject_filter(filter)) return;
  check_head(filter);
  if (!is_subject(subject)) return;
  REQUIRE(match == fuzz::matches(subject, filter));
  const std::string_view head = filter_head(filter);
  if (match) REQUIRE(subject.substr(0, head.size()) == head);

  // A filter made of the subject must match: each word in turn, and what is after it.
  fuzz::Words words = fuzz::split(subject, '.');
  std::string made;
  for (std::size_t i = 0; i < words.size(); i++) {
    REQUIRE(subject_matches(subject, made + ">"));
    made += (filter[i % filter.size()] & 1 ? "*" : words[i]) + ".";
  }
  made.pop_back();
  REQUIRE(subject_matches(subject, made));
  REQUIRE(!subject_matches(subject, made + ".>"));
  REQUIRE(!subject_matches(subject, made + ".*"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Words lines = fuzz::split(fuzz::as_text(data, size), '\n');
  lines.resize(2);
  const fuzz::Exact one(lines[0]);
  const fuzz::Exact other(lines[1]);
  check_forms(one.view());
  check_forms(other.view());
  check_match(one.view(), other.view());
  check_match(other.view(), one.view());
  return 0;
}
