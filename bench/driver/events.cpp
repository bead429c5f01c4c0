#include "events.hpp"

namespace bench {

const std::string subject = "order.created";
const std::string rare_subject = "order.settled";
const std::string body(200, 'x');
const std::string metadata = R"({"trace": "4bf92f3577b34da6a3ce929d0e0e4736", "v": 2})";

namespace {

constexpr unsigned text_oid = 25, bytea_oid = 17, jsonb_oid = 3802;

template <int bytes>
void append_number(std::string& to, std::uint64_t number) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    to += static_cast<char>(number >> shift & 255);
}

void append_field(std::string& to, const std::string& field) {
  append_number<4>(to, field.size());
  to += field;
}

// The wire form of jsonb: a version and the document's text.
std::string jsonb(const std::string& document) { return '\1' + document; }

std::string array_of(unsigned oid, const std::vector<std::string>& elements) {
  std::string array;
  append_number<4>(array, 1);  // dimensions
  append_number<4>(array, 0);  // no nulls
  append_number<4>(array, oid);
  append_number<4>(array, elements.size());
  append_number<4>(array, 1);  // the first subscript
  for (const std::string& element : elements) append_field(array, element);
  return array;
}

}  // namespace

std::string next_id() {
  static constexpr char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  static std::uint64_t made = 0;
  std::string id(26, '0');
  std::uint64_t time = static_cast<std::uint64_t>(epoch_ms()), count = ++made;
  for (int i = 9; i >= 0; i--, time >>= 5) id[i] = digits[time & 31];
  for (int i = 25; i >= 10; i--, count >>= 5) id[i] = digits[count & 31];
  return id;
}

CopyData::CopyData(long rows, long rare) {
  bytes_ = std::string("PGCOPY\n\377\r\n\0", 11) + std::string(8, '\0');
  for (long row = 1; row <= rows; row++) {
    append_number<2>(bytes_, 5);
    ids_.push_back(bytes_.size() + 4);
    append_field(bytes_, std::string(26, '0'));
    append_field(bytes_, rare > 0 && row % rare == 0 ? rare_subject : subject);
    append_field(bytes_, body);
    append_field(bytes_, jsonb(metadata));
    append_number<4>(bytes_, 8);
    append_number<8>(bytes_, static_cast<std::uint64_t>(epoch_ms()));
  }
  append_number<2>(bytes_, 0xffff);
}

void CopyData::renew_ids() {
  for (std::size_t at : ids_) bytes_.replace(at, 26, next_id());
}

Arrays::Arrays(long rows, bool with_ids) : rows_(rows), with_ids_(with_ids) {
  const auto repeated = [&](const std::string& element) {
    return std::vector<std::string>(static_cast<std::size_t>(rows), element);
  };
  parameters_ = {array_of(text_oid, repeated(subject)), array_of(bytea_oid, repeated(body)),
                 array_of(jsonb_oid, repeated(jsonb(metadata)))};
  if (with_ids) parameters_.emplace_back();
}

void Arrays::renew_ids() {
  if (!with_ids_) return;
  std::vector<std::string> ids;
  for (long i = 0; i < rows_; i++) ids.push_back(next_id());
  parameters_.back() = array_of(text_oid, ids);
}

}  // namespace bench
