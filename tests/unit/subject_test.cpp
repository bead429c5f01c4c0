// Owns the rules of core/subject.hpp: what a subject is, what a filter is, and which subjects a
// filter matches.
#include "core/subject.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace kanthorq {

void PrintTo(SubjectFault fault, std::ostream* out) {
  constexpr const char* words[] = {
      "none",
      "empty",
      "too_long",
      "empty_token",
      "bad_character",
      "no_letter_or_digit",
      "wildcard_in_subject",
      "wildcard_in_token",
      "tail_not_last",
  };
  *out << words[static_cast<int>(fault)];
}

namespace {

using namespace std::string_view_literals;

struct Case {
  std::string_view text;
  SubjectFault fault;
  std::size_t token_number;
  std::string_view token;
};

void expect_verdict(const Case& c, const SubjectVerdict& verdict) {
  EXPECT_EQ(verdict.fault, c.fault);
  EXPECT_EQ(verdict.token_number, c.token_number);
  EXPECT_EQ(verdict.token, c.token);
}

// "Correct Examples" of the Event document, word for word.
constexpr std::string_view documented_subjects[] = {
    "order",
    "order.created",
    "v2.order.created",
    "058434268238.order.created",
    "-1002223543143.subscription.created",
    "ap-southeast-1.user.created",
};

TEST(Subject, CorrectExamplesOfTheEventDocument) {
  for (std::string_view subject : documented_subjects) {
    SCOPED_TRACE(subject);
    EXPECT_TRUE(is_subject(subject));
    expect_verdict({subject, SubjectFault::none, 0, ""}, check_subject(subject));
  }
}

TEST(Subject, IncorrectExamplesOfTheEventDocument) {
  constexpr Case cases[] = {
      {"order.", SubjectFault::empty_token, 2, ""},
      {"order.-", SubjectFault::no_letter_or_digit, 2, "-"},
      {"order..", SubjectFault::empty_token, 2, ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_FALSE(is_subject(c.text));
    expect_verdict(c, check_subject(c.text));
  }
}

TEST(Subject, OtherCorrectOnes) {
  for (std::string_view subject : {
           "a",
           "Z",
           "0",
           "ORDER.Created",
           "-a",
           "a-",
           "--a--",
           "a--b",
           "-1.-2",
           "1.2.3",
           "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z",
       }) {
    SCOPED_TRACE(subject);
    expect_verdict({subject, SubjectFault::none, 0, ""}, check_subject(subject));
  }
}

TEST(Subject, AFaultTellsTheOffendingTokenAndItsPlace) {
  constexpr Case cases[] = {
      {"", SubjectFault::empty, 0, ""},
      {".", SubjectFault::empty_token, 1, ""},
      {"..", SubjectFault::empty_token, 1, ""},
      {".order", SubjectFault::empty_token, 1, ""},
      {"order..created", SubjectFault::empty_token, 2, ""},
      {"v2.order.", SubjectFault::empty_token, 3, ""},
      {"-", SubjectFault::no_letter_or_digit, 1, "-"},
      {"--", SubjectFault::no_letter_or_digit, 1, "--"},
      {"order.---.created", SubjectFault::no_letter_or_digit, 2, "---"},
      {"-.order", SubjectFault::no_letter_or_digit, 1, "-"},
      {" ", SubjectFault::bad_character, 1, " "},
      {"order created", SubjectFault::bad_character, 1, "order created"},
      {" order", SubjectFault::bad_character, 1, " order"},
      {"order.created ", SubjectFault::bad_character, 2, "created "},
      {"order.created\n", SubjectFault::bad_character, 2, "created\n"},
      {"order\t.created", SubjectFault::bad_character, 1, "order\t"},
      {"order.created\0"sv, SubjectFault::bad_character, 2, "created\0"sv},
      {"order_update", SubjectFault::bad_character, 1, "order_update"},
      {"v2.order._", SubjectFault::bad_character, 3, "_"},
      {"order.$1", SubjectFault::bad_character, 2, "$1"},
      {"order/created", SubjectFault::bad_character, 1, "order/created"},
      {"order.cr\xc3\xa9"
       "e",
       SubjectFault::bad_character, 2,
       "cr\xc3\xa9"
       "e"},                                                                               // crée
      {"\xc4\x91\xc6\xa1n.created", SubjectFault::bad_character, 1, "\xc4\x91\xc6\xa1n"},  // đơn
      {"*", SubjectFault::wildcard_in_subject, 1, "*"},
      {">", SubjectFault::wildcard_in_subject, 1, ">"},
      {"order.*", SubjectFault::wildcard_in_subject, 2, "*"},
      {"order.>", SubjectFault::wildcard_in_subject, 2, ">"},
      {"order.*.created", SubjectFault::wildcard_in_subject, 2, "*"},
      {"order.>.created", SubjectFault::wildcard_in_subject, 2, ">"},
      {"order.cre*", SubjectFault::bad_character, 2, "cre*"},
      {"order.>>", SubjectFault::bad_character, 2, ">>"},
      {"a b.c d", SubjectFault::bad_character, 1, "a b"},  // the first of two
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_FALSE(is_subject(c.text));
    expect_verdict(c, check_subject(c.text));
  }
}

TEST(Subject, EveryByteIsALetterADigitAHyphenADotOrRefused) {
  constexpr std::string_view accepted =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
  for (int byte = 0; byte < 256; byte++) {
    SCOPED_TRACE(byte);
    const char c = static_cast<char>(byte);
    const char subject[] = {'a', c, 'b'};
    const bool good = accepted.find(c) != std::string_view::npos;
    EXPECT_EQ(is_subject({subject, 3}), good);
    EXPECT_EQ(is_subject_filter({subject, 3}), good);
  }
}

TEST(Subject, IsAtMost128Bytes) {
  const std::string one_token(128, 'a');
  std::string tokens = "a";
  while (tokens.size() < 127) tokens += ".a";
  const std::string longest = tokens + "a";
  ASSERT_EQ(longest.size(), 128u);
  for (const std::string& subject : {one_token.substr(1), one_token, tokens, longest}) {
    SCOPED_TRACE(subject.size());
    EXPECT_TRUE(is_subject(subject));
    EXPECT_TRUE(is_subject_filter(subject));
  }
  for (const std::string& subject : {one_token + "a", longest + "a", std::string(5000, 'a')}) {
    SCOPED_TRACE(subject.size());
    expect_verdict({subject, SubjectFault::too_long, 0, ""}, check_subject(subject));
    expect_verdict({subject, SubjectFault::too_long, 0, ""}, check_subject_filter(subject));
  }
}

TEST(Subject, AWrongTokenIsToldBeforeTheLength) {
  const std::string subject = std::string(129, 'a') + ".-";
  expect_verdict({subject, SubjectFault::no_letter_or_digit, 2, "-"}, check_subject(subject));
}

TEST(Subject, TokensAreWalkedFromLeftToRight) {
  const struct {
    std::string_view text;
    std::vector<std::string_view> tokens;
  } cases[] = {
      {"", {""}},
      {"order", {"order"}},
      {"v2.order.created", {"v2", "order", "created"}},
      {"a..b", {"a", "", "b"}},
      {".", {"", ""}},
      {"order.", {"order", ""}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Tokens tokens(c.text);
    std::string_view token;
    for (std::size_t i = 0; i < c.tokens.size(); i++) {
      EXPECT_FALSE(tokens.at_end());
      ASSERT_TRUE(tokens.next(token));
      EXPECT_EQ(token, c.tokens[i]);
      EXPECT_EQ(tokens.at_end(), i + 1 == c.tokens.size());
    }
    EXPECT_FALSE(tokens.next(token));
    EXPECT_FALSE(tokens.next(token));
  }
}

TEST(SubjectFilter, EverySubjectIsOne) {
  for (std::string_view subject : documented_subjects) {
    SCOPED_TRACE(subject);
    EXPECT_TRUE(is_subject_filter(subject));
  }
}

TEST(SubjectFilter, MayHaveWildcardsAsTokens) {
  for (std::string_view filter : {
           "*",
           ">",
           "*.*",
           "*.>",
           "*.*.>",
           "order.*",
           "order.>",
           "*.created",
           "order.*.created",
           "v2.*.*",
           "*.order.>",
           "-1002223543143.*.created",
           "ap-southeast-1.>",
       }) {
    SCOPED_TRACE(filter);
    EXPECT_TRUE(is_subject_filter(filter));
    expect_verdict({filter, SubjectFault::none, 0, ""}, check_subject_filter(filter));
  }
}

TEST(SubjectFilter, AFaultTellsTheOffendingTokenAndItsPlace) {
  constexpr Case cases[] = {
      {"", SubjectFault::empty, 0, ""},
      {"order.", SubjectFault::empty_token, 2, ""},
      {"order.-", SubjectFault::no_letter_or_digit, 2, "-"},
      {"order..", SubjectFault::empty_token, 2, ""},
      {"order..*", SubjectFault::empty_token, 2, ""},
      {".>", SubjectFault::empty_token, 1, ""},
      {"*.", SubjectFault::empty_token, 2, ""},
      {"order created", SubjectFault::bad_character, 1, "order created"},
      {"order_update.*", SubjectFault::bad_character, 1, "order_update"},
      {"*.\xc3\xa9", SubjectFault::bad_character, 2, "\xc3\xa9"},
      {">.order", SubjectFault::tail_not_last, 1, ">"},
      {"order.>.created", SubjectFault::tail_not_last, 2, ">"},
      {">.>", SubjectFault::tail_not_last, 1, ">"},
      {">.*", SubjectFault::tail_not_last, 1, ">"},
      {"order.>.", SubjectFault::tail_not_last, 2, ">"},
      {"order.cre*", SubjectFault::wildcard_in_token, 2, "cre*"},
      {"*order", SubjectFault::wildcard_in_token, 1, "*order"},
      {"or*er.created", SubjectFault::wildcard_in_token, 1, "or*er"},
      {"order>", SubjectFault::wildcard_in_token, 1, "order>"},
      {"order.>created", SubjectFault::wildcard_in_token, 2, ">created"},
      {"**", SubjectFault::wildcard_in_token, 1, "**"},
      {">>", SubjectFault::wildcard_in_token, 1, ">>"},
      {"order.*>", SubjectFault::wildcard_in_token, 2, "*>"},
      {"order.* ", SubjectFault::wildcard_in_token, 2, "* "},
      {"order.-*", SubjectFault::wildcard_in_token, 2, "-*"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_FALSE(is_subject_filter(c.text));
    expect_verdict(c, check_subject_filter(c.text));
  }
}

TEST(SubjectFilter, IsAtMost128Bytes) {
  std::string filter = "*";
  while (filter.size() < 127) filter += ".*";
  EXPECT_TRUE(is_subject_filter(filter));
  filter[126] = '>';
  EXPECT_TRUE(is_subject_filter(filter));
  EXPECT_TRUE(is_subject_filter("a" + std::string(125, 'b') + ".>"));
  const std::string too_long = "*." + filter;
  expect_verdict({too_long, SubjectFault::too_long, 0, ""}, check_subject_filter(too_long));
}

TEST(SubjectMatching, FollowsNats) {
  constexpr struct {
    std::string_view filter;
    std::string_view subject;
    bool matches;
  } cases[] = {
      // without a wildcard: the same text
      {"foo", "foo", true},
      {"foo.bar", "foo.bar", true},
      {"foo", "bar", false},
      {"foo", "Foo", false},
      {"foo", "foo.bar", false},
      {"foo.bar", "foo", false},
      {"foo", "foobar", false},
      {"foobar", "foo", false},
      {"foo.bar", "foo.barb", false},
      {"foo.bar", "foo-bar", false},
      // `*`: exactly one token
      {"*", "foo", true},
      {"*", "foo.bar", false},
      {"*.*", "foo.bar", true},
      {"*.*", "foo", false},
      {"*.*", "foo.bar.baz", false},
      {"foo.*", "foo.bar", true},
      {"foo.*", "foo.baz", true},
      {"foo.*", "foo", false},
      {"foo.*", "foo.bar.baz", false},
      {"foo.*", "bar.foo", false},
      {"foo.*.baz", "foo.bar.baz", true},
      {"foo.*.baz", "foo.-1.baz", true},
      {"foo.*.baz", "foo.baz", false},
      {"foo.*.baz", "foo.bar.bar.baz", false},
      {"foo.*.baz", "foo.bar.bar", false},
      {"foo.*.baz", "foo.bar.baz.baz", false},
      {"*.bar", "foo.bar", true},
      {"*.bar", "bar", false},
      {"*.bar", "foo.foo.bar", false},
      {"*.*.baz", "foo.bar.baz", true},
      // `>`: one token or more, at the end
      {">", "foo", true},
      {">", "foo.bar", true},
      {">", "foo.bar.baz", true},
      {"foo.>", "foo.bar", true},
      {"foo.>", "foo.baz", true},
      {"foo.>", "foo.bar.baz", true},
      {"foo.>", "foo.foo.bar.bax.22", true},
      {"foo.>", "foo", false},
      {"foo.>", "bar.baz", false},
      {"foo.>", "foobar.baz", false},
      {"foo.bar.>", "foo.bar", false},
      {"foo.bar.>", "foo.bar.baz", true},
      {"*.>", "foo", false},
      {"*.>", "foo.bar", true},
      {"*.>", "foo.bar.baz", true},
      {"foo.*.>", "foo.bar", false},
      {"foo.*.>", "foo.bar.baz", true},
      {"*.*.east.>", "time.us.east.atlanta", true},
      {"*.*.east.>", "time.us.west.atlanta", false},
      {"*.*.east.>", "time.us.east", false},
      // the documents' subjects
      {"*.order.created", "v2.order.created", true},
      {"*.order.created", "058434268238.order.created", true},
      {"-1002223543143.>", "-1002223543143.subscription.created", true},
      {"ap-southeast-1.*.created", "ap-southeast-1.user.created", true},
      {"ap-southeast.*.created", "ap-southeast-1.user.created", false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::Message() << c.subject << " by " << c.filter);
    ASSERT_TRUE(is_subject(c.subject));
    ASSERT_TRUE(is_subject_filter(c.filter));
    EXPECT_EQ(subject_matches(c.subject, c.filter), c.matches);
  }
}

TEST(SubjectMatching, EverySubjectMatchesItselfAndTheLoneTail) {
  for (std::string_view subject : documented_subjects) {
    SCOPED_TRACE(subject);
    EXPECT_TRUE(subject_matches(subject, subject));
    EXPECT_TRUE(subject_matches(subject, ">"));
    EXPECT_EQ(subject_matches(subject, "*"), subject.find('.') == std::string_view::npos);
  }
}

TEST(FilterHead, IsWhatStandsBeforeTheFirstWildcard) {
  constexpr struct {
    std::string_view filter;
    std::string_view head;
  } cases[] = {
      {"order", "order"},
      {"v2.order.created", "v2.order.created"},
      {">", ""},
      {"*", ""},
      {"*.created", ""},
      {"*.order.>", ""},
      {"order.*", "order."},
      {"order.>", "order."},
      {"order.*.created", "order."},
      {"v2.order.>", "v2.order."},
      {"v2.order.*.*", "v2.order."},
      {"ap-southeast-1.user.*.>", "ap-southeast-1.user."},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.filter);
    EXPECT_EQ(filter_head(c.filter), c.head);
  }
}

// The rule said in another way, over lists of tokens.
using TokenList = std::vector<std::string>;

bool expected_match(const TokenList& subject, const TokenList& filter) {
  const bool tail = !filter.empty() && filter.back() == ">";
  const std::size_t fixed = filter.size() - (tail ? 1 : 0);
  if (tail ? subject.size() <= fixed : subject.size() != fixed) return false;
  for (std::size_t i = 0; i < fixed; i++)
    if (filter[i] != "*" && filter[i] != subject[i]) return false;
  return true;
}

std::string join(const TokenList& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += (text.empty() ? "" : ".") + token;
  return text;
}

TokenList random_tokens(std::mt19937_64& random, const TokenList& choices) {
  TokenList tokens(1 + random() % 5);
  for (std::string& token : tokens) token = choices[random() % choices.size()];
  return tokens;
}

TEST(SubjectMatching, AgreesWithTheRuleOverLists) {
  std::mt19937_64 random(20240229);
  int matched = 0;
  for (int i = 0; i < 200000; i++) {
    const TokenList subject_tokens = random_tokens(random, {"a", "b", "ab", "-1"});
    TokenList filter_tokens = random_tokens(random, {"a", "b", "ab", "-1", "*", "*"});
    if (random() % 3 == 0) filter_tokens.back() = ">";
    const std::string subject = join(subject_tokens);
    const std::string filter = join(filter_tokens);
    ASSERT_TRUE(is_subject(subject)) << subject;
    ASSERT_TRUE(is_subject_filter(filter)) << filter;
    const bool matches = expected_match(subject_tokens, filter_tokens);
    ASSERT_EQ(subject_matches(subject, filter), matches) << subject << " by " << filter;
    if (matches) {
      ASSERT_TRUE(subject.starts_with(filter_head(filter))) << subject << " by " << filter;
      matched++;
    }
  }
  EXPECT_GT(matched, 5000);
}

TEST(SubjectMatching, IsKnownAtCompileTime) {
  static_assert(is_subject("order.created"));
  static_assert(subject_matches("order.created", "order.*"));
  static_assert(filter_head("order.*") == "order.");
}

}  // namespace
}  // namespace kanthorq
