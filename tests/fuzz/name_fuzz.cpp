// Names and the tables that belong to them, against rules written down a second time. A line of the
// input is a name; the first two are compared with each other.
#include "core/name.hpp"

#include "fuzz.hpp"

namespace {

using namespace kanthorq;

bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// Words of letters and digits with one underscore between each two.
bool is_name_by_words(const std::string& text) {
  if (text.size() > 128) return false;
  for (const std::string& word : fuzz::split(text, '_')) {
    if (word.empty()) return false;
    for (char c : word)
      if (!is_plain(c)) return false;
  }
  return true;
}

void check_verdict(std::string_view name) {
  const NameVerdict verdict = check_name(name);
  REQUIRE((verdict.fault == NameFault::none) == is_name_by_words(std::string(name)));
  REQUIRE(is_name(name) == (verdict.fault == NameFault::none));
  switch (verdict.fault) {
    case NameFault::none:
      break;
    case NameFault::empty:
      REQUIRE(name.empty());
      break;
    case NameFault::too_long:
      REQUIRE(name.size() > 128);
      REQUIRE(verdict.at == 128);
      break;
    case NameFault::bad_character:
      REQUIRE(!is_plain(name[verdict.at]) && name[verdict.at] != '_');
      break;
    case NameFault::outer_underscore:
      REQUIRE(name[verdict.at] == '_');
      REQUIRE(verdict.at == 0 || verdict.at == name.size() - 1);
      break;
    case NameFault::double_underscore:
      REQUIRE(name[verdict.at] == '_' && name[verdict.at - 1] == '_');
      break;
  }
}

void check_identifier(const TableName& table, std::string_view prefix) {
  REQUIRE(table.size <= 63);
  REQUIRE(table.bytes[table.size] == '\0');
  REQUIRE(table.view().substr(0, prefix.size()) == prefix);
  for (char c : table.view()) REQUIRE(is_plain(c) || c == '_');
}

void check_tables(std::string_view name) {
  for (std::string_view prefix : {stream_table_prefix, consumer_table_prefix}) {
    const TableName table = table_name(prefix, name);
    check_identifier(table, prefix);
    const std::string literal = std::string(prefix) + std::string(name);
    if (literal.size() <= 63 && name != "registry")
      REQUIRE(table.view() == literal);
    else
      REQUIRE(table.view().find("__") != std::string_view::npos);
    for (std::string_view part : {"id", "subject", "position_seq"}) {
      const TableName index = part_name(prefix, name, part);
      check_identifier(index, prefix);
      REQUIRE(index.view() != table.view());
      REQUIRE(index.view().substr(index.size - part.size()) == part);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> valid;
  for (const std::string& line : fuzz::split(fuzz::as_text(data, size), '\n')) {
    const fuzz::Exact name(line);
    check_verdict(name.view());
    if (!is_name(name.view())) continue;
    check_tables(name.view());
    valid.push_back(line);
  }
  if (valid.size() >= 2) {
    const TableName one = table_name(stream_table_prefix, valid[0]);
    const TableName other = table_name(stream_table_prefix, valid[1]);
    REQUIRE((one.view() == other.view()) == (valid[0] == valid[1]));
    REQUIRE(part_name(stream_table_prefix, valid[0], "id").view() != other.view());
  }
  return 0;
}
