// kanthorq_stream_retention, and the step of maintenance that does what it says.
//
// With `block`, what a consumer has not finished stays, and it is noted who keeps it. With `skip`
// it goes, and is counted for the consumer. Each call of the step is one transaction:
//   1. It locks the stream's name against those who create consumers, so that it asks all of them.
//   2. To retire a partition, it takes ShareRowExclusiveLock on it. A publisher keeps its lock on a
//      partition to the end of its transaction. So all events in it are committed, and no other
//      one comes meanwhile.
//   3. It asks each consumer by its positions (finished.hpp). To skip events of a consumer, it
//      first takes the consumer's turn, and keeps it to the end of the transaction. So each event
//      is either counted or brought by a pull, and never both.
// A lock that it does not get in time ends the attempt, and the next maintenance tries again.
#include "retention/expiry.hpp"

#include "consumer/open_consumer.hpp"
#include "core/event_id.hpp"
#include "retention/blocked.hpp"
#include "retention/finished.hpp"
#include "retention/old_events.hpp"
#include "retention/retire.hpp"
#include "server/attempt.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "stream/open_stream.hpp"
#include "stream/partition_owner.hpp"
#include "stream/partitions.hpp"
#include "stream/reading.hpp"
#include "stream/registry.hpp"
#include "stream/settings.hpp"

