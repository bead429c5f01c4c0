// Ranges of time over event ids.
//
// An id's time is in its first bytes, but each form writes it differently, and a stream may hold
// several forms. So a range of time becomes ranges of ids: some for ULIDs, some for UUIDv7s and one
// for each prefix in use. These may hold a few ids of another form, so the time inside each id is
// compared, too.
#pragma once

#include "id/ids.hpp"
#include "server/datum.hpp"
#include "server/pg.hpp"
#include "server/query.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// Milliseconds since 1970, from `from` (included) to `to` (excluded).
struct TimeRange {
  std::uint64_t from = 0;
  std::uint64_t to = max_id_milliseconds + 1;

  bool is_everything() const { return from == 0 && to > max_id_milliseconds; }
  bool is_empty() const { return from >= to; }
};

// The range from the argument `since` to the argument `until`, by their numbers, in whole
// milliseconds. A null leaves its side open, and so does a time that no id can carry.
TimeRange time_range_arguments(FunctionCallInfo fcinfo, int since, int until);

// From `since` on.
TimeRange time_range_since(TimestampTz since);

// A range of ids, from `lower` (included) to `upper` (excluded).
struct IdRange {
  const char* lower;
  const char* upper;
};

// Each of so many prefixes has a range of its own in a query. Further ones share one.
inline constexpr int max_prefix_ranges = 20;

struct IdRanges {
  IdRange ranges[max_prefix_ranges + 7];  // ULIDs and UUIDv7s in three each, prefixes, their rest
  int count = 0;

  void add(const char* lower, const char* upper) { ranges[count++] = {lower, upper}; }
};

// The ranges of the ids without a prefix that may hold this range of time, which is not empty.
IdRanges plain_ranges(TimeRange range);

// The same for the ids with this prefix, its underscore included.
IdRange prefixed_range(TimeRange range, const char* prefix);

// What sorts after all ids with this prefix, and before longer prefixes that start with it.
char* end_of_prefix(const char* prefix);

// The ranges of ids that may hold this range of time after `after_id`. `table` is the quoted name
// of the stream's table. An empty `after_id` means from the start. To be called within with_spi().
IdRanges id_ranges(const OpenStream& stream, const char* table, TimeRange range,
                   std::string_view after_id);

// Adds the condition that a row's id is in `ids` and has its time in `range`. `schema` is the
// extension's.
void add_id_range(ReadQuery& query, Oid schema, IdRange ids, TimeRange range);

// Adds a query for the first `size` rows, by id, in these ranges of ids. `select` is a query for
// rows that ends with a condition, and `add_conditions()` adds further conditions, the order and
// the limit. Each range is a query of its own with its own bounds, so that each is read along the
// index and no further than needed.
template <typename AddConditions>
void add_time_range(ReadQuery& query, Oid schema, const IdRanges& ids, TimeRange range,
                    const char* select, int size, AddConditions add_conditions) {
  query.add("SELECT DISTINCT ON (id) page.* FROM (");
  for (int i = 0; i < ids.count; i++) {
    query.add(i == 0 ? "(" : " UNION ALL (");
    query.add(select);
    add_id_range(query, schema, ids.ranges[i], range);
    add_conditions();
    query.add(")");
  }
  query.add(") AS page ORDER BY id LIMIT ", INT4OID, Int32GetDatum(size));
}

}  // namespace kanthorq
