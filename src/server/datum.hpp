// The server's values as the core's, and back.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

template <typename T>
T* palloc_array_of(std::size_t count) {
  return static_cast<T*>(palloc(mul_size(sizeof(T), count)));
}

inline std::string_view view_of(const text* value) {
  return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

inline text* text_of(std::string_view value) {
  return cstring_to_text_with_len(value.data(), static_cast<int>(value.size()));
}

inline Datum text_datum(std::string_view value) { return PointerGetDatum(text_of(value)); }

// A NUL-terminated copy.
inline char* cstring_of(std::string_view value) { return pnstrdup(value.data(), value.size()); }

inline std::string_view text_argument(FunctionCallInfo fcinfo, int argument) {
  return view_of(PG_GETARG_TEXT_PP(argument));
}

// The schema of the function being called, which is the extension's. Everything of KanthorQ lives
// in it, whatever its name is.
inline Oid own_schema(FunctionCallInfo fcinfo) {
  return get_func_namespace(fcinfo->flinfo->fn_oid);
}

inline constexpr int64 microseconds_from_1970_to_2000 =
    (int64{POSTGRES_EPOCH_JDATE} - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
inline constexpr int64 milliseconds_from_1970_to_2000 = microseconds_from_1970_to_2000 / 1000;

// Whole milliseconds since 1970, rounded down. `at` is finite.
inline int64 epoch_milliseconds(TimestampTz at) {
  const int64 down = at >= 0 || at % 1000 == 0 ? at / 1000 : at / 1000 - 1;
  return down + milliseconds_from_1970_to_2000;
}

inline TimestampTz timestamp_of(std::uint64_t milliseconds) {
  return (static_cast<int64>(milliseconds) - milliseconds_from_1970_to_2000) * 1000;
}

}  // namespace kanthorq
