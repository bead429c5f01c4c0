// kanthorq_horizon, and what the views show: cheap looks that may be taken every second.
#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "consumer/task.hpp"
#include "consumer/task_table.hpp"
#include "core/event_id.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/indexes.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/query.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"
#include "stream/reading.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

namespace {

Datum writers_array(const OpenWriters& writers) {
  Datum* values = palloc_array_of<Datum>(writers.count + 1);
  for (std::size_t i = 0; i < writers.count; i++) values[i] = UInt64GetDatum(writers.txids[i]);
  return PointerGetDatum(construct_array(values, static_cast<int>(writers.count), XID8OID,
                                         sizeof(uint64), true, TYPALIGN_DOUBLE));
}

// Monitoring roles are members of pg_monitor, and so of pg_read_all_stats. They see what is shown
// of a stream without a grant on its table.
bool may_monitor() { return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS); }

bool may_see_events(Relation table) {
  return (may_monitor() || has_privilege(table, ACL_SELECT)) && !has_row_security(table);
}

// A standby has no contents of what is unlogged.
bool has_contents(const OpenStream& stream) {
  return !RecoveryInProgress() || RelationIsPermanent(stream.table);
}

// How many entries of an index are looked at for a row that can be seen. Beyond that a value is
// unknown: a publisher may have any number of events that are not committed, and looking past them
// takes as long each time.
constexpr std::size_t most_looked_at = 300;

NullableDatum bigint(int64 value) { return {Int64GetDatum(value), false}; }

// The greatest id; null if there is none, if it is unknown, or if the owner wrote something else
// there.
NullableDatum newest_id(const OpenStream& stream) {
  const auto id_in = [](const StreamRow& row) {
    return is_event_id(row.id()) ? NullableDatum{text_datum(row.id()), false}
                                 : NullableDatum{0, true};
  };
  return with_newest_snapshot([&](Snapshot newest) {
    return with_greatest_id(stream, newest, most_looked_at, id_in).value_or(NullableDatum{0, true});
  });
}

// What the server has counted of a table, or its size. The counts begin anew after a crash, a
// reset, and on a server that was a standby, where nothing is counted.
int64 read_count(PGFunction statistic, Relation table) {
  return DatumGetInt64(DirectFunctionCall1(statistic, ObjectIdGetDatum(RelationGetRelid(table))));
}

// Runs `body(table)` for each table that holds events of the stream: its partitions, or its own. A
// partition that is no ordinary table, as the owner may have attached one, holds none.
template <typename Body>
void for_tables(const OpenStream& stream, Body body) {
  if (!stream.is_partitioned) return body(stream.table);
  PartitionDesc partitions = RelationGetPartitionDesc(stream.table, true);
  for (int i = 0; i < partitions->nparts; i++) {
    Relation table = try_relation_open(partitions->oids[i], AccessShareLock);
    if (!table) continue;
    if (table->rd_rel->relkind == RELKIND_RELATION) body(table);
    relation_close(table, AccessShareLock);
    CHECK_FOR_INTERRUPTS();
  }
}

int64 total_bytes(const OpenStream& stream) {
  int64 bytes = 0;
  for_tables(stream, [&](Relation table) { bytes += read_count(pg_total_relation_size, table); });
  return bytes;
}

// Has a VACUUM or ANALYZE set what the server counts of the table?
bool has_set_counts(Relation table) {
  for (const PGFunction sets_counts : {pg_stat_get_vacuum_count, pg_stat_get_autovacuum_count,
                                       pg_stat_get_analyze_count, pg_stat_get_autoanalyze_count})
    if (read_count(sets_counts, table) > 0) return true;
  return false;
}

// Each event that was not counted took a position all the same, so the positions say how many rows
// may be missing at most. A tenth is little enough for an estimate.
bool counts_most_rows(const OpenStream& stream) {
  if (!is_consumable(stream)) return false;
  int64 inserted = 0;
  int64 live = 0;
  for_tables(stream, [&](Relation table) {
    inserted += read_count(pg_stat_get_tuples_inserted, table);
    live += read_count(pg_stat_get_live_tuples, table);
  });
  return last_position(stream) - inserted <= live / 10;
}

// As the planner does it: as many rows a page as the last VACUUM or ANALYZE has found. Nothing if
// there was none.
std::optional<int64> planned_rows(Relation table, BlockNumber pages) {
  const float4 rows = table->rd_rel->reltuples;
  const int32 of_pages = table->rd_rel->relpages;
  if (rows < 0 || of_pages <= 0) return {};
  return static_cast<int64>(static_cast<double>(rows) / of_pages * pages);
}

