#include "retention/finished.hpp"

#include "consumer/open_consumer.hpp"
#include "consumer/task.hpp"
#include "consumer/task_table.hpp"
#include "server/datum.hpp"
#include "server/indexes.hpp"
#include "server/lock.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

namespace {

// Positions that come in any order, in memory that grows.
class PositionList {
 public:
  explicit PositionList(PositionRange range) : range_(range) {}

  void add(int64 position) {
    if (position < range_.first || position > range_.last) return;
    if (count_ == room_) grow();
    values_[count_++] = position;
  }

  // Ascending, each once.
  Positions in_order() {
    std::sort(values_, values_ + count_);
    return {values_, static_cast<std::size_t>(std::unique(values_, values_ + count_) - values_)};
  }

 private:
  void grow() {
    room_ = Max(std::size_t{64}, 2 * room_);
    auto* grown =
        static_cast<int64*>(MemoryContextAllocHuge(context_, mul_size(sizeof(int64), room_)));
    std::copy_n(values_, count_, grown);
    if (values_) pfree(values_);
    values_ = grown;
  }

  PositionRange range_;
  MemoryContext context_ = CurrentMemoryContext;
  int64* values_ = nullptr;
  std::size_t count_ = 0;
  std::size_t room_ = 0;
};

void add_leased(PositionList& list, const Consumer& consumer) {
  for_leases(consumer, [&](const Lease& lease) {
    for (std::size_t i = 0; i < lease.fresh.count; i++) list.add(lease.fresh.values[i]);
    for (std::size_t i = 0; i < lease.again.count; i++) list.add(lease.again.values[i]);
    return true;
  });
}

void add_tasks(PositionList& list, const Consumer& consumer, PositionRange range) {
  Relation tasks = consumer.table;
  ScanKeyData keys[2] = {
      compares_bigint(task_position_column, BTGreaterEqualStrategyNumber, F_INT8GE, range.first),
      compares_bigint(task_position_column, BTLessEqualStrategyNumber, F_INT8LE, range.last)};
  const RowMemory memory;
  for_rows(tasks, index_on(tasks, task_position_column), keys, 2, [&](HeapTuple row) {
    const TaskState state = memory.during([&] { return read_state(tasks, row); });
    if (is_due_state(state) || state == TaskState::running)
      list.add(DatumGetInt64(row_value(tasks, row, task_position_column)));
    return true;
  });
  memory.end();
}

// An event that was not delivered yet has a task row only if it was cancelled.
bool has_task(const Consumer& consumer, int64 position) {
  return find_task(consumer.table, position).row != nullptr;
}

bool may_be_owed(const Place& place, int64 position) {
  for (std::size_t i = 0; i < place.late_count; i++)
    if (position > place.late[i].after && position <= place.late[i].upto) return true;
  return false;
}

// Does the consumer still have to get this event for the first time?
bool is_to_come(const Consumer& consumer, const Place& place, const StreamRow& row) {
  return is_ahead(place, row.position(), row.txid()) && selects(consumer, row) &&
         !has_task(consumer, row.position());
}

// How many rows between these positions are still to come.
int64 count_to_come(const Consumer& consumer, const OpenStream& table, Snapshot snapshot,
                    const Place& place, int64 after, int64 upto, const RowMemory& memory) {
  int64 count = 0;
  for_positions(table, snapshot, after, upto, [&](const StreamRow& row) {
    if (memory.during([&] { return is_to_come(consumer, place, row); })) count++;
    return true;
  });
  return count;
}

// What late writers still owe. Ranges that overlap are read once.
int64 count_owed(const Consumer& consumer, const OpenStream& table, Snapshot snapshot,
                 const Place& place, PositionRange range, const RowMemory& memory) {
  const Place sorted = copy_of(place);
  LateWriter* late = sorted.late;
  LateWriter* const end = late + sorted.late_count;
  std::sort(late, end, [](const LateWriter& a, const LateWriter& b) { return a.after < b.after; });
  int64 count = 0;
  while (late < end) {
    const OwedRun run = first_owed_run(late, static_cast<std::size_t>(end - late));
    // What is after the cursor is counted with the rest there.
    const int64 upto = Min(Min(run.upto, range.last), place.cursor.position);
    count += count_to_come(consumer, table, snapshot, place, Max(run.after, range.first - 1), upto,
                           memory);
    late += run.writers;
  }
  return count;
}

// Opens a consumer of the stream `name` whose name was read from the registry. Returns false if it
// was dropped since then, or is another stream's by now.
bool open_listed(Oid schema, std::string_view name, std::string_view consumer_name,
                 Consumer& consumer) {
  if (!try_open_consumer(schema, consumer_name, RowExclusiveLock, consumer)) {
    if (!find_consumer(schema, consumer_name)) return false;
    // Only its table is gone. That raises an error, unless it was created again just now.
    consumer = open_consumer(schema, consumer_name, RowExclusiveLock, ACL_NO_RIGHTS);
  }
  if (consumer.stream != name) {
    relation_close(consumer.table, RowExclusiveLock);
    return false;
  }
  lock_relation(RelationGetRelid(consumer.table), RowExclusiveLock);
  consumer.privilege = ACL_NO_RIGHTS;
  return true;
}

}  // namespace