namespace kanthorq {

namespace {

// What one call of a run leaves for the next one. A call takes it, and puts it back when it ends
// well. So after an error the next run begins anew.
struct Run {
  Oid stream = InvalidOid;
  int64 started = 0;  // milliseconds since the epoch
  int partition = 0;  // which of the whole partitions is to be tried next
  int table = 0;      // which of the tables with old rows is being emptied
  IdPlace from;       // where in that table
};
constinit Run unfinished_run;

Run take_run(const MaintainedStream& stream) {
  const Run run = std::exchange(unfinished_run, Run{});
  if (run.stream == stream.table && *stream.progress > 0) return run;
  Run begun;
  begun.stream = stream.table;
  begun.started = now_ms();
  return begun;
}

struct Expiry {
  const MaintainedStream& maintained;
  const OpenStream& stream;
  OnLag on_lag;
  std::uint64_t before_ms;  // what is older has to go
  Run run;
};

// The partitions that have to go, or some events of them, and that belong to the stream's owner.
// `whole`: each is closed, and holds old events only.
struct OldPartitions {
  ClosedPartition* whole;
  int whole_count;
  Oid* others;  // they may hold other events, too
  int others_count;
};

OldPartitions find_old_partitions(const Expiry& expiry) {
  const RangePartitions ranges = range_partitions(expiry.stream.table);
  OldPartitions old{palloc_array_of<ClosedPartition>(ranges.count + 1), 0,
                    palloc_array_of<Oid>(ranges.count + 2), 0};
  const Oid table = RelationGetRelid(expiry.stream.table);
  const Oid rest = default_partition(expiry.stream.table);
  if (OidIsValid(rest) && is_of_stream_owner(table, rest)) old.others[old.others_count++] = rest;
  const Partitions states =
      partition_states(expiry.stream.schema, RelationGetRelid(expiry.stream.table));
  for (int i = 0; i < ranges.count; i++) {
    const RangePartition& range = ranges.items[i];
    const EventIdVerdict upper = check_event_id(range.upper);
    if (upper.fault != EventIdFault::none || upper.milliseconds > expiry.before_ms) continue;
    const Partition* state = find_partition(states, range.table);
    if (!state || state->is_open() || state->is_retired()) continue;  // an open one is closed first
    if (!is_of_stream_owner(table, range.table)) continue;
    if (holds_earlier_ids_only(range))
      old.whole[old.whole_count++] = {range.table, {state->first, state->last}};
    else
      old.others[old.others_count++] = range.table;
  }
  return old;
}

PositionRange all_of(const OldPartitions& old) {
  PositionRange all{PG_INT64_MAX, PG_INT64_MIN};
  for (int i = 0; i < old.whole_count; i++) {
    const PositionRange range = old.whole[i].range;
    if (range.is_empty()) continue;
    all = {Min(all.first, range.first), Max(all.last, range.last)};
  }
  return all;
}

// Which of the partitions some consumer has not finished, as far as can be seen without locks. With
// `note`, it notes how much each consumer keeps.
bool* find_blocked(const Expiry& expiry, const OldPartitions& old, bool note) {
  auto* blocked = static_cast<bool*>(palloc0(sizeof(bool) * (old.whole_count + 1)));
  if (old.whole_count == 0) return blocked;
  for_open_consumers(expiry.stream.schema, expiry.maintained.name, [&](const Consumer& consumer) {
    const Unfinished unfinished = read_unfinished(consumer, all_of(old));
    Blocked kept{0, 0};
    for (int i = 0; i < old.whole_count; i++) {
      if (!unfinished.has_some_of(old.whole[i].range)) continue;
      blocked[i] = true;
      kept.partitions++;
      kept.events += unfinished.count_in(old.whole[i].range);
    }
    if (note && kept.partitions > 0)
      note_blocked(expiry.stream.schema, expiry.maintained.name, consumer.name, expiry.run.started,
                   kept);
  });
  return blocked;
}

const char* could_not(const char* what, const ErrorData* error) {
  return psprintf("Could not %s now: %s.", what, error->message);
}

// Retires the next partition that can go. Returns what it did; nothing if there is none. After it
// has waited for a lock in vain, it leaves the others to the next call: whoever creates a consumer
// waits for the end of this one.
StepResult retire_one(Expiry& expiry, const OldPartitions& old) {
  const bool* blocked = expiry.on_lag == OnLag::block ? find_blocked(expiry, old, false) : nullptr;
  for (int& next = expiry.run.partition; next < old.whole_count; next++) {
    if (blocked && blocked[next]) continue;
    Lost lost;
    bool is_retired = false;
    const ErrorData* error = attempt([&] {
      const OnUnfinished on_unfinished = blocked ? OnUnfinished::keep : OnUnfinished::count;
      is_retired = retire_if_finished(expiry.stream, expiry.maintained.name, old.whole[next],
                                      on_unfinished, lost);
    });
    if (error && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
      ReThrowError(const_cast<ErrorData*>(error));
    if (error) {
      next++;
      return {.has_more = true, .said = could_not("retire a partition", error)};
    }
    if (is_retired) {  // and so it is not among the old ones of the next call
      lost.report(expiry.maintained.name);
      return {.done = 1, .has_more = true};
    }
  }
  return {};
}

Positions unfinished_of(const Consumer& consumer, const OpenStream& table, Snapshot snapshot,
                        Positions positions) {
  const PositionRange range{positions.values[0], positions.values[positions.count - 1]};
  return unfinished_among(consumer, table, snapshot, read_unfinished(consumer, range), positions);
}

// Removes the events of the batch that all consumers have finished, and notes who keeps others.
Positions remove_finished(const Expiry& expiry, const OpenStream& table, Snapshot snapshot,
                          const OldBatch& batch) {
  const Positions positions = batch.in_order();
  PositionSet kept(batch.count);
  for_open_consumers(expiry.stream.schema, expiry.maintained.name, [&](const Consumer& consumer) {
    keep_finished(consumer);
    const Positions unfinished = unfinished_of(consumer, table, snapshot, positions);
    if (unfinished.count == 0) return;
    kept.add(unfinished);
    note_blocked(expiry.stream.schema, expiry.maintained.name, consumer.name, expiry.run.started,
                 {0, static_cast<int64>(unfinished.count)});
  });
  return remove_batch(table, snapshot, batch, kept.positions);
}

// Removes the batch, and then counts who loses what. What the owner's triggers or policies have
// kept is not lost, and the next run would count it again. `snapshot` sees the events that are
// gone, and nobody else sees that they are before this transaction commits.
Positions remove_and_count(const Expiry& expiry, const OpenStream& table, Snapshot snapshot,
                           const OldBatch& batch, Lost& lost) {
  const Positions removed = remove_batch(table, snapshot, batch, {nullptr, 0});
  if (removed.count == 0) return removed;
  for_open_consumers(expiry.stream.schema, expiry.maintained.name, [&](const Consumer& opened) {
    keep_finished(opened);
    if (unfinished_of(opened, table, snapshot, removed).count == 0) return;
    const Consumer consumer = lock_consumer(opened);
    const Positions unfinished = unfinished_of(consumer, table, snapshot, removed);
    lost.add(consumer, static_cast<int64>(unfinished.count));
  });
  KANTHORQ_TEST_POINT("retention_counted");
  return removed;
}

// The same for the table that is being emptied, from where the last call has stopped.
StepResult expire_rows(const Expiry& expiry, Oid oid, Run& run) {
  StepResult result;
  OpenStream table;
  if (!try_open_part(expiry.stream, oid, table)) {
    run.table++;
    return {.said = "A partition that was altered was not searched for old events."};
  }
  const Old old{{}, expiry.before_ms};
  Lost lost;
  bool is_last = true;
  const ErrorData* error = attempt([&] {
    with_newest_snapshot([&](Snapshot newest) {
      const OldBatch batch = read_batch(table, newest, old, run.from, batch_of_events);
      if (batch.count > 0) {
        const Positions removed = expiry.on_lag == OnLag::skip
                                      ? remove_and_count(expiry, table, newest, batch, lost)
                                      : remove_finished(expiry, table, newest, batch);
        result.done = static_cast<int64>(removed.count);
      }
      is_last = batch.is_last;
      run.from = batch.next;
    });
  });
  close_part(expiry.stream, table);
  if (error && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
    ReThrowError(const_cast<ErrorData*>(error));
  if (error)
    result = {0, false, could_not("remove old events", error)};
  else
    lost.report(expiry.maintained.name);
  if (error || is_last || result.done == 0) {
    run.table++;
    run.from = {};
  }
  return result;
}

// The tables from which old events are removed row by row.
StepResult expire_next_rows(Expiry& expiry, const OldPartitions& old) {
  const Oid itself = RelationGetRelid(expiry.stream.table);
  const Oid* tables = expiry.stream.is_partitioned ? old.others : &itself;
  const int count = expiry.stream.is_partitioned ? old.others_count : 1;
  StepResult result;
  while (expiry.run.table < count && result.done == 0) {
    const StepResult next = expire_rows(expiry, tables[expiry.run.table], expiry.run);
    result.done = next.done;
    if (next.said) result.said = next.said;
  }
  result.has_more = result.done > 0;
  return result;
}

StepResult expire(Expiry& expiry) {
  OldPartitions old{nullptr, 0, nullptr, 0};
  if (expiry.stream.is_partitioned) old = find_old_partitions(expiry);
  const StepResult retired = retire_one(expiry, old);
  if (retired.has_more) return retired;
  StepResult removed = expire_next_rows(expiry, old);
  if (removed.has_more) return removed;
  if (expiry.on_lag == OnLag::block) (void)find_blocked(expiry, old, true);
  const char* blocked =
      end_blocked(expiry.stream.schema, expiry.maintained.name, expiry.run.started);
  return {.said = blocked ? blocked : removed.said};
}

namespace stream_retention_argument {
enum : int { name, keep, on_lag };
}

OnLag on_lag_argument(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "on_lag");
  const std::string_view text = text_argument(fcinfo, argument);
  if (text == "block") return OnLag::block;
  if (text == "skip") return OnLag::skip;
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid on_lag \"%s\"", clipped(text)),
           errdetail("It says what becomes of old events that a consumer has not finished."),
           errhint("Use \"block\" to keep them, or \"skip\" to remove and count them.")));
}

}  // namespace