// Estimates how many rows the tables of a stream have. What the server has counted says it since a
// VACUUM or ANALYZE has set the counts, or if most rows of the stream were counted.
class RowEstimate {
 public:
  explicit RowEstimate(const OpenStream& stream) : stream_(stream) {}

  std::optional<int64> of(Relation table) {
    const BlockNumber pages = RelationGetNumberOfBlocks(table);
    if (pages == 0) return 0;
    if (!RecoveryInProgress() && (has_set_counts(table) || counts_most()))
      return read_count(pg_stat_get_live_tuples, table);
    return planned_rows(table, pages);
  }

 private:
  bool counts_most() {
    if (!counts_most_) counts_most_ = counts_most_rows(stream_);
    return *counts_most_;
  }

  const OpenStream& stream_;
  std::optional<bool> counts_most_;
};

// Never more than positions were handed out, as each event has its own. Null if nothing is known.
NullableDatum estimated_events(const OpenStream& stream) {
  RowEstimate estimate(stream);
  int64 rows = 0;
  bool is_known = true;
  for_tables(stream, [&](Relation table) {
    const std::optional<int64> of_table = estimate.of(table);
    is_known = is_known && of_table;
    rows += of_table.value_or(0);
  });
  if (!is_known) return {0, true};
  if (rows > 0 && is_consumable(stream)) rows = Min(rows, last_position(stream));
  return bigint(rows);
}

