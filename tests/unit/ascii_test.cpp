// Owns the rules of core/ascii.hpp: which bytes are letters and digits, and slices that never
// throw.
#include "core/ascii.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace kanthorq {
namespace {

constexpr std::string_view digits = "0123456789";
constexpr std::string_view lower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

bool is_one_of(std::string_view set, char c) { return set.find(c) != std::string_view::npos; }

TEST(Ascii, EveryByteIsInItsClassesOnly) {
  for (int byte = 0; byte < 256; byte++) {
    SCOPED_TRACE(byte);
    const char c = static_cast<char>(byte);
    EXPECT_EQ(is_digit(c), is_one_of(digits, c));
    EXPECT_EQ(is_lower(c), is_one_of(lower, c));
    EXPECT_EQ(is_upper(c), is_one_of(upper, c));
    EXPECT_EQ(is_letter(c), is_one_of(lower, c) || is_one_of(upper, c));
    EXPECT_EQ(is_letter_or_digit(c),
              is_one_of(lower, c) || is_one_of(upper, c) || is_one_of(digits, c));
  }
}

TEST(Ascii, OnlyUpperCaseLettersChangeToLowerCase) {
  for (int byte = 0; byte < 256; byte++) {
    SCOPED_TRACE(byte);
    const char c = static_cast<char>(byte);
    const std::size_t place = upper.find(c);
    EXPECT_EQ(to_lower(c), place == std::string_view::npos ? c : lower[place]);
  }
}

TEST(Ascii, SliceStopsAtTheEndOfTheText) {
  constexpr auto rest = std::string_view::npos;
  constexpr struct {
    std::size_t at;
    std::size_t length;
    std::string_view expected;
  } cases[] = {
      {0, 5, "order"}, {0, rest, "order"}, {0, 0, ""},        {0, 6, "order"}, {1, 3, "rde"},
      {4, 1, "r"},     {4, 2, "r"},        {5, 0, ""},        {5, 1, ""},      {6, 1, ""},
      {rest, 1, ""},   {rest, rest, ""},   {1, rest, "rder"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::Message() << "at " << c.at << ", length " << c.length);
    EXPECT_EQ(slice("order", c.at, c.length), c.expected);
  }
  EXPECT_EQ(slice("order", 2), "der");
  EXPECT_EQ(slice("", 0), "");
  EXPECT_EQ(slice(std::string_view{}, 1, 1), "");
}

}  // namespace
}  // namespace kanthorq
