// Names of streams and consumers, and the names of the tables that belong to them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/ascii.hpp"

namespace kanthorq {

inline constexpr std::size_t max_name_bytes = 128;

enum class NameFault {
  none,
  empty,
  too_long,
  bad_character,     // not a letter, a digit or an underscore
  outer_underscore,  // the first or the last character is an underscore
  double_underscore,
};

struct NameVerdict {
  NameFault fault = NameFault::none;
  std::size_t at = 0;  // byte offset of the offending character
};

// A name is letters, digits and single inner underscores, 1 to 128 characters. Its case is kept.
constexpr NameVerdict check_name(std::string_view name) noexcept {
  if (name.empty()) return {NameFault::empty, 0};
  for (std::size_t i = 0; i < name.size(); i++) {
    if (is_letter_or_digit(name[i])) continue;
    if (name[i] != '_') return {NameFault::bad_character, i};
    if (i == 0 || i + 1 == name.size()) return {NameFault::outer_underscore, i};
    if (name[i + 1] == '_') return {NameFault::double_underscore, i + 1};
  }
  if (name.size() > max_name_bytes) return {NameFault::too_long, max_name_bytes};
  return {};
}

constexpr bool is_name(std::string_view name) noexcept {
  return check_name(name).fault == NameFault::none;
}

// The longest identifier that the server keeps whole (its NAMEDATALEN - 1).
inline constexpr std::size_t max_identifier_bytes = 63;

inline constexpr std::string_view stream_table_prefix = "kanthorq_stream_";
inline constexpr std::string_view consumer_table_prefix = "kanthorq_consumer_";

// An identifier, NUL-terminated, with its own memory.
struct TableName {
  std::array<char, max_identifier_bytes + 1> bytes{};
  std::size_t size = 0;

  constexpr void append(std::string_view text) noexcept {
    for (char c : text) bytes[size++] = c;
  }
  constexpr const char* c_str() const noexcept { return bytes.data(); }
  constexpr std::string_view view() const noexcept { return {bytes.data(), size}; }
};

// FNV-1a, 64 bits. It is the same on every machine and in every version, because the names that it
// is part of are written to disk and carried by dumps.
constexpr std::uint64_t stable_hash(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

// The one name whose literal table is something else: kanthorq_stream_registry is the registry.
inline constexpr std::string_view taken_name = "registry";

constexpr void append_shortened(TableName& to, std::string_view name, std::size_t room) noexcept {
  constexpr std::size_t hash_digits = 16;
  to.append(slice(name, 0, room - 2 - hash_digits));
  to.append("__");
  const std::uint64_t hash = stable_hash(name);
  for (std::size_t digit = hash_digits; digit-- > 0;)
    to.bytes[to.size++] = "0123456789abcdef"[(hash >> (4 * digit)) & 15];
}

// The table that belongs to a valid name: `prefix` and the name if both fit into an identifier,
// else the prefix, the head of the name, two underscores and the name's hash in hexadecimal. No
// name has two underscores in a row, so a shortened table name is never the literal one of another
// name. Two long names with the same head and the same hash would share a table name. Creating the
// second one is refused (stream/recognition.hpp).
constexpr TableName table_name(std::string_view prefix, std::string_view name) noexcept {
  TableName table;
  table.append(prefix);
  if (prefix.size() + name.size() <= max_identifier_bytes && name != taken_name)
    table.append(name);
  else
    append_shortened(table, name, max_identifier_bytes - prefix.size());
  return table;
}

// An index or sequence of that table: the table's name, two underscores and what it is. Because of
// the underscores it is never the table of another stream.
constexpr TableName part_name(std::string_view prefix, std::string_view name,
                              std::string_view part) noexcept {
  const std::size_t room = max_identifier_bytes - prefix.size() - 2 - part.size();
  TableName result;
  result.append(prefix);
  if (name.size() <= room)
    result.append(name);
  else
    append_shortened(result, name, room);
  result.append("__");
  result.append(part);
  return result;
}

}  // namespace kanthorq
