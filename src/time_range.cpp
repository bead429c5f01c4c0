#include "time_range.hpp"

namespace kanthorq {

namespace {

// As many digits of each form as hold the time: bounds need no more.
constexpr std::size_t ulid_time_digits = 10;
constexpr std::size_t uuid_time_digits = 13;

char* ulid_bound(std::uint64_t milliseconds, const char* prefix,
                 char* (*in_case)(const char*, size_t)) {
  const auto text = encode_ulid({milliseconds << 16, 0});
  return psprintf("%s%s", prefix, in_case(text.data(), ulid_time_digits));
}

char* uuid_bound(std::uint64_t milliseconds) {
  const auto text = encode_uuid({milliseconds << 16, 0});
  return pnstrdup(text.data(), uuid_time_digits);
}

struct Bounds {
  ArrayBuildState* lower = nullptr;
  ArrayBuildState* upper = nullptr;

  void add(const char* from, const char* to) {
    lower =
        accumArrayResult(lower, CStringGetTextDatum(from), false, TEXTOID, CurrentMemoryContext);
    upper = accumArrayResult(upper, CStringGetTextDatum(to), false, TEXTOID, CurrentMemoryContext);
  }
};

// Behind the last time that an id can carry there is no digit left to bound with; "{" sorts behind
// everything that an id holds.
constexpr const char* behind_all = "{";

void add_bounds(Bounds& bounds, TimeRange range, const char* prefix,
                char* (*in_case)(const char*, size_t)) {
  bounds.add(ulid_bound(range.from, prefix, in_case), range.to > max_id_milliseconds
                                                          ? psprintf("%s%s", prefix, behind_all)
                                                          : ulid_bound(range.to, prefix, in_case));
}

// The prefix, with its underscore, of the first prefixed id at or behind `from`; null where there
// is none. One step of the index for each prefix in use.
char* next_prefix(const char* table, const char* from) {
  const char* sql = psprintf(
      "SELECT id::pg_catalog.text FROM %s WHERE id OPERATOR(pg_catalog.>=) $1"
      " AND pg_catalog.strpos(id, '_') OPERATOR(pg_catalog.>) 0 ORDER BY id LIMIT 1",
      table);
  Oid type = TEXTOID;
  Datum value = CStringGetTextDatum(from);
  const int result = SPI_execute_with_args(sql, 1, &type, &value, nullptr, true, 1);
  if (result != SPI_OK_SELECT) elog(ERROR, "could not look for the prefixes of ids");
  char* prefix = nullptr;
  if (SPI_processed > 0) {
    const char* id = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    prefix = cstring_of(event_id_prefix(id));
  }
  SPI_freetuptable(SPI_tuptable);
  return prefix;
}

// More prefixes than these share one range, in which the time inside the ids alone decides.
constexpr int max_prefixes = 50;

void add_prefixes(Bounds& bounds, const char* table, TimeRange range, const char* from) {
  const char* behind = from;
  for (int prefixes = 0; prefixes < max_prefixes; prefixes++) {
    CHECK_FOR_INTERRUPTS();
    char* prefix = next_prefix(table, behind);
    if (!prefix) return;
    add_bounds(bounds, range, prefix, asc_tolower);
    behind = psprintf("%s8", prefix);  // behind all ULIDs with this prefix, before longer prefixes
  }
  bounds.add(behind, behind_all);
}

// Where the prefixed ids start that a page behind `after_id` may hold.
const char* first_prefix(std::string_view after_id) {
  const std::string_view prefix = event_id_prefix(after_id);
  return prefix.empty() ? "a" : cstring_of(prefix);
}

}  // namespace

TimeRange time_range_arguments(FunctionCallInfo fcinfo, int since, int until) {
  const auto clamped = [](TimestampTz at) -> std::uint64_t {
    if (TIMESTAMP_IS_NOEND(at)) return max_id_milliseconds + 1;
    if (TIMESTAMP_IS_NOBEGIN(at) || epoch_milliseconds(at) < 0) return 0;
    return Min(static_cast<std::uint64_t>(epoch_milliseconds(at)), max_id_milliseconds + 1);
  };
  TimeRange range;
  if (!PG_ARGISNULL(since)) range.from = clamped(PG_GETARG_TIMESTAMPTZ(since));
  if (!PG_ARGISNULL(until)) range.to = clamped(PG_GETARG_TIMESTAMPTZ(until));
  return range;
}

IdRanges id_ranges(const char* table, TimeRange range, std::string_view after_id) {
  Bounds bounds;
  if (!range.is_empty()) {
    add_bounds(bounds, range, "", asc_toupper);
    bounds.add(uuid_bound(range.from),
               range.to > max_id_milliseconds ? behind_all : uuid_bound(range.to));
    add_prefixes(bounds, table, range, first_prefix(after_id));
  }
  if (!bounds.lower) {
    const Datum none = PointerGetDatum(construct_empty_array(TEXTOID));
    return {none, none};
  }
  return {makeArrayResult(bounds.lower, CurrentMemoryContext),
          makeArrayResult(bounds.upper, CurrentMemoryContext)};
}

}  // namespace kanthorq
