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
  Removal& removal;
  RowMemory memory;

  bool concerns(const StreamRow& row) const {
    return row.id() < removal.before_id && selects(consumer, row);
  }
};

// How many rows are looked at for a consumer before it is worth finding out which ones matter. A
// consumer that keeps up has less than that in leases and after its cursor.
constexpr std::size_t few_rows = 1000;

void find_range(Removal& removal) {
  if (removal.has_range) return;
  removal.has_range = true;
  if (!OidIsValid(find_index_on(removal.stream.table, id_column))) return;
  removal.first = PG_INT64_MAX;
  removal.last = 0;
  for_ids(removal.stream, removal.snapshot, "", cstring_of(removal.before_id),
          [&](const StreamRow& row) {
            removal.first = Min(removal.first, row.position());
            removal.last = Max(removal.last, row.position());
            return true;
          });
}

bool has_task(const Question& asked) {
  bool found = false;
  ScanKeyData key =
      compares_text(task_event_id_column, BTLessStrategyNumber, F_TEXT_LT, asked.removal.before_id);
  Relation table = asked.consumer.table;
  for_rows(table, index_on(table, task_event_id_column), &key, 1, [&](HeapTuple row) {
    const TaskState state = asked.memory.during([&] { return read_state(table, row); });
    found = is_due_state(state) || state == TaskState::running;
    return !found;
  });
  return found;
}

// Is the event at this position, which the consumer has in a lease, one of those asked about?
bool is_concerned(const Question& asked, int64 position) {
  const Removal& removal = asked.removal;
  if (removal.has_range && (position < removal.first || position > removal.last)) return false;
  return with_position(removal.stream, removal.snapshot, position,
                       [&](const StreamRow& row) { return row.id() < removal.before_id; })
      .value_or(false);
}

// Events that are delivered again have a task row; these here have none.
bool has_leased(const Question& asked) {
  bool found = false;
  std::size_t looked_at = 0;
  for_leases(asked.consumer, [&](const Lease& lease) {
    looked_at += lease.fresh.count;
    if (looked_at > few_rows) find_range(asked.removal);
    for (std::size_t i = 0; i < lease.fresh.count && !found; i++)
      found = asked.memory.during([&] { return is_concerned(asked, lease.fresh.values[i]); });
    return !found;
  });
  return found;
}

// Is there a row after one position, up to another one, that is still to be delivered? Of the rows
// there, those are for which `comes(row)` holds.
template <typename Comes>
bool has_undelivered(const Question& asked, int64 after, int64 upto, Comes comes) {
  Removal& removal = asked.removal;
  bool found = false;
  const auto look_on = [&](const StreamRow& row) {
    found = asked.memory.during([&] {
      return comes(row) && asked.concerns(row) &&
             !find_task(asked.consumer.table, row.position()).row;
    });
    return !found;
  };
  const bool has_seen_all =
      for_positions(removal.stream, removal.snapshot, after, upto, look_on, few_rows);
  if (has_seen_all) return found;
  find_range(removal);
  for_positions(removal.stream, removal.snapshot, Max(after, removal.first - 1),
                Min(upto, removal.last), look_on);
  return found;
}

// What late writers still owe. Ranges that overlap are read once, however many writers there are.
bool has_owed(const Question& asked, const Place& place) {
  LateWriter* late = place.late;
  LateWriter* const end = late + place.late_count;
  std::sort(late, end, [](const LateWriter& a, const LateWriter& b) { return a.after < b.after; });
  while (late < end) {
    const OwedRun run = first_owed_run(late, static_cast<std::size_t>(end - late));
    const auto is_of_run = [&](const StreamRow& row) {
      return is_owed(late, run.writers, row.txid(), row.position());
    };
    if (has_undelivered(asked, run.after, run.upto, is_of_run)) return true;
    late += run.writers;
  }
  return false;
}

bool has_ahead(const Question& asked, const Place& place) {
  return has_undelivered(asked, place.cursor.position, PG_INT64_MAX,
                         [](const StreamRow&) { return true; });
}

}  // namespace

static bool has_unfinished(const Question& asked) {
  const Place place = read_place(asked.consumer);
  // In the order in which events move on while this looks, so that none slips through: from ahead
  // into a lease, and from there to a task, which it keeps when it is leased again.
  if (has_owed(asked, place) || has_ahead(asked, place)) return true;
  KANTHORQ_TEST_POINT("unfinished_ahead");
  if (has_leased(asked)) return true;
  KANTHORQ_TEST_POINT("unfinished_leased");
  return has_task(asked);
}

bool has_unfinished(const Consumer& consumer, Removal& removal) {
  const Question asked = {consumer, removal, RowMemory()};
  const bool unfinished = has_unfinished(asked);
  asked.memory.end();
  return unfinished;
}

}  // namespace kanthorq