// Adds a row of fields of these types to the function's result. Another version of the extension
// may have declared it with fewer columns, or with more, which are null then.
void put_row(FunctionCallInfo fcinfo, const Oid* types, const NullableDatum* fields, int count) {
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  require_result_types(result->setDesc, types, count);
  const int columns = result->setDesc->natts;
  Datum* values = palloc_array_of<Datum>(columns);
  bool* nulls = palloc_array_of<bool>(columns);
  for (int i = 0; i < columns; i++) {
    const NullableDatum field = i < count ? fields[i] : NullableDatum{0, true};
    values[i] = field.value;
    nulls[i] = field.isnull;
  }
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

struct TaskCounts {
  int64 retryable = 0;
  int64 discarded = 0;
  int64 cancelled = 0;
};

TaskCounts count_tasks(Relation table) {
  TaskCounts counts;
  const RowMemory memory;
  for_rows(table, index_on(table, task_position_column), nullptr, 0, [&](HeapTuple row) {
    const TaskState state = memory.during([&] { return read_state(table, row); });
    if (is_due_state(state)) counts.retryable++;
    if (state == TaskState::discarded) counts.discarded++;
    if (state == TaskState::cancelled) counts.cancelled++;
    return true;
  });
  memory.end();
  return counts;
}

struct LeaseCounts {
  int64 running = 0;
  int64 oldest = 0;  // its number, which is a time in microseconds
};

LeaseCounts count_leases(const Consumer& consumer) {
  LeaseCounts counts;
  for_leases(consumer, [&](const Lease& lease) {
    counts.running += static_cast<int64>(lease.count());
    if (counts.oldest == 0 || lease.number < counts.oldest) counts.oldest = lease.number;
    return true;
  });
  return counts;
}

// How old an event is, by the time that its publisher gave it; nothing lies in the future.
NullableDatum age_of(const StreamRow& row) {
  auto* age = static_cast<Interval*>(palloc0(sizeof(Interval)));
  const int64 now = now_ms();
  const int64 created_at = DatumGetInt64(row.value(created_at_column));
  age->time = (now - std::clamp(created_at, int64{0}, now)) * 1000;
  return {IntervalPGetDatum(age), false};
}

// The age of the first event after the cursor; null if there is none, if it is unknown, or if it
// must not be shown.
NullableDatum lag_time(const OpenStream& stream, int64 cursor, int64 last) {
  NullableDatum age{0, true};
  if (!may_see_events(stream.table)) return age;
  with_newest_snapshot([&](Snapshot newest) {
    const auto take_first = [&](const StreamRow& row) {
      age = age_of(row);
      return false;
    };
    for_positions(stream, newest, cursor, last, take_first, most_looked_at);
  });
  return age;
}

void put_consumer(FunctionCallInfo fcinfo, const Consumer& consumer, const OpenStream& stream) {
  // In the order in which events move on while this looks, so that each is counted somewhere.
  const Place place = read_place(consumer);
  const int64 last = last_position(stream);
  KANTHORQ_TEST_POINT("status_place");
  const LeaseCounts leases = count_leases(consumer);
  KANTHORQ_TEST_POINT("status_leases");
  const TaskCounts tasks = count_tasks(consumer.table);
  const NullableDatum fields[] = {
      bigint(place.cursor.position),
      bigint(Max(last - place.cursor.position, 0)),
      lag_time(stream, place.cursor.position, last),
      bigint(leases.running),
      bigint(tasks.retryable),
      bigint(tasks.discarded),
      bigint(tasks.cancelled),
      leases.oldest > 0
          ? NullableDatum{TimestampTzGetDatum(leases.oldest - microseconds_from_1970_to_2000),
                          false}
          : NullableDatum{0, true},
      bigint(skipped_events(consumer)),
  };
  constexpr Oid types[] = {INT8OID, INT8OID, INTERVALOID,    INT8OID, INT8OID,
                           INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID};
  static_assert(lengthof(types) == lengthof(fields));
  put_row(fcinfo, types, fields, lengthof(fields));
}

namespace horizon_argument {
enum : int { stream };
}

namespace stream_status_argument {
enum : int { stream };
}

namespace consumer_status_argument {
enum : int { consumer };
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_horizon) {
  namespace argument = horizon_argument;
  require_argument(fcinfo, argument::stream, "stream");
  InitMaterializedSRF(fcinfo, 0);
  const OpenStream stream =
      open_stream(own_schema(fcinfo), text_argument(fcinfo, argument::stream), AccessShareLock);
  if (!may_monitor()) require_readable(stream);
  const Datum writers = writers_array(open_writers(stream));
  unlock_relation(RelationGetRelid(stream.table), AccessShareLock);
  table_close(stream.table, AccessShareLock);
  with_spi([&] {
    ReadQuery query;
    query.add(
        "SELECT a.pid, p.gid, w.txid,"
        " COALESCE(a.xact_start, p.prepared), a.application_name, a.query"
        " FROM pg_catalog.unnest(",
        XID8ARRAYOID, writers,
        ") AS w(txid)"
        " LEFT JOIN pg_catalog.pg_stat_activity AS a"
        " ON a.backend_xid OPERATOR(pg_catalog.=) pg_catalog.xid(w.txid)"
        " LEFT JOIN pg_catalog.pg_prepared_xacts AS p"
        " ON p.transaction OPERATOR(pg_catalog.=) pg_catalog.xid(w.txid)"
        " ORDER BY w.txid");
    query.run_into(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
  });
  return Datum{0};
}

// The view leaves out a stream or consumer that is dropped while the view is read, or whose table
// was altered so that it can't be used: the owner of one must not spoil the view of all. Locks are
// given back, because everybody may look.
KANTHORQ_FUNCTION(kanthorq_stream_status) {
  InitMaterializedSRF(fcinfo, 0);
  OpenStream stream;
  if (!try_open_stream(own_schema(fcinfo), text_argument(fcinfo, stream_status_argument::stream),
                       AccessShareLock, stream))
    return Datum{0};
  if (!has_contents(stream)) {
    table_close(stream.table, AccessShareLock);
    return Datum{0};
  }
  const Datum relation = ObjectIdGetDatum(RelationGetRelid(stream.table));
  const NullableDatum fields[] = {
      {relation, false},
      estimated_events(stream),
      bigint(total_bytes(stream)),
      OidIsValid(stream.position_sequence) ? bigint(last_position(stream)) : NullableDatum{0, true},
      may_see_events(stream.table) ? newest_id(stream) : NullableDatum{0, true},
      {Int32GetDatum(static_cast<int32>(open_writers(stream).count)), false},
  };
  constexpr Oid types[] = {REGCLASSOID, INT8OID, INT8OID, INT8OID, TEXTOID, INT4OID};
  static_assert(lengthof(types) == lengthof(fields));
  put_row(fcinfo, types, fields, lengthof(fields));
  table_close(stream.table, AccessShareLock);
  return Datum{0};
}

KANTHORQ_FUNCTION(kanthorq_consumer_status) {
  InitMaterializedSRF(fcinfo, 0);
  Consumer consumer;
  if (!try_open_consumer(own_schema(fcinfo),
                         text_argument(fcinfo, consumer_status_argument::consumer), AccessShareLock,
                         consumer))
    return Datum{0};
  OpenStream stream;
  const bool intact = task_table_difference(consumer.table) == nullptr;
  if (intact && try_open_stream(consumer.schema, consumer.stream, AccessShareLock, stream)) {
    if (is_consumable(stream) && has_contents(stream)) put_consumer(fcinfo, consumer, stream);
    table_close(stream.table, AccessShareLock);
  }
  relation_close(consumer.table, AccessShareLock);
  return Datum{0};
}
