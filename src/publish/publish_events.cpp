// A batch's way into a stream: which of the two ways it takes, and into which partitions.
//
// A batch goes one way. If one of its partitions, or the stream's table itself, needs the executor,
// all of it goes through an INSERT into the stream's table. So positions follow the order of the
// batch on either way. (A trigger of the owner's that publishes into the same stream takes
// positions in between, as ever.)
//
// Its partitions are locked first, on either way. Else the INSERT would fail if a partition comes
// while it waits for the default one.
#include "publish/insert.hpp"
#include "publish/route.hpp"
#include "server/datum.hpp"
#include "server/known.hpp"
#include "server/privileges.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/wake.hpp"
#include "stream/definition.hpp"
#include "stream/partition_owner.hpp"
#include "stream/partitions.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

namespace {

struct KnownPartition {
  Known known;
  Oid stream;  // the stream's table
  bool plain;
  bool closed;
};

constinit Knowledge<KnownPartition> known_partitions;

bool is_registered(Oid partition, const OpenStream& stream) {
  return with_newest_snapshot([&](Snapshot newest) {
    const Partitions registered = all_partitions(stream, newest);
    for (int i = 0; i < registered.count; i++)
      if (registered.items[i].table == partition) return true;
    return false;
  });
}

// A partition that somebody has attached by hand counts as closed, so that its first event notes
// it. Else no consumer would look into it.
void find_out(KnownPartition& known, Relation partition, const OpenStream& stream,
              std::string_view name) {
  known.stream = RelationGetRelid(stream.table);
  known.plain = is_plain_partition(partition, stream.table, stream.schema, name);
  known.closed = may_be_closed(partition, stream.schema) ||
                 !is_registered(RelationGetRelid(partition), stream);
}

const KnownPartition& knowledge_of(Relation partition, const OpenStream& stream,
                                   std::string_view name) {
  return known_partitions.about(
      partition,
      [&](const KnownPartition& known) { return known.stream == RelationGetRelid(stream.table); },
      [&](KnownPartition& known) {
        find_out(known, partition, stream, name);
        return known.closed || !has_listed_partitions();
      });
}

bool can_fill_directly(Relation index, const IndexInfo* info) {
  return info->ii_Expressions == NIL && info->ii_Predicate == NIL &&
         info->ii_ExclusionOps == nullptr && index->rd_index->indimmediate;
}

bool can_fill_all_directly(const ResultRelInfo* target) {
  for (int i = 0; i < target->ri_NumIndices; i++)
    if (!can_fill_directly(target->ri_IndexRelationDescs[i], target->ri_IndexRelationInfo[i]))
      return false;
  return true;
}

ResultRelInfo* open_target(Relation table, const EventBatch& batch) {
  ResultRelInfo* target = makeNode(ResultRelInfo);
  InitResultRelInfo(target, table, 0, nullptr, 0);
  ExecOpenIndices(target, batch.on_duplicate == OnDuplicate::skip);
  return target;
}

void close_target(ResultRelInfo* target) {
  ExecCloseIndices(target);
  pfree(target);
}

// Those that insert or open return false, with nothing written, if the executor is needed.

bool insert_into_table(const OpenStream& stream, const EventBatch& batch) {
  ResultRelInfo* target = open_target(stream.table, batch);
  const bool direct = can_fill_all_directly(target);
  if (direct) insert_rows_directly(stream, {&target, 1, nullptr}, batch);
  close_target(target);
  return direct;
}

bool open_partition_target(const OpenStream& stream, std::string_view name, Oid partition,
                           const EventBatch& batch, ResultRelInfo*& target) {
  Relation table = table_open(partition, NoLock);
  const KnownPartition known = knowledge_of(table, stream, name);
  target = open_target(table, batch);
  if (!known.plain || !can_fill_all_directly(target)) return false;
  // If another partition needs the executor, the trigger finds that this is noted.
  if (known.closed)
    note_reopening(stream.schema, RelationGetRelid(stream.table), partition, IfUnlisted::list);
  return true;
}

void close_partition_target(ResultRelInfo* target) {
  Relation table = target->ri_RelationDesc;
  close_target(target);
  table_close(table, NoLock);
}

bool insert_into_partitions(const OpenStream& stream, std::string_view name, const Route& route,
                            const EventBatch& batch) {
  ResultRelInfo** targets = palloc_array_of<ResultRelInfo*>(Max(route.count, 1));
  bool direct = true;
  int opened = 0;
  while (direct && opened < route.count) {
    direct = open_partition_target(stream, name, route.partitions[opened], batch, targets[opened]);
    opened++;
  }
  if (direct) insert_rows_directly(stream, {targets, route.count, route.of_event}, batch);
  while (opened > 0) close_partition_target(targets[--opened]);
  pfree(targets);
  return direct;
}

// The executor fires what is on the partitions.
void require_no_foreign_code_on(const OpenStream& stream, const Route& route) {
  for (int i = 0; i < route.count; i++)
    require_no_foreign_code(stream, route.partitions[i], Access::changes);
}

bool insert_directly(const OpenStream& stream, std::string_view name, const EventBatch& batch) {
  const bool plain = stream.plain && !has_row_security(stream.table);
  if (!plain && !stream.is_partitioned) return false;
  require_insert_privilege(stream.table, event_columns);
  if (!stream.is_partitioned) return insert_into_table(stream, batch);
  if (!is_partitioned_by_id(stream.table)) {
    require_no_foreign_code(stream, Access::changes);
    return false;
  }
  const Route route = lock_partitions(stream, batch);
  if (plain && insert_into_partitions(stream, name, route, batch)) return true;
  require_no_foreign_code_on(stream, route);
  return false;
}

void give_ids(const IdForm& form, const EventBatch& batch) {
  for (int i = 0; i < batch.count; i++) {
    Event& event = batch.events[i];
    if (!event.lacks_id) continue;
    std::uint64_t milliseconds;
    event[id_column] = new_id(form, milliseconds);
    if (event.lacks_created_at) event[created_at_column] = UInt64GetDatum(milliseconds);
    CHECK_FOR_INTERRUPTS();
  }
}

}  // namespace

void publish_events(Oid schema, std::string_view stream, const EventBatch& batch) {
  with_stream(schema, stream, RowExclusiveLock, [&](const OpenStream& open) {
    give_ids(open.id_form, batch);
    wake_at_commit(stream);
    KANTHORQ_TEST_POINT("publish_locked");
    if (!insert_directly(open, stream, batch)) insert_by_executor(open.table, batch);
    KANTHORQ_TEST_POINT("publish_end");
  });
}

}  // namespace kanthorq
