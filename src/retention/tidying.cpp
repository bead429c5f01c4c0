// Each call of a step works for one consumer, in its turn, and does a bounded part. If it does not
// get the turn in time, workers of that consumer are at work, and the next maintenance tries again.
#include "retention/tidying.hpp"

#include "consumer/collecting.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/task.hpp"
#include "consumer/task_table.hpp"
#include "retention/finished.hpp"
#include "retention/retire.hpp"
#include "server/attempt.hpp"
#include "server/datum.hpp"
#include "server/indexes.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "server/wake.hpp"
#include "stream/open_stream.hpp"
#include "stream/partitions.hpp"
#include "stream/reading.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

namespace {

constexpr std::size_t most_collected = 1000;
constexpr std::size_t most_looked_at = 10'000;

// Runs `tidy(consumer)` in the consumer's turn, and returns what it returned. If the turn is not to
// be had in time, notes that in `result` and returns 0.
template <typename Tidy>
int64 in_turn(const Consumer& opened, StepResult& result, Tidy tidy) {
  int64 done = 0;
  const ErrorData* error = attempt([&] { done = tidy(lock_consumer(opened)); });
  if (!error) return done;
  if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE) ReThrowError(const_cast<ErrorData*>(error));
  result.said = psprintf("Consumer \"%s\" is at work, and is left for the next time.",
                         cstring_of(opened.name));
  return 0;
}

// Runs `tidy(consumer, stream, result)` for the consumers of the stream until it has done
// something. A call after that goes on.
template <typename Tidy>
StepResult tidy_one(const MaintainedStream& maintained, Tidy tidy) {
  return with_stream(
      maintained.schema, maintained.name, AccessShareLock, [&](const OpenStream& stream) {
        require_consumable(stream);
        StepResult result;
        for_open_consumers(maintained.schema, maintained.name, [&](const Consumer& consumer) {
          if (result.done == 0) result.done = tidy(consumer, stream, result);
        });
        result.has_more = result.done > 0;
        return result;
      });
}

// Collects those that ran out at `by` or before.
int64 collect_of(const Consumer& opened, const OpenStream& stream, StepResult& result, int64 by) {
  if (find_expired_leases(opened, by, 1).count == 0) return 0;
  return in_turn(opened, result, [&](const Consumer& consumer) {
    const std::size_t collected = with_newest_snapshot([&](Snapshot newest) {
      return collect_expired(consumer, stream, newest, by, most_collected);
    });
    if (collected > 0) wake_at_commit(consumer.stream);
    KANTHORQ_TEST_POINT("retention_leases");
    return static_cast<int64>(collected);
  });
}

// The lowest position of an event in the stream; if there is none, one after all of them.
int64 lowest_position(const OpenStream& stream, Snapshot snapshot) {
  int64 lowest = PG_INT64_MAX;
  for_positions(stream, snapshot, 0, PG_INT64_MAX, [&](const StreamRow& row) {
    lowest = row.position();
    return false;
  });
  return lowest;
}

// Is there a partition that was retired and is not dropped yet? Its events may come back if another
// one comes to it.
bool has_retired_partition(const OpenStream& stream) {
  if (!stream.is_partitioned) return false;
  const Partitions states = partition_states(stream.schema, RelationGetRelid(stream.table));
  for (int i = 0; i < states.count; i++)
    if (states.items[i].is_retired()) return true;
  return false;
}

bool is_finished(TaskState state) {
  return state == TaskState::discarded || state == TaskState::cancelled;
}

// Looks at finished tasks, and deletes those of events that are gone.
class History {
 public:
  History(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot)
      : tasks_(consumer.table),
        stream_(stream),
        snapshot_(snapshot),
        lowest_(lowest_position(stream, snapshot)) {}

  // All tasks before the lowest position go, and the stream need not be read for that. Each run
  // looks at some of the others, from a position on that differs each time. So it comes to all of
  // them in the end, however many there are.
  int64 remove() {
    look_at(PG_INT64_MIN, lowest_ - 1);
    if (lowest_ < PG_INT64_MAX) {
      const int64 last = last_position(stream_);
      const int64 span = Max(last - lowest_ + 1, 1);
      const int64 start = lowest_ + GetCurrentTimestamp() % span;
      look_at(start, PG_INT64_MAX);
      look_at(lowest_, start - 1);
    }
    memory_.end();
    return removed_;
  }

 private:
  void look_at(int64 first, int64 last) {
    if (first > last) return;
    Positions gone{palloc_array_of<int64>(most_looked_at), 0};
    ScanKeyData keys[2] = {
        compares_bigint(task_position_column, BTGreaterEqualStrategyNumber, F_INT8GE, first),
        compares_bigint(task_position_column, BTLessEqualStrategyNumber, F_INT8LE, last)};
    for_rows(tasks_, index_on(tasks_, task_position_column), keys, 2, [&](HeapTuple row) {
      if (looked_at_ == most_looked_at) return false;
      looked_at_++;
      if (memory_.during([&] { return is_of_gone_event(row); }))
        gone.values[gone.count++] = DatumGetInt64(row_value(tasks_, row, task_position_column));
      return true;
    });
    for (std::size_t i = 0; i < gone.count; i++) {
      memory_.during([&] { remove_task(gone.values[i]); });
      CHECK_FOR_INTERRUPTS();
    }
  }

  bool is_of_gone_event(HeapTuple row) {
    if (!is_finished(read_state(tasks_, row))) return false;
    const int64 position = DatumGetInt64(row_value(tasks_, row, task_position_column));
    return position < lowest_ ||
           !with_position(stream_, snapshot_, position, [](const StreamRow&) {});
  }

  // The table's owner may have changed it meanwhile.
  void remove_task(int64 position) {
    const FoundTask locked = lock_task(tasks_, position);
    if (!locked.row || !is_finished(locked.task.state)) return;
    delete_task(tasks_, locked);
    removed_++;
  }

  Relation tasks_;
  const OpenStream& stream_;
  Snapshot snapshot_;
  int64 lowest_;
  RowMemory memory_;
  std::size_t looked_at_ = 0;
  int64 removed_ = 0;
};

bool has_tasks(const Consumer& consumer) {
  bool found = false;
  for_rows(consumer.table, index_on(consumer.table, task_position_column), nullptr, 0,
           [&](HeapTuple) {
             found = true;
             return false;
           });
  return found;
}

// The snapshot is taken in the turn. A task is of an event that a pull has seen or somebody has
// cancelled, in an earlier turn. So if the snapshot does not see the event, it is gone.
int64 remove_history_of(const Consumer& opened, const OpenStream& stream, StepResult& result) {
  if (!has_tasks(opened)) return 0;
  return in_turn(opened, result, [&](const Consumer& consumer) {
    if (has_retired_partition(stream)) return int64{0};
    const int64 removed = with_newest_snapshot(
        [&](Snapshot newest) { return History(consumer, stream, newest).remove(); });
    KANTHORQ_TEST_POINT("retention_history");
    return removed;
  });
}

}  // namespace

// A lease that runs out while this is at work is left for the next run. Else a worker that takes
// very short leases all the time would keep it here for as long.
StepResult collect_leases(const MaintainedStream& maintained) {
  if (*maintained.progress == 0) *maintained.progress = now_ms();
  const int64 by = *maintained.progress;
  return tidy_one(maintained,
                  [&](const Consumer& consumer, const OpenStream& stream, StepResult& result) {
                    return collect_of(consumer, stream, result, by);
                  });
}

StepResult remove_history(const MaintainedStream& stream) {
  return tidy_one(stream, remove_history_of);
}

}  // namespace kanthorq
