#include "start_at.hpp"

#include "fault.hpp"
#include "scope.hpp"
#include "stream_rows.hpp"
#include "time_range.hpp"
#include "writers.hpp"

namespace kanthorq {

namespace {

// The remembered ceiling is the cursor itself: a transaction that is open now may have taken any
// position behind it.
Cursor behind(int64 position) { return {position, position}; }

Cursor at_event(const OpenStream& stream, std::string_view id) {
  int64 position = 0;
  Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
  const bool found =
      with_event(stream, newest, id, [&](const StreamRow& row) { position = row.position(); });
  UnregisterSnapshot(newest);
  if (!found)
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("event \"%s\" does not exist", clipped(id)),
             errdetail("It is the value of the argument \"start_at\".")));
  return behind(position - 1);
}

// The position of the first event by the time in its id among those of this time or later; 0 where
// there is none. Each range of ids has its own first; ids of different forms don't sort by time.
int64 first_position_since(const OpenStream& stream, Oid schema, TimestampTz since) {
  int64 position = 0;
  std::uint64_t earliest = 0;
  with_spi([&] {
    const char* table = quoted_table_name(stream.relation);
    ReadQuery query;
    add_time_range(query, schema, table, time_range_since(since), {},
                   psprintf("SELECT id::pg_catalog.text, position FROM %s WHERE true", table), 1000,
                   [&] { query.add(" ORDER BY id LIMIT 1"); });
    query.run();
    for (uint64 i = 0; i < SPI_processed; i++) {
      const auto value = [&](int column) {
        bool is_null;
        return SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column, &is_null);
      };
      const std::uint64_t time = check_event_id(view_of(DatumGetTextPP(value(1)))).milliseconds;
      const int64 candidate = DatumGetInt64(value(2));
      if (position == 0 || time < earliest || (time == earliest && candidate < position)) {
        earliest = time;
        position = candidate;
      }
    }
  });
  return position;
}

// Is it written as a time is? What is not must not be taken for one: "last" is a mistake.
bool looks_like_time(std::string_view text) {
  for (std::string_view word :
       {"now", "today", "yesterday", "tomorrow", "epoch", "infinity", "-infinity"})
    if (text == word) return true;
  return !text.empty() && is_digit(text.front()) &&
         text.find_first_of("-/: ") != std::string_view::npos;
}

}  // namespace

Cursor start_cursor(const OpenStream& stream, Oid schema, std::string_view start_at) {
  if (start_at == "first") return behind(0);
  if (start_at == "new") return behind(last_position(stream.position_sequence));
  if (is_event_id(start_at)) return at_event(stream, start_at);
  if (!looks_like_time(start_at))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid start_at \"%s\"", clipped(start_at)),
                    errdetail("It is neither a word for a place, nor an event id, nor a time."),
                    errhint("Use \"first\", \"new\", an event id or a timestamp.")));
  const TimestampTz since =
      DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(cstring_of(start_at)),
                                              ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
  const int64 position = first_position_since(stream, schema, since);
  return position > 0 ? behind(position - 1) : behind(last_position(stream.position_sequence));
}

}  // namespace kanthorq
