// Owns the rules of core/selection.hpp: some include matches and no exclude does. What one filter
// matches is subject_test.cpp's.
#include "core/selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace kanthorq {
namespace {

using List = std::vector<std::string_view>;

Filters filters_of(const List& list) { return {list.data(), list.size()}; }

bool selects(const List& includes, const List& excludes, std::string_view subject) {
  return Selection{filters_of(includes), filters_of(excludes)}.selects(subject);
}

std::string text_of(const List& list) {
  std::string text;
  for (std::string_view filter : list) text.append(text.empty() ? "" : ", ").append(filter);
  return '{' + text + '}';
}

TEST(Selection, SomeIncludeMatchesAndNoExcludeDoes) {
  const struct {
    List includes;
    List excludes;
    List selected;
    List left_out;
  } cases[] = {
      {{}, {}, {}, {"order", "order.created"}},
      {{}, {"order"}, {}, {"order", "user"}},
      {{}, {">"}, {}, {"order", "user"}},
      {{">"}, {}, {"order", "order.created", "v2.order.created", "-1.a"}, {}},
      {{">"}, {">"}, {}, {"order", "order.created"}},
      {{"order"}, {}, {"order"}, {"Order", "orders", "order.created", "user"}},
      {{"order.*"}, {}, {"order.created", "order.paid"}, {"order", "order.created.v2", "user.a"}},
      {{"order.>"}, {}, {"order.created", "order.created.v2"}, {"order", "user.created"}},
      {{"*"}, {}, {"order", "user"}, {"order.created"}},
      {{"order", "user"}, {}, {"order", "user"}, {"cart"}},
      {{"cart", "user.*", "order.>"},
       {},
       {"cart", "user.a", "order.a.b"},
       {"cart.a", "user", "user.a.b", "order"}},
      {{">"}, {"order"}, {"user", "order.created"}, {"order"}},
      {{">"}, {"order.>"}, {"order", "user.created"}, {"order.created", "order.created.v2"}},
      {{">"}, {"*.created"}, {"order.paid", "created", "a.b.created"}, {"order.created"}},
      {{"order.>"},
       {"order.*.test", "order.deleted"},
       {"order.created", "order.test", "order.deleted.test.a"},
       {"order.created.test", "order.deleted", "user.created"}},
      {{"order.created"}, {"order.created"}, {}, {"order.created"}},
      {{"order.created", "order.>"}, {"order.created"}, {"order.paid"}, {"order.created"}},
      {{"order"}, {"user"}, {"order"}, {"user", "cart"}},
      {{"order"}, {"user", ">"}, {}, {"order", "user", "cart"}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(text_of(c.includes) + " without " + text_of(c.excludes));
    for (std::string_view subject : c.selected)
      EXPECT_TRUE(selects(c.includes, c.excludes, subject)) << subject;
    for (std::string_view subject : c.left_out)
      EXPECT_FALSE(selects(c.includes, c.excludes, subject)) << subject;
  }
}

TEST(Selection, TheOrderOfTheFiltersIsNoMatter) {
  List includes = {"a.*", "b.>", "c"};
  List excludes = {"a.x", "b.*.y"};
  const List subjects = {"a.a", "a.x", "a.a.a", "b.a", "b.a.y", "b.a.z", "b", "c", "c.a", "d"};
  const List selected = {"a.a", "b.a", "b.a.z", "c"};
  do {
    do {
      List found;
      for (std::string_view subject : subjects)
        if (selects(includes, excludes, subject)) found.push_back(subject);
      EXPECT_EQ(found, selected) << text_of(includes) << " without " << text_of(excludes);
    } while (std::next_permutation(excludes.begin(), excludes.end()));
  } while (std::next_permutation(includes.begin(), includes.end()));
}

// `>` is answered without looking at the subject; that must be what it would have found.
TEST(Selection, TheFilterForEverythingIsTheFilterItIs) {
  for (std::string_view subject : {"order", "order.created", "a.b.c.d", "-1", "a-b.c-d"}) {
    SCOPED_TRACE(subject);
    EXPECT_TRUE(subject_matches(subject, ">"));
    EXPECT_TRUE(filters_of({">"}).match(subject));
    EXPECT_TRUE(filters_of({"no.such.subject", ">"}).match(subject));
  }
  EXPECT_FALSE(filters_of({"order.>"}).match("order"));
}

TEST(Selection, WithoutFiltersNothingMatches) {
  EXPECT_FALSE(Filters{}.match("order"));
  EXPECT_FALSE(Selection{}.selects("order"));
}

TEST(Selection, IsKnownAtCompileTime) {
  static constexpr std::string_view includes[] = {"order.>", "user"};
  static constexpr std::string_view excludes[] = {"order.test"};
  constexpr Selection selection{{includes, 2}, {excludes, 1}};
  static_assert(selection.selects("order.created"));
  static_assert(!selection.selects("order.test"));
  static_assert(!selection.selects("cart"));
}

}  // namespace
}  // namespace kanthorq
