// Making ids for events.
#pragma once

#include "core/event_id.hpp"
#include "core/sortable_id.hpp"
#include "server/pg.hpp"

namespace kanthorq {

// The next ULID of this session. It is greater than all before it, also if the clock steps back.
Bits128 next_ulid();

// The 26 characters of a ULID, as text.
Datum ulid_datum(Bits128 bits);

// A form of ids, for making them.
inline constexpr std::size_t max_id_prefix_bytes = max_event_id_bytes - 1 - ulid_length;
struct IdForm {
  enum Kind : std::uint8_t { ulid, uuidv7, prefixed };
  Kind kind = ulid;
  std::uint8_t prefix_size = 0;
  char prefix[max_id_prefix_bytes]{};  // without the underscore

  std::string_view prefix_view() const { return {prefix, prefix_size}; }
};

// Reads 'ulid', 'uuidv7' or a prefix. Raises 22023 for anything else.
IdForm parse_id_form(std::string_view text);

// As parse_id_form() reads it.
const char* id_form_text(const IdForm& form);

// A new id of this form, as text, greater than all before it of this form in this session. Sets
// `milliseconds` to the time in it.
Datum new_id(const IdForm& form, std::uint64_t& milliseconds);

// The least id of this form that carries this time. From max_id_milliseconds + 1 on: what sorts
// after all ids of this form.
const char* id_floor(const IdForm& form, std::uint64_t milliseconds);

// An SQL expression that makes ids of this form, with our functions in this schema.
const char* id_expression(const IdForm& form, Oid schema);

// The milliseconds from 1970 to `at`, for an id. Raises 22023 if an id can't carry the time: before
// 1970, after the year 10889, or infinite.
std::uint64_t require_id_milliseconds(TimestampTz at);

}  // namespace kanthorq
