// Owns the rules of core/sortable_id.hpp: how ULIDs and UUIDv7s are written and read, and that
// their byte order is the order of their bits.
#include "core/sortable_id.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <random>
#include <string>
#include <string_view>

namespace kanthorq {

void PrintTo(const Bits128& bits, std::ostream* out) {
  *out << std::hex << "{0x" << bits.high << ", 0x" << bits.low << "}" << std::dec;
}

namespace {

using namespace std::string_view_literals;

std::string ulid_text(Bits128 bits) {
  const auto text = encode_ulid(bits);
  return {text.data(), text.size()};
}

std::string uuid_text(Bits128 bits) {
  const auto text = encode_uuid(bits);
  return {text.data(), text.size()};
}

std::string in_upper_case(std::string_view text) {
  std::string upper(text);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return upper;
}

std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

// The ULID specification's examples, the ends of the range, and texts whose bits are known from
// TypeID's, which writes UUIDs in the same base 32.
constexpr struct {
  std::string_view ulid;
  std::string_view uuid;
  Bits128 bits;
  std::uint64_t milliseconds;
} known[] = {
    {"01ARZ3NDEKTSV4RRFFQ69G5FAV",
     "01563e3a-b5d3-d676-4c61-efb99302bd5b",
     {0x01563e3ab5d3d676, 0x4c61efb99302bd5b},
     1469922850259},
    {"01ARYZ6S41TSV4RRFFQ69G5FAV",
     "01563df3-6481-d676-4c61-efb99302bd5b",
     {0x01563df36481d676, 0x4c61efb99302bd5b},
     1469918176385},
    {"01BX5ZZKBKACTAV9WEVGEMMVRY",
     "015f4bff-cd73-5334-ada7-8edc1d4a6f1e",
     {0x015f4bffcd735334, 0xada78edc1d4a6f1e},
     1508808576371},
    {"01H455VB4PEX5VSKNK084SN02Q",
     "01890a5d-ac96-774b-bcce-b302099a8057",
     {0x01890a5dac96774b, 0xbcceb302099a8057},
     1688096058518},
    {"0123456789ABCDEFGHJKMNPQRS",
     "0110c853-1d09-52d8-d73e-1194e95b5f19",
     {0x0110c8531d0952d8, 0xd73e1194e95b5f19},
     1171591994633},
    {"00000000000000000000000000", "00000000-0000-0000-0000-000000000000", {0, 0}, 0},
    {"00000000000000000000000001", "00000000-0000-0000-0000-000000000001", {0, 1}, 0},
    {"0000000000000000000000000A", "00000000-0000-0000-0000-00000000000a", {0, 10}, 0},
    {"0000000000000000000000000G", "00000000-0000-0000-0000-000000000010", {0, 16}, 0},
    {"00000000000000000000000010", "00000000-0000-0000-0000-000000000020", {0, 32}, 0},
    {"21850M2GA1850M2GA1850M2GA1",
     "41414141-4141-4141-4141-414141414141",
     {0x4141414141414141, 0x4141414141414141},
     0x414141414141},
    {"7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
     "ffffffff-ffff-ffff-ffff-ffffffffffff",
     {~0ull, ~0ull},
     281474976710655},
};

TEST(Ulid, KnownTextsAreReadAndWritten) {
  for (const auto& c : known) {
    SCOPED_TRACE(c.ulid);
    Bits128 bits;
    ASSERT_TRUE(decode_ulid(c.ulid, bits));
    EXPECT_EQ(bits, c.bits);
    EXPECT_EQ(ulid_text(c.bits), c.ulid);
    EXPECT_EQ(milliseconds_of(bits), c.milliseconds);
    EXPECT_TRUE(is_ulid(c.ulid));
    EXPECT_TRUE(is_ulid(in_lower_case(c.ulid)));
  }
}

TEST(Ulid, FirstTenCharactersAreTheTime) {
  constexpr struct {
    std::uint64_t milliseconds;
    std::string_view text;
  } cases[] = {
      {0, "0000000000"},
      {1, "0000000001"},
      {1469918176385, "01ARYZ6S41"},
      {1645557742000, "01FWHE4YDG"},
      {1700000000000, "01HF7YAT00"},
      {281474976710655, "7ZZZZZZZZZ"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.milliseconds);
    const std::string first = ulid_text({c.milliseconds << 16, 0});
    const std::string last = ulid_text({c.milliseconds << 16 | 0xffff, ~0ull});
    EXPECT_EQ(first, std::string(c.text) + "0000000000000000");
    EXPECT_EQ(last, std::string(c.text) + "ZZZZZZZZZZZZZZZZ");
    Bits128 bits;
    ASSERT_TRUE(decode_ulid(last, bits));
    EXPECT_EQ(milliseconds_of(bits), c.milliseconds);
  }
  EXPECT_EQ(max_id_milliseconds, 281474976710655u);
}

TEST(Ulid, ReadsCrockfordsAlphabetInEitherCaseOnly) {
  constexpr std::string_view upper = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  constexpr std::string_view lower = "0123456789abcdefghjkmnpqrstvwxyz";
  EXPECT_EQ(crockford, upper);
  for (int byte = 0; byte < 256; byte++) {
    SCOPED_TRACE(byte);
    const char c = static_cast<char>(byte);
    std::size_t value = upper.find(c);
    if (value == std::string_view::npos) value = lower.find(c);
    const bool digit = value != std::string_view::npos;
    EXPECT_EQ(crockford_value(c), digit ? static_cast<int>(value) : -1);
    for (std::size_t at = 0; at < 26; at++) {
      std::string text(26, '0');
      text[at] = c;
      ASSERT_EQ(is_ulid(text), digit && (at > 0 || value < 8)) << text;
    }
  }
}

TEST(Ulid, RefusesTheLettersThatCrockfordLeavesOut) {
  for (char letter : "ILOUilou"sv) {
    for (std::size_t at = 1; at < 26; at++) {
      std::string text = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
      text[at] = letter;
      EXPECT_FALSE(is_ulid(text)) << text;
    }
  }
}

TEST(Ulid, RefusesWhatNeedsMoreThan128Bits) {
  for (std::string_view text : {
           "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
           "80000000000000000000000000",
           "8zzzzzzzzzzzzzzzzzzzzzzzzz",
           "90000000000000000000000000",
           "A0000000000000000000000000",
           "a0000000000000000000000000",
           "ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
       }) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(is_ulid(text));
  }
}

TEST(Ulid, RefusesEveryOtherLengthAndForm) {
  for (std::string_view text : {
           ""sv,
           "0"sv,
           "01ARZ3NDEKTSV4RRFFQ69G5FA"sv,
           "01ARZ3NDEKTSV4RRFFQ69G5FAVV"sv,
           "001ARZ3NDEKTSV4RRFFQ69G5FAV"sv,
           " 01ARZ3NDEKTSV4RRFFQ69G5FAV"sv,
           "01ARZ3NDEKTSV4RRFFQ69G5FAV "sv,
           "01ARZ3NDEKTSV4RRFFQ69G5FA "sv,
           "01ARZ3NDEK-TSV4RRFFQ69G5FA"sv,
           "01ARZ3NDEKTSV4RRFFQ69G5FA\n"sv,
           "01ARZ3NDEKTSV4RRFFQ69G5FA\0"sv,
           "01ARZ3NDEKTSV4RRFFQ69G5F\xc3\x89"sv,
           "01563e3a-b5d3-d676-4c61-efb99302bd5b"sv,
       }) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(is_ulid(text));
  }
}

