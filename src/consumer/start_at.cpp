// Where a consumer starts is decided in the order of a pull (delivery.cpp). So the place is what a
// pull would leave that has read nothing:
//   1. the last position that was handed out;
//   2. the transactions that hold a writer's lock on the table;
//   3. a new snapshot, whatever the caller's isolation level, after all waiting for locks.
// An event that this snapshot does not see has a position after the last one of step 1, or belongs
// to a writer of step 2, or was rolled back. Whoever asks for a time also asks for what such a
// writer has stored by then. So the search for the lowest position reads rows that are not
// committed yet: the consumer starts before them, and gets them when they are committed.

#include "consumer/start_at.hpp"

#include "core/event_id.hpp"
#include "read/time_range.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

namespace {

// What the argument asks for.
struct StartAt {
  enum { first, now, event, time } kind;
  std::string_view id;
  TimeRange since;
};

// Is it written like a time? Only then does the server read it as one: "last" is a mistake, but not
// a mistyped time.
bool looks_like_time(std::string_view text) {
  for (std::string_view word :
       {"now", "today", "yesterday", "tomorrow", "epoch", "infinity", "-infinity"})
    if (text == word) return true;
  return !text.empty() && is_digit(text.front()) &&
         text.find_first_of("-/: ") != std::string_view::npos;
}

StartAt parse_start_at(std::string_view start_at) {
  if (start_at == "first") return {StartAt::first, {}, {}};
  if (start_at == "new") return {StartAt::now, {}, {}};
  if (is_event_id(start_at)) return {StartAt::event, start_at, {}};
  if (!looks_like_time(start_at))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid start_at \"%s\"", clipped(start_at)),
                    errdetail("It is neither a word for a place, nor an event id, nor a time."),
                    errhint("Use \"first\", \"new\", an event id or a timestamp.")));
  const TimestampTz since =
      DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(cstring_of(start_at)),
                                              ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
  return {StartAt::time, {}, time_range_since(since)};
}

int64 position_of_event(const OpenStream& stream, Snapshot snapshot, std::string_view id) {
  const auto position =
      with_event(stream, snapshot, id, [](const StreamRow& row) { return row.position(); });
  if (position) return *position;
  ereport(ERROR,
          (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("event \"%s\" does not exist", clipped(id)),
           errdetail("It is the value of the argument \"start_at\".")));
}

// Looks for the lowest position among the events of a time and later ones, those that may still be
// committed included. It reads each of them once, by the index on the ids, because their positions
// are in any order.
class LowestPositionSearch {
 public:
  LowestPositionSearch(const OpenStream& stream, TimeRange since) : stream_(stream), since_(since) {
    InitDirtySnapshot(stored_);
  }

  // The position; 0 if there is no such event.
  int64 run() {
    if (!since_.is_empty()) search_until_partitions_stay(stream_, [&] { read_all(); });
    return lowest_;
  }

 private:
  void read_all() {
    const IdRanges plain = plain_ranges(since_);
    for (int i = 0; i < plain.count; i++) read(plain.ranges[i]);
    read_prefixed();
  }

  void read(const IdRange& ids) {
    for_ids(stream_, &stored_, ids.lower, ids.upper, [&](const StreamRow& row) {
      const int64 position = row.position();
      if ((lowest_ == 0 || position < lowest_) &&
          check_event_id(row.id()).milliseconds >= since_.from)
        lowest_ = position;
      return true;
    });
  }

  // Each prefix in use has a range of its own, and there may be as many prefixes as events.
  void read_prefixed() {
    char from[max_event_id_bytes + 2] = "a";
    const RowMemory memory;
    while (memory.during([&] { return read_next_prefix(from, sizeof(from)); }))
      CHECK_FOR_INTERRUPTS();
    memory.end();
  }

  // Reads the ids of the first prefix at or after `from`, and moves `from` to the end of that
  // prefix. Returns false if there is no such prefix.
  bool read_next_prefix(char* from, std::size_t room) {
    const char* prefix = next_prefix(from);
    if (!prefix) return false;
    read(prefixed_range(since_, prefix));
    strlcpy(from, end_of_prefix(prefix), room);
    return true;
  }

  // The prefix of the first prefixed id at or after `from`; null if there is none. The query of
  // read/time_range.cpp would not do: it sees committed rows only.
  const char* next_prefix(const char* from) {
    const char* prefix = nullptr;
    for_ids(stream_, &stored_, from, nullptr, [&](const StreamRow& row) {
      // The table's owner may have removed the check on ids. An invalid id could make this endless.
      if (is_event_id(row.id()) && !event_id_prefix(row.id()).empty())
        prefix = cstring_of(event_id_prefix(row.id()));
      return prefix == nullptr;
    });
    return prefix;
  }

  const OpenStream& stream_;
  const TimeRange since_;
  SnapshotData stored_{};  // sees all rows that are stored, and not rolled back or removed
  int64 lowest_ = 0;
};

// The position after which the consumer starts. `last` was read before the snapshot was taken, so
// an event after `last` may be committed while one before it is still open.
int64 start_after(const OpenStream& stream, Snapshot snapshot, const StartAt& at, int64 last) {
  if (at.kind == StartAt::first) return 0;
  if (at.kind == StartAt::now) return last;
  if (at.kind == StartAt::event) return position_of_event(stream, snapshot, at.id) - 1;
  const int64 lowest = LowestPositionSearch(stream, at.since).run();
  return lowest == 0 ? last : Min(lowest - 1, last);
}

}  // namespace

Start start_at(const OpenStream& stream, std::string_view argument) {
  const StartAt at = parse_start_at(argument);
  const int64 last = last_position(stream);
  KANTHORQ_TEST_POINT("start_last");
  const OpenWriters writers = open_writers(stream);
  const int64 after =
      with_newest_snapshot([&](Snapshot newest) { return start_after(stream, newest, at, last); });
  // Nobody asked for what the open writers have published before the start. So the late list is to
  // say that they took no position up to there. Other writers can only take positions after `last`.
  Place place{.cursor = {after, after}, .late = nullptr, .late_count = 0, .last_lease = 0};
  move_cursor(place, Move{after}, last, writers);
  return {place, writers};
}

}  // namespace kanthorq
