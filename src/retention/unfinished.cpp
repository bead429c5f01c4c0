#include "retention/unfinished.hpp"

#include "consumer/lease.hpp"
#include "consumer/place.hpp"
#include "consumer/task.hpp"
#include "consumer/task_table.hpp"
#include "server/indexes.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

namespace {

struct Question {
  const Consumer& consumer;
  const OpenStream& stream;
  Snapshot snapshot;
  std::string_view before_id;
  RowMemory memory;

  bool concerns(const StreamRow& row) const {
    return row.id() < before_id && selects(consumer, row);
  }
};

bool has_task(const Question& asked) {
  bool found = false;
  ScanKeyData key =
      compares_text(task_event_id_column, BTLessStrategyNumber, F_TEXT_LT, asked.before_id);
  Relation table = asked.consumer.table;
  for_rows(table, index_on(table, task_event_id_column), &key, 1, [&](HeapTuple row) {
    const TaskState state = asked.memory.during([&] { return read_task(table, row).task.state; });
    found = is_due_state(state) || state == TaskState::running;
    return !found;
  });
  return found;
}

// Is the event at this position, which the consumer has in a lease, one of those asked about?
bool is_concerned(const Question& asked, int64 position) {
  return with_position(asked.stream, asked.snapshot, position,
                       [&](const StreamRow& row) { return row.id() < asked.before_id; })
      .value_or(false);
}

// Events that are delivered again have a task row; these here have none.
bool has_leased(const Question& asked) {
  bool found = false;
  for_leases(asked.consumer, [&](const Lease& lease) {
    for (std::size_t i = 0; i < lease.fresh.count && !found; i++)
      found = asked.memory.during([&] { return is_concerned(asked, lease.fresh.values[i]); });
    return !found;
  });
  return found;
}

// Rows in a range of positions that are still to be delivered; `txid` 0 means anybody's.
bool has_waiting(const Question& asked, int64 after, int64 upto, std::uint64_t txid) {
  bool found = false;
  for_positions(asked.stream, asked.snapshot, after, upto, [&](const StreamRow& row) {
    found = asked.memory.during([&] {
      return (txid == 0 || row.txid() == txid) && asked.concerns(row) &&
             !find_task(asked.consumer.table, row.position()).row;
    });
    CHECK_FOR_INTERRUPTS();
    return !found;
  });
  return found;
}

bool has_owed(const Question& asked, const Place& place) {
  for (std::size_t i = 0; i < place.late_count; i++)
    if (has_waiting(asked, place.late[i].after, place.late[i].upto, place.late[i].txid))
      return true;
  return false;
}

}  // namespace

static bool has_unfinished(const Question& asked) {
  const Place place = read_place(asked.consumer);
  // In the order in which events move on while this looks, so that none slips through: from ahead
  // into a lease, and from there to a task, which it keeps when it is leased again.
  if (has_owed(asked, place) || has_waiting(asked, place.cursor.position, PG_INT64_MAX, 0))
    return true;
  KANTHORQ_TEST_POINT("unfinished_ahead");
  if (has_leased(asked)) return true;
  KANTHORQ_TEST_POINT("unfinished_leased");
  return has_task(asked);
}

bool has_unfinished(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot,
                    std::string_view before_id) {
  const Question asked = {consumer, stream, snapshot, before_id, RowMemory()};
  const bool unfinished = has_unfinished(asked);
  asked.memory.end();
  return unfinished;
}

}  // namespace kanthorq