TEST(Uuid, KnownTextsAreReadAndWritten) {
  for (const auto& c : known) {
    SCOPED_TRACE(c.uuid);
    Bits128 bits;
    ASSERT_TRUE(decode_uuid(c.uuid, bits));
    EXPECT_EQ(bits, c.bits);
    EXPECT_EQ(uuid_text(c.bits), c.uuid);
  }
}

TEST(Uuid, ExampleOfRfc9562) {
  constexpr std::string_view text = "017F22E2-79B0-7CC3-98C4-DC0C0C07398F";
  Bits128 bits;
  ASSERT_TRUE(decode_uuid(text, bits));
  EXPECT_EQ(bits, (Bits128{0x017f22e279b07cc3, 0x98c4dc0c0c07398f}));
  EXPECT_EQ(milliseconds_of(bits), 1645557742000u);
  EXPECT_TRUE(is_version_7(bits));
  EXPECT_EQ(uuid_text(bits), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  EXPECT_TRUE(is_uuidv7(text));
  EXPECT_TRUE(is_uuidv7(in_lower_case(text)));
  EXPECT_TRUE(is_uuidv7("017f22E2-79b0-7cC3-98C4-dc0c0C07398f"));
}

// The examples of RFC 9562, appendices A and B, and section 5.9's and 5.10's nil and max.
TEST(Uuid, OtherVersionsOfRfc9562AreRefused) {
  for (std::string_view text : {
           "C232AB00-9414-11EC-B3C8-9F6BDECED846",  // 1
           "5df41881-3aed-3515-88a7-2f4a814cf09e",  // 3
           "919108f7-52d1-4320-9bac-f847db4148a8",  // 4
           "2ed6657d-e927-568b-95e1-2665a8aea6a2",  // 5
           "1EC9414C-232A-6B00-B3C8-9F6BDECED846",  // 6
           "2489E9AD-2EE2-8E00-8EC9-32D5F69181C0",  // 8
           "5c146b14-3c52-8afd-938a-375d0df1fbf6",  // 8
           "00000000-0000-0000-0000-000000000000",
           "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
       }) {
    SCOPED_TRACE(text);
    Bits128 bits;
    ASSERT_TRUE(decode_uuid(text, bits));
    EXPECT_FALSE(is_version_7(bits));
    EXPECT_FALSE(is_uuidv7(text));
  }
}

TEST(Uuid, OnlyVersion7AndItsVariantAreAccepted) {
  constexpr std::string_view hex = "0123456789abcdef";
  for (char version : hex) {
    for (char variant : hex) {
      std::string text = "017f22e2-79b0-0cc3-08c4-dc0c0c07398f";
      text[14] = version;
      text[19] = variant;
      EXPECT_EQ(is_uuidv7(text), version == '7' && "89ab"sv.find(variant) != "89ab"sv.npos) << text;
    }
  }
}

TEST(Uuid, ReadsHexadecimalInEitherCaseOnly) {
  constexpr std::string_view lower = "0123456789abcdef";
  constexpr std::string_view upper = "0123456789ABCDEF";
  constexpr std::string_view nil = "00000000-0000-0000-0000-000000000000";
  for (int byte = 0; byte < 256; byte++) {
    SCOPED_TRACE(byte);
    const char c = static_cast<char>(byte);
    std::size_t value = lower.find(c);
    if (value == std::string_view::npos) value = upper.find(c);
    const bool digit = value != std::string_view::npos;
    EXPECT_EQ(hex_value(c), digit ? static_cast<int>(value) : -1);
    for (std::size_t at = 0; at < 36; at++) {
      std::string text(nil);
      text[at] = c;
      Bits128 bits;
      ASSERT_EQ(decode_uuid(text, bits), nil[at] == '-' ? c == '-' : digit) << text;
    }
  }
}

TEST(Uuid, RefusesEveryOtherForm) {
  for (std::string_view text : {
           ""sv,
           "017f22e279b07cc398c4dc0c0c07398f"sv,
           "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}"sv,
           "urn:uuid:017f22e2-79b0-7cc3-98c4-dc0c0c07398f"sv,
           "017f22e2-79b0-7cc3-98c4-dc0c0c07398"sv,
           "017f22e2-79b0-7cc3-98c4-dc0c0c07398ff"sv,
           "017f22e2-79b0-7cc3-98c4-dc0c0c07398g"sv,
           "017f22e27-9b0-7cc3-98c4-dc0c0c07398f"sv,
           "017f22e2_79b0_7cc3_98c4_dc0c0c07398f"sv,
           "017f22e2-79b0-7cc3-98c4dc0c-0c07398f"sv,
           "017f-22e2-79b0-7cc3-98c4-dc0c-0c07398"sv,
           " 17f22e2-79b0-7cc3-98c4-dc0c0c07398f"sv,
           "017f22e2-79b0-7cc3-98c4-dc0c0c07398\n"sv,
           "0x7f22e2-79b0-7cc3-98c4-dc0c0c07398f"sv,
       }) {
    SCOPED_TRACE(text);
    Bits128 bits;
    EXPECT_FALSE(decode_uuid(text, bits));
    EXPECT_FALSE(is_uuidv7(text));
  }
}

TEST(SortableId, EverySingleBitSurvivesWritingAndReading) {
  for (int bit = 0; bit < 128; bit++) {
    SCOPED_TRACE(bit);
    const Bits128 bits = bit < 64 ? Bits128{0, 1ull << bit} : Bits128{1ull << (bit - 64), 0};
    Bits128 read;
    ASSERT_TRUE(decode_ulid(ulid_text(bits), read));
    EXPECT_EQ(read, bits);
    ASSERT_TRUE(decode_uuid(uuid_text(bits), read));
    EXPECT_EQ(read, bits);
  }
}

TEST(SortableId, RandomBitsSurviveWritingAndReadingInEitherCase) {
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 100000; i++) {
    const Bits128 bits{random(), random()};
    const std::string ulid = ulid_text(bits);
    const std::string uuid = uuid_text(bits);
    ASSERT_EQ(ulid, in_upper_case(ulid));
    ASSERT_EQ(uuid, in_lower_case(uuid));
    for (const std::string& text : {ulid, in_lower_case(ulid)}) {
      Bits128 read;
      ASSERT_TRUE(decode_ulid(text, read)) << text;
      ASSERT_EQ(read, bits) << text;
    }
    for (const std::string& text : {uuid, in_upper_case(uuid)}) {
      Bits128 read;
      ASSERT_TRUE(decode_uuid(text, read)) << text;
      ASSERT_EQ(read, bits) << text;
    }
  }
}

