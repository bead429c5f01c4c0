// Owns the rules of core/event_id.hpp: which texts are event ids, what is wrong with the others,
// and the time inside an id.
#include "core/event_id.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>
#include <string_view>

#include "core/id_generator.hpp"

namespace kanthorq {

void PrintTo(EventIdFault fault, std::ostream* out) {
  constexpr const char* words[] = {
      "none",
      "empty",
      "too_long",
      "ulid_not_upper_case",
      "uuid_not_lower_case",
      "uuid_not_version_7",
      "prefixed_not_lower_case",
      "bad_prefix",
      "unknown_form",
  };
  *out << words[static_cast<int>(fault)];
}

namespace {

using namespace std::string_view_literals;

struct Refused {
  std::string_view id;
  EventIdFault fault;
};

template <std::size_t count>
void expect_refused(const Refused (&cases)[count]) {
  for (const Refused& c : cases) {
    SCOPED_TRACE(c.id);
    EXPECT_EQ(check_event_id(c.id).fault, c.fault);
    EXPECT_EQ(check_event_id(c.id).milliseconds, 0u);
    EXPECT_FALSE(is_event_id(c.id));
  }
}

TEST(EventId, AValidIdTellsItsTimeAndItsPrefix) {
  constexpr struct {
    std::string_view id;
    std::uint64_t milliseconds;
    std::string_view prefix;
  } cases[] = {
      // "we recommend using ULID": the examples of its specification
      {"01ARZ3NDEKTSV4RRFFQ69G5FAV", 1469922850259, ""},
      {"01ARYZ6S41TSV4RRFFQ69G5FAV", 1469918176385, ""},
      {"01BX5ZZKBKACTAV9WEVGEMMVRZ", 1508808576371, ""},
      {"00000000000000000000000000", 0, ""},
      {"7ZZZZZZZZZZZZZZZZZZZZZZZZZ", 281474976710655, ""},
      // "if you're using UUIDs, please use UUIDv7": RFC 9562's example, in lower case
      {"017f22e2-79b0-7cc3-98c4-dc0c0c07398f", 1645557742000, ""},
      {"00000000-0000-7000-8000-000000000000", 0, ""},
      {"ffffffff-ffff-7fff-bfff-ffffffffffff", 281474976710655, ""},
      {"01890a5d-ac96-774b-bcce-b302099a8057", 1688096058518, ""},
      // KanthorQ's Go client's form, and TypeID's examples
      {"event_01arz3ndektsv4rrffq69g5fav", 1469922850259, "event_"},
      {"event_01j6h3q5v0a1b2c3d4e5f6g7h8", 1725003700064, "event_"},
      {"prefix_01h455vb4pex5vsknk084sn02q", 1688096058518, "prefix_"},
      {"user_2x4y6z8a0b1c2d3e4f5g6h7j8k", 102424466696203, "user_"},
      {"prefix_0123456789abcdefghjkmnpqrs", 1171591994633, "prefix_"},
      {"pre_fix_00000000000000000000000000", 0, "pre_fix_"},
      {"e_7zzzzzzzzzzzzzzzzzzzzzzzzz", 281474976710655, "e_"},
      {"v2_01arz3ndektsv4rrffq69g5fav", 1469922850259, "v2_"},
      {"a1b2c3_01arz3ndektsv4rrffq69g5fav", 1469922850259, "a1b2c3_"},
      {"a_b1_01arz3ndektsv4rrffq69g5fav", 1469922850259, "a_b1_"},
      {"a__b_01arz3ndektsv4rrffq69g5fav", 1469922850259, "a__b_"},
      {"ilou_01arz3ndektsv4rrffq69g5fav", 1469922850259, "ilou_"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.id);
    EXPECT_EQ(check_event_id(c.id).fault, EventIdFault::none);
    EXPECT_EQ(check_event_id(c.id).milliseconds, c.milliseconds);
    EXPECT_TRUE(is_event_id(c.id));
    EXPECT_EQ(event_id_prefix(c.id), c.prefix);
  }
}

TEST(EventId, AUlidIsInUpperCase) {
  expect_refused({
      {"01arz3ndektsv4rrffq69g5fav", EventIdFault::ulid_not_upper_case},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAv", EventIdFault::ulid_not_upper_case},
      {"01aRZ3NDEKTSV4RRFFQ69G5FAV", EventIdFault::ulid_not_upper_case},
      // a TypeID without a prefix is a ULID in lower case
      {"01h455vb4pex5vsknk084sn02q", EventIdFault::ulid_not_upper_case},
      {"7zzzzzzzzzzzzzzzzzzzzzzzzz", EventIdFault::ulid_not_upper_case},
  });
}

TEST(EventId, AUuidIsInLowerCase) {
  expect_refused({
      {"017F22E2-79B0-7CC3-98C4-DC0C0C07398F", EventIdFault::uuid_not_lower_case},
      {"017f22e2-79b0-7cc3-98c4-dc0c0c07398F", EventIdFault::uuid_not_lower_case},
      {"017F22e2-79b0-7cc3-98c4-dc0c0c07398f", EventIdFault::uuid_not_lower_case},
      {"017f22e2-79b0-7cc3-B8c4-dc0c0c07398f", EventIdFault::uuid_not_lower_case},
  });
}

TEST(EventId, AUuidIsOfVersion7) {
  expect_refused({
      // the other examples of RFC 9562, nil and max included, in either case
      {"C232AB00-9414-11EC-B3C8-9F6BDECED846", EventIdFault::uuid_not_version_7},
      {"5df41881-3aed-3515-88a7-2f4a814cf09e", EventIdFault::uuid_not_version_7},
      {"919108f7-52d1-4320-9bac-f847db4148a8", EventIdFault::uuid_not_version_7},
      {"2ed6657d-e927-568b-95e1-2665a8aea6a2", EventIdFault::uuid_not_version_7},
      {"1EC9414C-232A-6B00-B3C8-9F6BDECED846", EventIdFault::uuid_not_version_7},
      {"1ec9414c-232a-6b00-b3c8-9f6bdeced846", EventIdFault::uuid_not_version_7},
      {"2489E9AD-2EE2-8E00-8EC9-32D5F69181C0", EventIdFault::uuid_not_version_7},
      {"00000000-0000-0000-0000-000000000000", EventIdFault::uuid_not_version_7},
      {"ffffffff-ffff-ffff-ffff-ffffffffffff", EventIdFault::uuid_not_version_7},
      // version 7 under another variant
      {"017f22e2-79b0-7cc3-78c4-dc0c0c07398f", EventIdFault::uuid_not_version_7},
      {"017f22e2-79b0-7cc3-c8c4-dc0c0c07398f", EventIdFault::uuid_not_version_7},
      {"017f22e2-79b0-7cc3-08c4-dc0c0c07398f", EventIdFault::uuid_not_version_7},
  });
}

TEST(EventId, APrefixedIdIsInLowerCase) {
  expect_refused({
      {"PREFIX_00000000000000000000000000", EventIdFault::prefixed_not_lower_case},
      {"prefix_0123456789ABCDEFGHJKMNPQRS", EventIdFault::prefixed_not_lower_case},
      {"event_01ARZ3NDEKTSV4RRFFQ69G5FAV", EventIdFault::prefixed_not_lower_case},
      {"EVENT_01ARZ3NDEKTSV4RRFFQ69G5FAV", EventIdFault::prefixed_not_lower_case},
      {"Event_01arz3ndektsv4rrffq69g5fav", EventIdFault::prefixed_not_lower_case},
      {"evenT_01arz3ndektsv4rrffq69g5fav", EventIdFault::prefixed_not_lower_case},
      {"event_01arz3ndektsv4rrffq69g5faV", EventIdFault::prefixed_not_lower_case},
  });
}

TEST(EventId, APrefixStartsWithALetterAndEndsWithALetterOrADigit) {
  expect_refused({
      {"tenant_42_01arz3ndektsv4rrffq69g5fav", EventIdFault::bad_prefix},
      {"_00000000000000000000000000", EventIdFault::bad_prefix},
      {"_prefix_00000000000000000000000000", EventIdFault::bad_prefix},
      {"prefix__00000000000000000000000000", EventIdFault::bad_prefix},
      {"__00000000000000000000000000", EventIdFault::bad_prefix},
      {"12345_00000000000000000000000000", EventIdFault::bad_prefix},
      {"2fa_01arz3ndektsv4rrffq69g5fav", EventIdFault::bad_prefix},
      {"pre.fix_00000000000000000000000000", EventIdFault::bad_prefix},
      {"pr\xc3\xa9"
       "fix_00000000000000000000000000",
       EventIdFault::bad_prefix},
      {"  prefix_00000000000000000000000000", EventIdFault::bad_prefix},
      {"pre-fix_00000000000000000000000000", EventIdFault::bad_prefix},
      {"prefix _00000000000000000000000000", EventIdFault::bad_prefix},
      {"pre\0fix_00000000000000000000000000"sv, EventIdFault::bad_prefix},
  });
}

TEST(EventId, APrefixIsNeverEmpty) {
  EXPECT_FALSE(is_id_prefix({}));
  EXPECT_FALSE(is_id_prefix(""));
  EXPECT_TRUE(is_id_prefix("a"));
}

TEST(EventId, EveryByteOfAPrefixIsCheckedInEveryPlace) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz";
  constexpr std::string_view digits = "0123456789";
  for (int byte = 0; byte < 256; byte++) {
    SCOPED_TRACE(byte);
    const char c = static_cast<char>(byte);
    const bool letter = letters.find(c) != std::string_view::npos;
    const bool digit = digits.find(c) != std::string_view::npos;
    const std::string tail = "_01arz3ndektsv4rrffq69g5fav";
    EXPECT_EQ(is_event_id(c + ("bc" + tail)), letter);
    EXPECT_EQ(is_event_id(std::string("a") + c + "c" + tail), letter || digit || c == '_');
    EXPECT_EQ(is_event_id(std::string("ab") + c + tail), letter || digit);
  }
}

TEST(EventId, AnythingElseIsOfUnknownForm) {
  expect_refused({
      {"1", EventIdFault::unknown_form},
      {"order", EventIdFault::unknown_form},
      {"9223372036854775807", EventIdFault::unknown_form},
      {"507f1f77bcf86cd799439011", EventIdFault::unknown_form},
      {" ", EventIdFault::unknown_form},
      {"\0"sv, EventIdFault::unknown_form},
      // nearly ULIDs
      {"8ZZZZZZZZZZZZZZZZZZZZZZZZZ", EventIdFault::unknown_form},
      {"01ARZ3NDEKTSV4RRFFQ69G5FA", EventIdFault::unknown_form},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAVV", EventIdFault::unknown_form},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAI", EventIdFault::unknown_form},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAL", EventIdFault::unknown_form},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAO", EventIdFault::unknown_form},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAU", EventIdFault::unknown_form},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAV ", EventIdFault::unknown_form},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAV\n", EventIdFault::unknown_form},
      // nearly UUIDs
      {"017f22e279b07cc398c4dc0c0c07398f", EventIdFault::unknown_form},
      {"{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}", EventIdFault::unknown_form},
      {"urn:uuid:017f22e2-79b0-7cc3-98c4-dc0c0c07398f", EventIdFault::unknown_form},
      {"event_017f22e2-79b0-7cc3-98c4-dc0c0c07398f", EventIdFault::unknown_form},
      // TypeID's invalid suffixes
      {"_", EventIdFault::unknown_form},
      {"prefix_", EventIdFault::unknown_form},
      {"prefix_1234567890123456789012345", EventIdFault::unknown_form},
      {"prefix_123456789012345678901234567", EventIdFault::unknown_form},
      {"prefix_1234567890123456789012345 ", EventIdFault::unknown_form},
      {"prefix_123456789-123456789-123456", EventIdFault::unknown_form},
      {"prefix_ooooooiiiiiiuuuuuuulllllll", EventIdFault::unknown_form},
      {"prefix_i23456789ol23456789oi23456", EventIdFault::unknown_form},
      {"prefix_123456789-0123456789-0123456", EventIdFault::unknown_form},
      {"prefix_8zzzzzzzzzzzzzzzzzzzzzzzzz", EventIdFault::unknown_form},
      {"prefix_80000000000000000000000000", EventIdFault::unknown_form},
      {"event-01arz3ndektsv4rrffq69g5fav", EventIdFault::unknown_form},
      {"01arz3ndektsv4rrffq69g5fav_event", EventIdFault::unknown_form},
  });
}