StepResult expire_events(const MaintainedStream& maintained) {
  Run run = take_run(maintained);
  lock_stream_name(maintained.schema, maintained.name, ShareUpdateExclusiveLock);
  const StreamSettings settings = stream_settings(maintained.schema, maintained.name);
  const int64 before_ms = now_ms() - settings.keep_ms;
  if (settings.keep_ms == 0 || before_ms <= 0) return {};
  const auto expire_its_events = [&](const OpenStream& stream) {
    Expiry expiry{maintained, stream, settings.on_lag, static_cast<std::uint64_t>(before_ms), run};
    require_consumable(stream);
    const StepResult result = expire(expiry);
    if (result.has_more) {
      unfinished_run = expiry.run;
      *maintained.progress = 1;
    }
    return result;
  };
  return with_stream(maintained.schema, maintained.name, AccessShareLock, expire_its_events);
}

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_stream_retention) {
  namespace argument = stream_retention_argument;
  PreventCommandIfReadOnly("kanthorq_stream_retention()");
  const std::string_view name = required_name(fcinfo, argument::name);
  const Oid schema = own_schema(fcinfo);
  const OnLag on_lag = on_lag_argument(fcinfo, argument::on_lag);
  const int64 keep_ms =
      PG_ARGISNULL(argument::keep) ? 0 : duration_argument(fcinfo, argument::keep, "keep", 1);
  // Also before the lock, which is not for everybody.
  const auto require_owner = [](const OpenStream& stream) {
    require_ownership(RelationGetRelid(stream.table));
  };
  with_stream(schema, name, AccessShareLock, require_owner);
  lock_stream_name(schema, name);
  with_stream(schema, name, AccessShareLock, require_owner);
  StreamSettings settings = stream_settings(schema, name);
  settings.keep_ms = keep_ms;
  settings.on_lag = on_lag;
  write_stream_settings(schema, name, settings);
  if (keep_ms == 0 || on_lag == OnLag::skip) forget_blocked(schema, name);  // nobody keeps any
  PG_RETURN_VOID();
}
