// Event ids: ULIDs, UUIDs and prefixed ULIDs, against forms written down a second time; decoding
// and encoding are each other's inverse, and valid ids of one form sort as their bits do. Lines of
// the input are ids; its first 16 bytes are the bits of one more.
#include "core/event_id.hpp"

#include "fuzz.hpp"

namespace {

using namespace kanthorq;
using Text = std::string;

Text upper(Text text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = char(c - 32);
  return text;
}

Text lower(Text text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = char(c + 32);
  return text;
}

bool consists_of(std::string_view text, std::string_view alphabet) {
  return text.find_first_not_of(alphabet) == std::string_view::npos;
}

constexpr std::string_view base_32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

bool has_ulid_form(const Text& text) {
  return text.size() == 26 && text[0] >= '0' && text[0] <= '7' && consists_of(upper(text), base_32);
}

bool has_uuid_form(const Text& text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < 36; i++) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (hyphen ? text[i] != '-' : !consists_of(text.substr(i, 1), "0123456789abcdefABCDEF"))
      return false;
  }
  return true;
}

bool has_v7_form(const Text& text) {
  return has_uuid_form(text) && text[14] == '7' && consists_of(text.substr(19, 1), "89abAB");
}

bool has_prefix_form(const Text& text) {
  for (const Text& word : fuzz::split(text, '_'))
    if (!word.empty() && (!consists_of(word, "abcdefghijklmnopqrstuvwxyz0123456789") ||
                          (word[0] >= '0' && word[0] <= '9')))
      return false;
  return !text.empty() && text.front() != '_' && text.back() != '_';
}

bool may_be_id(const Text& text) {
  if (text.size() > 64) return false;
  if (has_ulid_form(text)) return text == upper(text);
  if (has_uuid_form(text)) return has_v7_form(text) && text == lower(text);
  if (text.size() < 28 || text[text.size() - 27] != '_') return false;
  const Text ulid = text.substr(text.size() - 26);
  return has_ulid_form(ulid) && ulid == lower(ulid) &&
         has_prefix_form(text.substr(0, text.size() - 27));
}

// Digit by digit, most significant first.
unsigned __int128 value_of(const Text& text) {
  unsigned __int128 value = 0;
  for (char c : upper(text)) value = value * 32 + base_32.find(c);
  return value;
}

void check_id(const Text& text) {
  const fuzz::Exact exact(text);
  const std::string_view id = exact.view();
  Bits128 bits;
  REQUIRE(is_ulid(id) == has_ulid_form(text));
  REQUIRE(is_uuidv7(id) == has_v7_form(text));
  if (decode_ulid(id, bits)) {
    const unsigned __int128 value = value_of(text);
    REQUIRE(bits.high == std::uint64_t(value >> 64) && bits.low == std::uint64_t(value));
    const auto again = encode_ulid(bits);
    REQUIRE(Text(again.begin(), again.end()) == upper(text));
  }
  REQUIRE(decode_uuid(id, bits) == has_uuid_form(text));
  if (decode_uuid(id, bits)) {
    const auto again = encode_uuid(bits);
    REQUIRE(Text(again.begin(), again.end()) == lower(text));
  }

  const EventIdVerdict verdict = check_event_id(id);
  REQUIRE((verdict.fault == EventIdFault::none) == may_be_id(text));
  if (verdict.fault != EventIdFault::none) {
    REQUIRE(verdict.milliseconds == 0);
    return;
  }
  REQUIRE(verdict.milliseconds <= max_id_milliseconds);
  // No other spelling of it is accepted, and its prefix is what stands before its ULID.
  REQUIRE(text == upper(text) || !is_event_id(upper(text)));
  REQUIRE(text == lower(text) || !is_event_id(lower(text)));
  const std::string_view prefix = event_id_prefix(id);
  REQUIRE(prefix == (text.size() > 36 || text.find('_') != Text::npos
                         ? std::string_view(text).substr(0, text.size() - 26)
                         : std::string_view{}));
}

// Every value has a ULID, and the order of the texts is the order of the values.
void check_bits(Bits128 one, Bits128 other) {
  const bool before = one.high != other.high ? one.high < other.high : one.low < other.low;
  const auto ulid = encode_ulid(one);
  const auto uuid = encode_uuid(one);
  REQUIRE((ulid < encode_ulid(other)) == before);
  REQUIRE((uuid < encode_uuid(other)) == before);
  Bits128 back;
  REQUIRE(decode_ulid({ulid.data(), ulid.size()}, back) && back == one);
  REQUIRE(decode_uuid({uuid.data(), uuid.size()}, back) && back == one);
  const Text text(ulid.begin(), ulid.end());
  REQUIRE(check_event_id(text).milliseconds == one.high >> 16);
  REQUIRE(check_event_id("e_" + lower(text)).milliseconds == one.high >> 16);
  REQUIRE(check_event_id(lower(text)).fault ==
          (text == lower(text) ? EventIdFault::none : EventIdFault::ulid_not_upper_case));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Bits128 one{input.word(), input.word()};
  check_bits(one, {input.word(), input.word()});
  check_bits(one, {one.high, one.low + 1});
  for (const Text& line : fuzz::split(fuzz::as_text(data, size), '\n')) check_id(line);
  return 0;
}
