// Owns the rules of core/name.hpp: which names streams and consumers may have, and which table
// belongs to a name, now and in every later version.
#include "core/name.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <unordered_set>

namespace kanthorq {

void PrintTo(NameFault fault, std::ostream* out) {
  constexpr const char* words[] = {
      "none", "empty", "too_long", "bad_character", "outer_underscore", "double_underscore",
  };
  *out << words[static_cast<int>(fault)];
}

namespace {

using namespace std::string_view_literals;

constexpr std::string_view consumer_table_prefix = "kanthorq_consumer_";

std::string table_of_stream(std::string_view name) {
  return std::string(table_name(stream_table_prefix, name).view());
}

TEST(Name, ValidNamesHaveNoFault) {
  constexpr std::string_view names[] = {
      "order_notification",  // the Stream document's
      "order_update",        // the Event document's
      "a",
      "Z",
      "0",
      "order",
      "Order",
      "ORDER_NOTIFICATION",
      "0_1_2",
      "2fa",
      "a_b_c_d",
      "select",
  };
  for (std::string_view name : names) {
    SCOPED_TRACE(name);
    EXPECT_EQ(check_name(name).fault, NameFault::none);
    EXPECT_EQ(check_name(name).at, 0u);
    EXPECT_TRUE(is_name(name));
  }
}

TEST(Name, AFaultTellsWhatIsWrongAndWhere) {
  constexpr struct {
    std::string_view name;
    NameFault fault;
    std::size_t at;
  } cases[] = {
      {"", NameFault::empty, 0},
      {"order notification", NameFault::bad_character, 5},
      {" order", NameFault::bad_character, 0},
      {"order ", NameFault::bad_character, 5},
      {"order\n", NameFault::bad_character, 5},
      {"order\0"sv, NameFault::bad_character, 5},
      {"or\0der"sv, NameFault::bad_character, 2},
      {"order-notification", NameFault::bad_character, 5},
      {"order.notification", NameFault::bad_character, 5},
      {"order$", NameFault::bad_character, 5},
      {"\"order\"", NameFault::bad_character, 0},
      {"order\"; DROP TABLE event; --", NameFault::bad_character, 5},
      {"order'", NameFault::bad_character, 5},
      {"order\\", NameFault::bad_character, 5},
      {"order/1", NameFault::bad_character, 5},
      {"order%", NameFault::bad_character, 5},
      {"caf\xc3\xa9", NameFault::bad_character, 3},               // é
      {"\xc4\x91\xc6\xa1n", NameFault::bad_character, 0},         // đơn
      {"order_\xe2\x80\x8bupdate", NameFault::bad_character, 6},  // a zero width space
      {"\xef\xbd\x8frder", NameFault::bad_character, 0},          // a full width o
      {"order\xff", NameFault::bad_character, 5},
      {"_", NameFault::outer_underscore, 0},
      {"_order", NameFault::outer_underscore, 0},
      {"order_", NameFault::outer_underscore, 5},
      {"__order", NameFault::outer_underscore, 0},
      {"order__update", NameFault::double_underscore, 6},
      {"a_b__c", NameFault::double_underscore, 4},
      {"order__", NameFault::double_underscore, 6},
      {"order___update", NameFault::double_underscore, 6},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(check_name(c.name).fault, c.fault);
    EXPECT_EQ(check_name(c.name).at, c.at);
    EXPECT_FALSE(is_name(c.name));
  }
}

TEST(Name, EveryByteIsALetterADigitAnUnderscoreOrRefused) {
  constexpr std::string_view accepted =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  for (int byte = 0; byte < 256; byte++) {
    SCOPED_TRACE(byte);
    const char c = static_cast<char>(byte);
    const bool good = accepted.find(c) != std::string_view::npos;
    EXPECT_EQ(is_name(std::string_view(&c, 1)), good);
    const char inner[] = {'a', c, 'b'};
    EXPECT_EQ(check_name({inner, 3}).fault,
              good || c == '_' ? NameFault::none : NameFault::bad_character);
  }
}

TEST(Name, IsAtMost128Bytes) {
  for (std::size_t size : {1, 46, 47, 48, 62, 63, 64, 65, 127, 128}) {
    SCOPED_TRACE(size);
    EXPECT_EQ(check_name(std::string(size, 'a')).fault, NameFault::none);
  }
  for (std::size_t size : {129, 130, 200, 256, 100000}) {
    SCOPED_TRACE(size);
    const NameVerdict verdict = check_name(std::string(size, 'a'));
    EXPECT_EQ(verdict.fault, NameFault::too_long);
    EXPECT_EQ(verdict.at, 128u);
  }
}

TEST(Name, AWrongCharacterIsToldBeforeTheLength) {
  std::string name(129, 'a');
  name[7] = '.';
  EXPECT_EQ(check_name(name).fault, NameFault::bad_character);
  EXPECT_EQ(check_name(name).at, 7u);
}

TEST(TableName, IsThePrefixAndTheNameUpTo47Bytes) {
  EXPECT_EQ(table_of_stream("order_notification"), "kanthorq_stream_order_notification");
  EXPECT_EQ(table_of_stream("order_update"), "kanthorq_stream_order_update");
  for (std::size_t size = 1; size <= 47; size++) {
    SCOPED_TRACE(size);
    const std::string name(size, 'x');
    EXPECT_EQ(table_of_stream(name), "kanthorq_stream_" + name);
  }
  EXPECT_EQ(table_of_stream(std::string(47, 'x')).size(), 63u);
}

TEST(TableName, OfALongerNameIsItsHeadTwoUnderscoresAndAHash) {
  for (std::size_t size = 48; size <= 128; size++) {
    SCOPED_TRACE(size);
    const std::string name(size, 'x');
    const std::string table = table_of_stream(name);
    EXPECT_EQ(table.size(), 63u);
    EXPECT_EQ(table.substr(0, 47), "kanthorq_stream_" + std::string(29, 'x') + "__");
    EXPECT_EQ(table.find_first_not_of("0123456789abcdef", 47), std::string::npos) << table;
  }
}

// Tables are found by these names again after every upgrade, dump and restore: what stands here
// must never change.
TEST(TableName, OfALongNameIsTheSameForEver) {
  constexpr std::string_view name = "order_notification_of_every_warehouse_in_southeast_asia";
  EXPECT_EQ(table_name("kanthorq_stream_", name).view(),
            "kanthorq_stream_order_notification_of_every_w__555352aa65df1cb1");
  EXPECT_EQ(table_name(consumer_table_prefix, name).view(),
            "kanthorq_consumer_order_notification_of_every__555352aa65df1cb1");
  EXPECT_EQ(table_of_stream("order_notification_of_every_warehouse_in_region_2000"),
            "kanthorq_stream_order_notification_of_every_w__02b8cee9cab04245");
  EXPECT_EQ(table_of_stream(std::string(48, 'a')),
            "kanthorq_stream_aaaaaaaaaaaaaaaaaaaaaaaaaaaaa__b4fb5d9ed928bad5");
  EXPECT_EQ(table_of_stream(std::string(128, 'a')),
            "kanthorq_stream_aaaaaaaaaaaaaaaaaaaaaaaaaaaaa__57fc415dd1387da5");
}

// The published values of FNV-1a, and one with a byte above 127, where a signed char would differ.
TEST(TableName, HashIsFnv1a) {
  EXPECT_EQ(stable_hash(""), 0xcbf29ce484222325u);
  EXPECT_EQ(stable_hash("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(stable_hash("b"), 0xaf63df4c8601f1a5u);
  EXPECT_EQ(stable_hash("foobar"), 0x85944171f73967e8u);
  EXPECT_EQ(stable_hash("\xff"), 0xaf64724c8602eb6eu);
}

TEST(TableName, KeepsTheCase) {
  EXPECT_EQ(table_of_stream("Order"), "kanthorq_stream_Order");
  EXPECT_NE(table_of_stream("Order"), table_of_stream("order"));
  const std::string name(60, 'a');
  std::string other = name;
  other.back() = 'A';
  EXPECT_NE(table_of_stream(name), table_of_stream(other));
}

TEST(TableName, NamesThatShareTheirFirst47BytesHaveDifferentTables) {
  const std::string head(47, 'a');
  std::unordered_set<std::string> tables{table_of_stream(head)};
  for (std::string_view tail : {"a", "b", "A", "aa", "ab", "ba", "_a", "_b", "1", "_1_2"}) {
    SCOPED_TRACE(tail);
    EXPECT_TRUE(tables.insert(table_of_stream(head + std::string(tail))).second);
  }
}

TEST(TableName, APrefixOfAnotherLengthMovesTheLimit) {
  const std::string name(128, 'c');
  for (std::size_t size = 1; size <= 128; size++) {
    SCOPED_TRACE(size);
    const std::string_view head = std::string_view(name).substr(0, size);
    const TableName table = table_name(consumer_table_prefix, head);
    EXPECT_EQ(table.view() == std::string(consumer_table_prefix) + std::string(head), size <= 45);
    EXPECT_EQ(table.size, size < 45 ? 18 + size : 63);
    EXPECT_TRUE(table.view().starts_with(consumer_table_prefix));
  }
}

TEST(TableName, IsANulTerminatedIdentifier) {
  for (std::size_t size = 1; size <= 128; size++) {
    SCOPED_TRACE(size);
    const TableName table = table_name(stream_table_prefix, std::string(size, 'x'));
    EXPECT_LE(table.size, 63u);
    EXPECT_EQ(std::strlen(table.c_str()), table.size);
    EXPECT_EQ(table.view(), table.c_str());
  }
}

TEST(TableName, OfALongNameIsNeverTheLiteralTableOfAnother) {
  for (std::string_view name : {
           "order_notification_of_every_warehouse_in_southeast_asia"sv,
           "order_notification_of_a_place_x_y_z_and_others_too"sv,  // an underscore as 29th byte
           "aaaaaaaaaaaaaaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaa"sv,
       }) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(is_name(name));
    const std::string table = table_of_stream(name);
    EXPECT_NE(table.find("__"), std::string::npos);
    EXPECT_FALSE(is_name(table.substr(stream_table_prefix.size())));
  }
}

// Letters, digits and single inner underscores, `size` bytes, after `head`.
std::string random_name(std::mt19937_64& random, std::string_view head, std::size_t size) {
  constexpr std::string_view characters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
  std::string name(head);
  while (name.size() < size) {
    const char c = characters[random() % characters.size()];
    const bool outer = name.empty() || name.size() + 1 == size;
    if (c == '_' && (outer || name.back() == '_')) continue;
    name += c;
  }
  return name;
}

// Half of the names are long and share their first 47 bytes, so that only the hash tells them
// apart: one of 32 bits would be expected to fail here.
TEST(TableName, NoTwoOf200000NamesShareATable) {
  std::mt19937_64 random(20240229);
  const std::string head = random_name(random, "order_", 47);
  std::unordered_set<std::string> names;
  std::unordered_set<std::string> tables;
  while (names.size() < 200000) {
    const bool long_name = names.size() % 2 == 0;
    std::string name = long_name ? random_name(random, head, 55 + random() % 74)
                                 : random_name(random, "", 1 + random() % 128);
    if (!names.insert(name).second) continue;
    ASSERT_TRUE(is_name(name)) << name;
    const std::string table = table_of_stream(name);
    ASSERT_LE(table.size(), 63u) << name;
    ASSERT_TRUE(table.starts_with("kanthorq_stream_")) << name;
    ASSERT_EQ(table == "kanthorq_stream_" + name, name.size() <= 47) << name;
    ASSERT_TRUE(tables.insert(table).second) << name << " shares " << table;
  }
  EXPECT_EQ(tables.size(), 200000u);
}

// kanthorq_stream_registry is the registry's own table.
TEST(TableName, OfAStreamCalledRegistryIsNotTheRegistry) {
  EXPECT_EQ(table_of_stream("registry"), "kanthorq_stream_registry__1372da77c0d31d8e");
  EXPECT_EQ(table_of_stream("Registry"), "kanthorq_stream_Registry");
  EXPECT_EQ(table_of_stream("registry_pkey"), "kanthorq_stream_registry_pkey");
}

std::string part_of_stream(std::string_view name, std::string_view part) {
  return std::string(part_name(stream_table_prefix, name, part).view());
}

TEST(PartName, IsTheTableTwoUnderscoresAndThePart) {
  EXPECT_EQ(part_of_stream("order", "pkey"), "kanthorq_stream_order__pkey");
  EXPECT_EQ(part_of_stream("order", "position_seq"), "kanthorq_stream_order__position_seq");
}

// An index called as PostgreSQL calls it, kanthorq_stream_order_pkey, would be the table of the
// stream order_pkey.
TEST(PartName, IsNeverTheTableOfAnotherStream) {
  for (std::size_t length = 1; length <= max_name_bytes; length++) {
    const std::string name(length, 'a');
    for (std::string_view part : {"pkey", "position_key", "position_seq", "subject_id_idx"}) {
      const std::string identifier = part_of_stream(name, part);
      EXPECT_LE(identifier.size(), 63u) << length;
      EXPECT_TRUE(identifier.ends_with("__" + std::string(part))) << identifier;
      EXPECT_FALSE(is_name(identifier.substr(stream_table_prefix.size()))) << identifier;
      EXPECT_NE(identifier, table_of_stream(name)) << length;
    }
  }
}

TEST(PartName, OfLongNamesThatShareTheirHeadDiffers) {
  const std::string head(47, 'a');
  EXPECT_NE(part_of_stream(head + "_b", "pkey"), part_of_stream(head + "_c", "pkey"));
}

TEST(TableName, IsKnownAtCompileTime) {
  static_assert(is_name("order_notification"));
  static_assert(table_name(stream_table_prefix, "order_notification").view() ==
                "kanthorq_stream_order_notification");
}

}  // namespace
}  // namespace kanthorq