bool Unfinished::has_some_of(PositionRange range) const {
  if (range.is_empty()) return false;
  if (range.last > place.cursor.position) return true;
  for (std::size_t i = 0; i < place.late_count; i++)
    if (place.late[i].owes() && place.late[i].upto >= range.first &&
        place.late[i].after < range.last)
      return true;
  const int64* end = waiting.values + waiting.count;
  const int64* found =
      std::lower_bound(static_cast<const int64*>(waiting.values), end, range.first);
  return found != end && *found <= range.last;
}

int64 Unfinished::count_in(PositionRange range) const {
  if (range.is_empty()) return 0;
  int64 count = Max(range.last - Max(range.first - 1, place.cursor.position), 0);
  for (std::size_t i = 0; i < place.late_count; i++) {
    const int64 after = Max(place.late[i].after, range.first - 1);
    count += Max(Min(place.late[i].upto, range.last) - after, 0);
  }
  for (std::size_t i = 0; i < waiting.count; i++)
    if (waiting.values[i] >= range.first && waiting.values[i] <= range.last) count++;
  return Min(count, range.last - range.first + 1);
}

Unfinished read_unfinished(const Consumer& consumer, PositionRange range) {
  Unfinished unfinished{read_place(consumer), {nullptr, 0}};
  if (range.is_empty()) return unfinished;
  PositionList waiting(range);
  add_leased(waiting, consumer);
  add_tasks(waiting, consumer, range);
  unfinished.waiting = waiting.in_order();
  return unfinished;
}

int64 count_unfinished(const Consumer& consumer, const OpenStream& table, Snapshot snapshot,
                       const Unfinished& unfinished, PositionRange range) {
  const Place& place = unfinished.place;
  const RowMemory memory;
  int64 count = 0;
  for (std::size_t i = 0; i < unfinished.waiting.count; i++) {
    const int64 position = unfinished.waiting.values[i];
    if (position < range.first || position > range.last) continue;
    if (memory.during(
            [&] { return with_position(table, snapshot, position, [](const StreamRow&) {}); }))
      count++;
    CHECK_FOR_INTERRUPTS();
  }
  count += count_owed(consumer, table, snapshot, place, range, memory);
  count += count_to_come(consumer, table, snapshot, place,
                         Max(place.cursor.position, range.first - 1), range.last, memory);
  memory.end();
  return count;
}

Positions unfinished_among(const Consumer& consumer, const OpenStream& table, Snapshot snapshot,
                           const Unfinished& unfinished, Positions positions) {
  const Place& place = unfinished.place;
  Positions found{palloc_array_of<int64>(positions.count + 1), 0};
  const auto comes = [&](const StreamRow& row) { return is_to_come(consumer, place, row); };
  const RowMemory memory;
  for (std::size_t i = 0; i < positions.count; i++) {
    const int64 position = positions.values[i];
    const bool is_waiting = holds(unfinished.waiting, position);
    const bool may_come = position > place.cursor.position || may_be_owed(place, position);
    if (is_waiting || (may_come && memory.during([&] {
          return with_position(table, snapshot, position, comes).value_or(false);
        })))
      found.values[found.count++] = position;
    CHECK_FOR_INTERRUPTS();
  }
  memory.end();
  return found;
}

void for_open_consumers(Oid schema, std::string_view stream, void* state,
                        void (*body)(void* state, const Consumer& consumer)) {
  for_consumers_of(schema, stream, [&](std::string_view name) {
    Consumer consumer;
    if (!open_listed(schema, stream, name, consumer)) return;
    require_task_table(consumer.table);
    body(state, consumer);
    relation_close(consumer.table, NoLock);
  });
}

}  // namespace kanthorq