TEST(EventId, IsOneTo64Bytes) {
  const std::string tail = "_01arz3ndektsv4rrffq69g5fav";
  EXPECT_EQ(check_event_id("").fault, EventIdFault::empty);
  EXPECT_EQ(check_event_id({}).fault, EventIdFault::empty);
  for (std::size_t size = 28; size <= 64; size++) {
    SCOPED_TRACE(size);
    EXPECT_TRUE(is_event_id(std::string(size - tail.size(), 'a') + tail));
  }
  for (std::size_t size : {65, 66, 90, 100000}) {
    SCOPED_TRACE(size);
    const std::string id = std::string(size - tail.size(), 'a') + tail;
    EXPECT_EQ(check_event_id(id).fault, EventIdFault::too_long);
    EXPECT_EQ(check_event_id(id).milliseconds, 0u);
  }
  EXPECT_EQ(check_event_id(std::string(64, 'a')).fault, EventIdFault::unknown_form);
  EXPECT_EQ(check_event_id(std::string(65, 'a')).fault, EventIdFault::too_long);
}

TEST(EventId, EachFormSortsByTime) {
  std::mt19937_64 random(20240229);
  const auto text = [](const auto& bytes) { return std::string(bytes.data(), bytes.size()); };
  const auto lower = [](std::string id) {
    for (char& c : id) c = to_lower(c);
    return id;
  };
  IdGenerator ulids;
  IdGenerator uuids;
  std::string ulid;
  std::string uuid;
  std::string prefixed;
  std::uint64_t now = 0;
  for (int i = 0; i < 100000; i++) {
    now += random() % 3 * (random() % 1000000);
    const auto fill = [&](std::uint64_t* high, std::uint64_t* low) {
      *high = random();
      *low = random();
    };
    advance(ulids, now, ulid_random, fill);
    advance(uuids, now, uuidv7_random, fill);
    const std::string next_ulid = text(encode_ulid(as_ulid(ulids)));
    const std::string next_uuid = text(encode_uuid(as_uuidv7(uuids)));
    const std::string next_prefixed = "event_" + lower(next_ulid);
    ASSERT_LT(ulid, next_ulid);
    ASSERT_LT(uuid, next_uuid);
    ASSERT_LT(prefixed, next_prefixed);
    for (const std::string& id : {next_ulid, next_uuid, next_prefixed}) {
      ASSERT_EQ(check_event_id(id).fault, EventIdFault::none) << id;
      ASSERT_EQ(check_event_id(id).milliseconds, now) << id;
    }
    ulid = next_ulid;
    uuid = next_uuid;
    prefixed = next_prefixed;
  }
}

TEST(EventId, IsKnownAtCompileTime) {
  static_assert(is_event_id("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
  static_assert(is_event_id("prefix_01h455vb4pex5vsknk084sn02q"));
  static_assert(check_event_id("01h455vb4pex5vsknk084sn02q").fault ==
                EventIdFault::ulid_not_upper_case);
}

}  // namespace
}  // namespace kanthorq
