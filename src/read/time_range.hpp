// Ranges of time over event ids.
//
// An id's time is in its first bytes, but each form writes it differently, and a stream may hold
// several forms. So a range of time is one range of ids for ULIDs, one for UUIDv7s and one for each
// prefix in use. Together they may hold a few ids of another form, so the time inside the id has
// the last word.
#pragma once

#include "id/ids.hpp"
#include "server/datum.hpp"
#include "server/pg.hpp"
#include "server/query.hpp"

namespace kanthorq {

// Milliseconds since 1970, from (included) to (excluded).
struct TimeRange {
  std::uint64_t from = 0;
  std::uint64_t to = max_id_milliseconds + 1;

  bool is_everything() const { return from == 0 && to > max_id_milliseconds; }
  bool is_empty() const { return from >= to; }
};

// The two arguments, in whole milliseconds; null leaves a side open, and so does what lies outside
// the times that an id can carry.
TimeRange time_range_arguments(FunctionCallInfo fcinfo, int since, int until);

// All times from this one on.
TimeRange time_range_since(TimestampTz since);

// A range of ids, from `lower` (included) to `upper` (excluded).
struct IdRange {
  const char* lower;
  const char* upper;
};

// The prefixes that a query names; more than these share one range.
inline constexpr int max_prefix_ranges = 20;

struct IdRanges {
  IdRange ranges[max_prefix_ranges + 7];  // ULIDs and UUIDv7s in three each, prefixes, their rest
  int count = 0;

  void add(const char* lower, const char* upper) { ranges[count++] = {lower, upper}; }
};

// The ranges of the ids without a prefix that may hold this range of time; it is not empty.
IdRanges plain_ranges(TimeRange range);

// The same for the ids with this prefix, its underscore included.
IdRange prefixed_range(TimeRange range, const char* prefix);

// What sorts after all ids with this prefix, and before longer prefixes that start with it.
char* end_of_prefix(const char* prefix);

// The ranges of ids of `table` that may hold this range of time after `after_id` (empty: from the
// start).
IdRanges id_ranges(const char* table, TimeRange range, std::string_view after_id);

// Adds a query for the rows of `select`, limited to the range, by id; `add_conditions` adds what
// else holds for the rows, their order and their number, which is `size`. Each range of ids is a
// query of its own with its own bounds, so that each is read along the index and no further than
// needed.
template <typename AddConditions>
void add_time_range(ReadQuery& query, Oid schema, const char* table, TimeRange range,
                    std::string_view after_id, const char* select, int size,
                    AddConditions add_conditions) {
  const char* own = quote_identifier(get_namespace_name(schema));
  const IdRanges ids = id_ranges(table, range, after_id);
  query.add("SELECT DISTINCT ON (id) page.* FROM (");
  for (int i = 0; i < ids.count; i++) {
    query.add(i == 0 ? "(" : " UNION ALL (");
    query.add(select);
    query.add(" AND id OPERATOR(pg_catalog.>=) ", TEXTOID,
              CStringGetTextDatum(ids.ranges[i].lower));
    query.add(" AND id OPERATOR(pg_catalog.<) ", TEXTOID, CStringGetTextDatum(ids.ranges[i].upper));
    query.add(
        psprintf(" AND %s.kanthorq_id_time(id::pg_catalog.text) OPERATOR(pg_catalog.>=) ", own),
        TIMESTAMPTZOID, TimestampTzGetDatum(timestamp_of(range.from)));
    query.add(
        psprintf(" AND %s.kanthorq_id_time(id::pg_catalog.text) OPERATOR(pg_catalog.<) ", own),
        TIMESTAMPTZOID, TimestampTzGetDatum(timestamp_of(range.to)));
    add_conditions();
    query.add(")");
  }
  query.add(") AS page ORDER BY id LIMIT ", INT4OID, Int32GetDatum(size));
}

}  // namespace kanthorq