bool before(Bits128 a, Bits128 b) { return a.high < b.high || (a.high == b.high && a.low < b.low); }

// Neighbours, where a carry runs through the text, and pairs at any distance.
TEST(SortableId, ByteOrderIsTheOrderOfTheBits) {
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 100000; i++) {
    const Bits128 a{random(), i % 4 == 0 ? ~0ull : random()};
    Bits128 b{random(), random()};
    if (i % 2 == 0) b = {a.high + (a.low == ~0ull), a.low + 1};
    ASSERT_EQ(ulid_text(a) < ulid_text(b), before(a, b)) << ulid_text(a) << ' ' << ulid_text(b);
    ASSERT_EQ(uuid_text(a) < uuid_text(b), before(a, b)) << uuid_text(a) << ' ' << uuid_text(b);
  }
}

TEST(SortableId, ByteOrderIsTheOrderOfTime) {
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 100000; i++) {
    const std::uint64_t earlier = random() % max_id_milliseconds;
    const std::uint64_t later = i % 2 == 0 ? earlier + 1 : std::max(earlier + 1, random() >> 16);
    const Bits128 a{earlier << 16 | (random() & 0xffff), random()};
    const Bits128 b{later << 16 | (random() & 0xffff), random()};
    ASSERT_LT(ulid_text(a), ulid_text(b));
    ASSERT_LT(uuid_text(a), uuid_text(b));
    ASSERT_EQ(milliseconds_of(a), earlier);
    ASSERT_EQ(milliseconds_of(b), later);
  }
}

TEST(SortableId, IsKnownAtCompileTime) {
  static_assert(is_ulid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
  static_assert(is_uuidv7("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"));
  static_assert(encode_ulid({~0ull, ~0ull})[0] == '7');
}

}  // namespace
}  // namespace kanthorq
