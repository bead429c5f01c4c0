// Errors. The core returns codes, and here they get their words, so that every function words the
// same mistake the same way.
//
// Each error has an SQLSTATE, a primary message in the server's style, a detail with the wrong
// value (cut at 64 characters) and its place, and a hint if there is something to do next.
#pragma once

#include "core/event_id.hpp"
#include "core/name.hpp"
#include "core/subject.hpp"
#include "server/pg.hpp"

namespace kanthorq {

// Where a value came from: an argument, or an element of an array argument by its subscript.
struct ValueSource {
  const char* argument;
  int subscript = 0;
  bool in_array = false;
};

// The first 64 characters of a value, for messages. No character is cut in two.
char* clipped(std::string_view value);

// 22023, invalid_parameter_value.
[[noreturn]] void raise_invalid_name(std::string_view name, NameVerdict verdict);
[[noreturn]] void raise_invalid_subject(std::string_view subject, SubjectVerdict verdict,
                                        ValueSource source);
[[noreturn]] void raise_invalid_filter(std::string_view filter, SubjectVerdict verdict);
[[noreturn]] void raise_invalid_event_id(std::string_view id, EventIdVerdict verdict,
                                         ValueSource source);

// 22004, null_value_not_allowed.
[[noreturn]] void raise_null(ValueSource source);

// 23514, check_violation.
[[noreturn]] void raise_metadata_not_object(const Jsonb* metadata, ValueSource source);

// 42704, undefined_object.
[[noreturn]] void raise_no_such_stream(Oid schema, std::string_view name);
[[noreturn]] void raise_no_stream_table(std::string_view name, const char* table);

// 54000, program_limit_exceeded.
[[noreturn]] void raise_event_too_large(Size bytes, Size limit, ValueSource source);

// Raises 22004 if the argument is null.
inline void require_argument(FunctionCallInfo fcinfo, int argument, const char* name) {
  if (PG_ARGISNULL(argument)) raise_null({name});
}

// Each raises 22023 if the name, subject, filter or id is not valid.
void require_name(std::string_view name);
void require_subject(std::string_view subject, ValueSource source);
void require_filter(std::string_view filter);

// The argument "name" of a function, a valid one. Raises 22004 and 22023.
std::string_view required_name(FunctionCallInfo fcinfo, int argument);

// Returns the time inside the id, in milliseconds since 1970.
std::uint64_t require_event_id(std::string_view id, ValueSource source);

// 39P01, trigger_protocol_violated: `function` is for `users` only.
[[noreturn]] void raise_trigger_protocol(const char* function, const char* users);

// The trigger that fired. Raises 39P01 if the function was called in another way.
const TriggerData* require_trigger(FunctionCallInfo fcinfo, const char* function);

// An argument of JSON that the metadata of events must contain. Raises 22004 for null, and 22023
// for what is no object.
Datum require_object(FunctionCallInfo fcinfo, int argument, const char* name);

// The argument "size", from 1 to `most`. Raises 22004 for null, and 22023 for any other number.
int required_size(FunctionCallInfo fcinfo, int argument, int most);

}  // namespace kanthorq
