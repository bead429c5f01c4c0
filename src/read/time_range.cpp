#include "read/time_range.hpp"

#include "core/event_id.hpp"

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

// Behind the last time that an id can carry there is no digit left to bound with. ULIDs start with
// a digit up to 7, and so do those behind a prefix; UUIDs with a hexadecimal one.
constexpr const char* end_of_ulids = "8";
constexpr const char* end_of_uuids = "g";
constexpr const char* end_of_prefixed = "{";

// ULIDs and UUIDs stand among each other, but not evenly: their third characters tell most of
// today's apart. It is an upper-case letter in ULIDs from 2015 to 2039 (behind "01") and a digit or
// a lower-case letter in UUIDs. Leaving such gaps out keeps a stream with ids of one form from
// being read through in search of the other.
struct Gap {
  const char* from;
  const char* to;
};
constexpr Gap no_ulids[] = {{"01[", "02"}, {"02[", "03"}};
constexpr Gap no_uuids[] = {{"01:", "01a"}, {"02:", "02a"}};

const char* greater(const char* a, const char* b) { return strcmp(a, b) > 0 ? a : b; }

const char* smaller(const char* a, const char* b) { return strcmp(a, b) < 0 ? a : b; }

template <std::size_t count>
void add_without(IdRanges& ranges, const Gap (&gaps)[count], const char* lower, const char* upper) {
  for (const Gap& gap : gaps) {
    const char* end = smaller(upper, gap.from);
    if (strcmp(lower, end) < 0) ranges.add(lower, end);
    lower = greater(lower, gap.to);
  }
  if (strcmp(lower, upper) < 0) ranges.add(lower, upper);
}

void add_ulids(IdRanges& ranges, TimeRange range) {
  add_without(
      ranges, no_ulids, ulid_bound(range.from, "", asc_toupper),
      range.to > max_id_milliseconds ? end_of_ulids : ulid_bound(range.to, "", asc_toupper));
}

void add_uuids(IdRanges& ranges, TimeRange range) {
  add_without(ranges, no_uuids, uuid_bound(range.from),
              range.to > max_id_milliseconds ? end_of_uuids : uuid_bound(range.to));
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

void add_prefixes(IdRanges& ranges, const char* table, TimeRange range, const char* from) {
  const char* behind = from;
  for (int prefixes = 0; prefixes < max_prefix_ranges; prefixes++) {
    CHECK_FOR_INTERRUPTS();
    char* prefix = next_prefix(table, behind);
    if (!prefix) return;
    const IdRange prefixed = prefixed_range(range, prefix);
    ranges.add(prefixed.lower, prefixed.upper);
    behind = end_of_prefix(prefix);
  }
  ranges.add(behind, end_of_prefixed);
}

// Where the prefixed ids start that a page behind `after_id` may hold.
const char* first_prefix(std::string_view after_id) {
  const std::string_view prefix = event_id_prefix(after_id);
  return prefix.empty() ? "a" : cstring_of(prefix);
}

}  // namespace

static std::uint64_t clamped_milliseconds(TimestampTz at) {
  if (TIMESTAMP_IS_NOEND(at)) return max_id_milliseconds + 1;
  if (TIMESTAMP_IS_NOBEGIN(at) || epoch_milliseconds(at) < 0) return 0;
  return Min(static_cast<std::uint64_t>(epoch_milliseconds(at)), max_id_milliseconds + 1);
}

TimeRange time_range_since(TimestampTz since) {
  TimeRange range;
  range.from = clamped_milliseconds(since);
  return range;
}

TimeRange time_range_arguments(FunctionCallInfo fcinfo, int since, int until) {
  TimeRange range;
  if (!PG_ARGISNULL(since)) range.from = clamped_milliseconds(PG_GETARG_TIMESTAMPTZ(since));
  if (!PG_ARGISNULL(until)) range.to = clamped_milliseconds(PG_GETARG_TIMESTAMPTZ(until));
  return range;
}

IdRanges plain_ranges(TimeRange range) {
  IdRanges ranges;
  add_ulids(ranges, range);
  add_uuids(ranges, range);
  return ranges;
}

IdRange prefixed_range(TimeRange range, const char* prefix) {
  return {ulid_bound(range.from, prefix, asc_tolower),
          range.to > max_id_milliseconds ? end_of_prefix(prefix)
                                         : ulid_bound(range.to, prefix, asc_tolower)};
}

char* end_of_prefix(const char* prefix) { return psprintf("%s%s", prefix, end_of_ulids); }

// With more prefixes than have a range of their own, the time inside the ids alone decides.
IdRanges id_ranges(const char* table, TimeRange range, std::string_view after_id) {
  IdRanges ranges;
  if (range.is_empty()) {
    ranges.add("", "");  // an empty one, so that the query has one
    return ranges;
  }
  ranges = plain_ranges(range);
  add_prefixes(ranges, table, range, first_prefix(after_id));
  return ranges;
}

}  // namespace kanthorq
