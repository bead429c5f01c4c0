#include "read/time_range.hpp"

#include "core/event_id.hpp"
#include "read/id_pieces.hpp"
#include "server/quoting.hpp"

namespace kanthorq {

namespace {

// How many digits of each form hold the time. Bounds need no more.
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

// The bounds after the last time that an id can carry. ULIDs start with a digit up to 7, also after
// a prefix. UUIDs start with a hexadecimal digit.
constexpr const char* end_of_ulids = "8";
constexpr const char* end_of_uuids = "g";
constexpr const char* end_of_prefixed = "{";

// The third characters of most of today's ULIDs and UUIDs differ. In ULIDs from 2015 to 2039 it is
// an upper-case letter (after "01"), and in UUIDs a digit or a lower-case letter. So the ids of one
// form have gaps in which the ids of the other form stand. The gaps are not searched: a search for
// one form in a stream with ids of the other would read through all of them.
struct Gap {
  const char* from;
  const char* to;
};
constexpr Gap gaps_of_ulids[] = {{"01[", "02"}, {"02[", "03"}};
constexpr Gap gaps_of_uuids[] = {{"01:", "01a"}, {"02:", "02a"}};

const char* greater(const char* a, const char* b) { return strcmp(a, b) > 0 ? a : b; }

const char* smaller(const char* a, const char* b) { return strcmp(a, b) < 0 ? a : b; }

// Adds the range from `lower` to `upper`, less the gaps.
template <std::size_t count>
void add_between_gaps(IdRanges& ranges, const Gap (&gaps)[count], const char* lower,
                      const char* upper) {
  for (const Gap& gap : gaps) {
    const char* end = smaller(upper, gap.from);
    if (strcmp(lower, end) < 0) ranges.add(lower, end);
    lower = greater(lower, gap.to);
  }
  if (strcmp(lower, upper) < 0) ranges.add(lower, upper);
}

void add_ulids(IdRanges& ranges, TimeRange range) {
  add_between_gaps(
      ranges, gaps_of_ulids, ulid_bound(range.from, "", asc_toupper),
      range.to > max_id_milliseconds ? end_of_ulids : ulid_bound(range.to, "", asc_toupper));
}

void add_uuids(IdRanges& ranges, TimeRange range) {
  add_between_gaps(ranges, gaps_of_uuids, uuid_bound(range.from),
                   range.to > max_id_milliseconds ? end_of_uuids : uuid_bound(range.to));
}

// The first prefixed id of the piece that is `from` or after it; null if there is none. It is found
// by one step along the index.
char* first_prefixed_id(const char* table, const IdPiece& piece, const char* from) {
  ReadQuery query;
  query.add(psprintf("SELECT id::pg_catalog.text FROM %s WHERE id OPERATOR(pg_catalog.>=) ", table),
            TEXTOID, CStringGetTextDatum(from));
  add_id_piece(query, piece);
  query.add(" AND pg_catalog.strpos(id, '_') OPERATOR(pg_catalog.>) 0 ORDER BY id LIMIT 1");
  query.run();
  SPITupleTable* rows = SPI_tuptable;
  char* id = SPI_processed > 0 ? SPI_getvalue(rows->vals[0], rows->tupdesc, 1) : nullptr;
  SPI_freetuptable(rows);
  return id;
}

// The prefix, with its underscore, of the first prefixed id that is `from` or after it; null if
// there is none.
char* next_prefix(const OpenStream& stream, const char* table, const char* from) {
  for (const char* at = from; at;) {
    CHECK_FOR_INTERRUPTS();
    const IdPiece piece = piece_with(stream, at);
    const char* id = nullptr;
    if (may_have_events(stream, piece))
      with_piece_of_statement(stream, piece, [&] { id = first_prefixed_id(table, piece, from); });
    if (piece_with(stream, at) != piece) continue;  // it has become two
    if (id) return cstring_of(event_id_prefix(id));
    at = piece.upper;
  }
  return nullptr;
}

void add_prefixes(IdRanges& ranges, const OpenStream& stream, const char* table, TimeRange range,
                  const char* from) {
  const char* next = from;
  for (int prefixes = 0; prefixes < max_prefix_ranges; prefixes++) {
    CHECK_FOR_INTERRUPTS();
    char* prefix = next_prefix(stream, table, next);
    if (!prefix) return;
    const IdRange prefixed = prefixed_range(range, prefix);
    ranges.add(prefixed.lower, prefixed.upper);
    next = end_of_prefix(prefix);
  }
  ranges.add(next, end_of_prefixed);
}

// The least prefixed id that a page after `after_id` may hold is not less than this.
const char* first_prefix(std::string_view after_id) {
  const std::string_view prefix = event_id_prefix(after_id);
  return prefix.empty() ? "a" : cstring_of(prefix);
}

std::uint64_t clamped_milliseconds(TimestampTz at) {
  if (TIMESTAMP_IS_NOEND(at)) return max_id_milliseconds + 1;
  if (TIMESTAMP_IS_NOBEGIN(at) || epoch_milliseconds(at) < 0) return 0;
  return Min(static_cast<std::uint64_t>(epoch_milliseconds(at)), max_id_milliseconds + 1);
}

void add_time(ReadQuery& query, Oid schema, const char* comparison, std::uint64_t milliseconds) {
  query.add(psprintf(" AND %s.kanthorq_id_time(id::pg_catalog.text) OPERATOR(pg_catalog.%s) ",
                     quoted_schema(schema), comparison),
            TIMESTAMPTZOID, TimestampTzGetDatum(timestamp_of(milliseconds)));
}

}  // namespace

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

// In the range that further prefixes share, only the time inside the ids decides.
IdRanges id_ranges(const OpenStream& stream, const char* table, TimeRange range,
                   std::string_view after_id) {
  IdRanges ranges;
  if (range.is_empty()) {
    ranges.add("", "");  // an empty one, because the query needs one
    return ranges;
  }
  ranges = plain_ranges(range);
  add_prefixes(ranges, stream, table, range, first_prefix(after_id));
  return ranges;
}

void add_id_range(ReadQuery& query, Oid schema, IdRange ids, TimeRange range) {
  query.add(" AND id OPERATOR(pg_catalog.>=) ", TEXTOID, CStringGetTextDatum(ids.lower));
  query.add(" AND id OPERATOR(pg_catalog.<) ", TEXTOID, CStringGetTextDatum(ids.upper));
  add_time(query, schema, ">=", range.from);
  add_time(query, schema, "<", range.to);
}

}  // namespace kanthorq
