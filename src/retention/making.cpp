// Making partitions: those that the next events need, and those for events that are in the default
// partition already.
//
// In one transaction: the default partition is locked against writers (ShareRowExclusiveLock, so
// pulls go on), a table is created, the rows of its range move into it, and it is attached, at the
// very end, because that locks the default partition against everybody. A row keeps all its
// columns, so it is the same event at the same position. Whoever looks sees it in one of the two
// tables, because a snapshot sees the whole transaction or nothing of it.
#include "core/event_id.hpp"
#include "retention/partition_steps.hpp"
#include "retention/removal.hpp"
#include "retention/settings.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/indexes.hpp"
#include "server/lock.hpp"
#include "server/quoting.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "stream/definition.hpp"
#include "stream/foreign_keys.hpp"
#include "stream/partition_owner.hpp"
#include "stream/partitioning.hpp"
#include "stream/partitions.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

namespace {

// The ids that a partition holds that starts at `start`, in milliseconds since 1970.
struct Range {
  int64 start;
  const char* lower;
  const char* upper;
};

Range range_from(const MaintainedStream& stream, int64 start) {
  return {start, partition_lower(stream.settings, start), partition_upper(stream.settings, start)};
}

// What there is now.
struct Layout {
  Oid default_partition;
  RangePartitions ranges;
};

// The table is closed again, because the server's definitions refuse a table that is open.
Layout read_layout(Oid table) {
  Relation opened = table_open(table, NoLock);
  const Layout layout = {default_partition(opened), range_partitions(opened)};
  table_close(opened, NoLock);
  return layout;
}

bool overlaps(const Layout& layout, const Range& range) {
  for (int i = 0; i < layout.ranges.count; i++)
    if (strcmp(layout.ranges.items[i].lower, range.upper) < 0 &&
        strcmp(layout.ranges.items[i].upper, range.lower) > 0)
      return true;
  return false;
}

int64 newest_start(const MaintainedStream& stream) {
  return partition_start(stream.settings, now_ms()) +
         partitions_ahead * stream.settings.partition_ms;
}

// The rows of the range in the default partition, which is locked.
RowCount count_waiting(Oid partition, Oid stream, const Range& range) {
  Relation opened = table_open(partition, NoLock);
  require_stream_columns(opened, stream);
  ScanKeyData keys[2] = {
      compares_text(id_column, BTGreaterEqualStrategyNumber, F_TEXT_GE, range.lower),
      compares_text(id_column, BTLessStrategyNumber, F_TEXT_LT, range.upper)};
  const RowCount rows =
      count_rows(opened, index_on(opened, id_column), keys, 2, int64{max_moved_rows} + 1);
  table_close(opened, NoLock);
  return rows;
}

// Do publications of the partition pass DELETE on? For a subscriber, an event that moves would be
// one that was removed.
bool publishes_deletes(Relation partition) {
  PublicationDesc published{};
  RelationBuildPublicationDesc(partition, &published);
  return published.pubactions.pubdelete;
}

// Why the rows must not move; null if they may.
const char* obstacle(Oid stream, Oid partition, const Range& range, const RowCount& rows) {
  const char* from =
      psprintf("The events from \"%s\" on stay in the default partition: ", range.lower);
  if (!is_of_stream_owner(stream, partition))
    return psprintf("%sit belongs to another role than the stream.", from);
  if (rows.is_changing) return psprintf("%san open transaction has written some of them.", from);
  if (rows.count > max_moved_rows)
    return psprintf(
        "%sthere are more than %d, and whoever publishes such events would wait while "
        "they move. To move them, set kanthorq.max_moved_rows and call "
        "kanthorq_maintain() in that session.",
        from, max_moved_rows);
  Relation opened = table_open(partition, NoLock);
  const bool has_references = is_referenced(opened);
  const bool has_subscribers = publishes_deletes(opened);
  table_close(opened, NoLock);
  if (has_references)
    return psprintf("%sa foreign key references the stream, and would take them for removed.",
                    from);
  if (has_subscribers)
    return psprintf(
        "%sthe stream is in a publication of deletes, and subscribers would take them "
        "for removed.",
        from);
  return nullptr;
}

// The columns that have values of their own.
const char* stored_columns(Oid partition) {
  Relation opened = table_open(partition, NoLock);
  StringInfoData columns;
  initStringInfo(&columns);
  for (int i = 0; i < RelationGetNumberOfAttributes(opened); i++) {
    Form_pg_attribute column = TupleDescAttr(RelationGetDescr(opened), i);
    if (column->attisdropped || column->attgenerated != '\0') continue;
    appendStringInfo(&columns, "%s%s", columns.len > 0 ? ", " : "",
                     quote_identifier(NameStr(column->attname)));
  }
  table_close(opened, NoLock);
  return columns.data;
}

// Its owner's triggers and rules may do something else than what the statements say.
[[noreturn]] void raise_not_moved(Oid partition, uint64 added, uint64 removed) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("could not move events out of table \"%s\"", get_rel_name(partition)),
                  errdetail(UINT64_FORMAT " rows were copied, and " UINT64_FORMAT " deleted.",
                            added, removed),
                  errhint("Look for triggers, rules and policies on that table.")));
}

// Runs the statement, in which $1 and $2 are the bounds of the range. Returns for how many rows.
uint64 run_for_range(const char* sql, const Range& range, int expected) {
  Oid types[2] = {TEXTOID, TEXTOID};
  Datum values[2] = {text_datum(range.lower), text_datum(range.upper)};
  const int result = SPI_execute_with_args(sql, 2, types, values, nullptr, false, 0);
  if (result != expected) elog(ERROR, "could not move events: %s", SPI_result_code_string(result));
  return SPI_processed;
}

// Within with_spi(). `target` is a table that is not attached yet, and has no trigger.
void move_rows(Oid partition, const char* target, const Range& range) {
  const char* columns = stored_columns(partition);
  const char* source = quoted_table_name(partition);
  const char* in_range = "id OPERATOR(pg_catalog.>=) $1 AND id OPERATOR(pg_catalog.<) $2";
  const uint64 added =
      run_for_range(psprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM ONLY %s"
                             " WHERE %s",
                             target, columns, columns, source, in_range),
                    range, SPI_OK_INSERT);
  KANTHORQ_TEST_POINT("maintain_copied");
  const uint64 removed = with_removal_permit(partition, [&] {
    return run_for_range(psprintf("DELETE FROM ONLY %s WHERE %s", source, in_range), range,
                         SPI_OK_DELETE);
  });
  if (removed != added) raise_not_moved(partition, added, removed);
  KANTHORQ_TEST_POINT("maintain_moved");
}

// Makes the partition, with what waits for it. Returns why it did not; else null.
const char* make_partition(const MaintainedStream& stream, const Layout& layout, const Range& range,
                           int64& moved) {
  RowCount waiting{};
  if (OidIsValid(layout.default_partition)) {
    lock_relation(layout.default_partition, ShareRowExclusiveLock);
    waiting = count_waiting(layout.default_partition, stream.table, range);
  }
  if (waiting.count > 0) {
    const char* reason = obstacle(stream.table, layout.default_partition, range, waiting);
    if (reason) return reason;
    // Attaching takes this lock when all is copied. If it is not to be had, because somebody reads
    // the default partition for hours, each run would copy in vain.
    lock_relation(layout.default_partition, AccessExclusiveLock);
    unlock_relation(layout.default_partition, AccessExclusiveLock);
  }
  moved = waiting.count;
  with_spi([&] {
    const char* mark = partition_mark(stream.settings, range.start);
    const char* table = create_partition(stream.schema, stream.name, mark);
    KANTHORQ_TEST_POINT("maintain_created");
    if (waiting.count > 0) move_rows(layout.default_partition, table, range);
    const Oid partition =
        attach_partition(stream.schema, stream.name, mark, range.lower, range.upper);
    KANTHORQ_TEST_POINT("maintain_attached");
    add_open_partition(stream.schema, stream.table, partition);
  });
  return nullptr;
}

const char* too_many(const MaintainedStream& stream) {
  ereport(WARNING,
          (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
           errmsg("stream \"%s\" has as many partitions as it may have", cstring_of(stream.name)),
           errdetail("kanthorq.max_partitions is %d. Further events stay in the default partition.",
                     max_partitions),
           errhint("Limit how long its events are kept with kanthorq_stream_retention(), or "
                   "raise the setting.")));
  return psprintf(
      "It has %d partitions, as many as kanthorq.max_partitions allows. Further events "
      "stay in the default partition.",
      max_partitions);
}

bool has_too_many(const Layout& layout) { return layout.ranges.count >= max_partitions; }

bool is_of_form(const IdForm& form, std::string_view id) {
  if (!is_event_id(id)) return false;
  switch (form.kind) {
    case IdForm::ulid:
      return id.size() == ulid_length;
    case IdForm::uuidv7:
      return is_uuidv7(id);
    case IdForm::prefixed: {
      const std::string_view prefix = event_id_prefix(id);
      return prefix.size() == std::size_t{form.prefix_size} + 1 &&
             prefix.starts_with(form.prefix_view());
    }
  }
  pg_unreachable();
}

// The start of the newest range between two ids of which the default partition has events; -1 if
// there is none. Only some ids of other forms are looked through.
int64 newest_waiting(const MaintainedStream& stream, Oid partition, const char* lower,
                     const char* upper) {
  constexpr int most_ids = 1000;
  if (strcmp(lower, upper) >= 0) return -1;
  return with_spi([&]() -> int64 {
    const char* sql = psprintf(
        "SELECT id::pg_catalog.text FROM ONLY %s WHERE id OPERATOR(pg_catalog.>=) $1"
        " AND id OPERATOR(pg_catalog.<) $2 ORDER BY id DESC LIMIT %d",
        quoted_table_name(partition), most_ids);
    Oid types[2] = {TEXTOID, TEXTOID};
    Datum values[2] = {text_datum(lower), text_datum(upper)};
    const int result = SPI_execute_with_args(sql, 2, types, values, nullptr, false, 0);
    if (result != SPI_OK_SELECT)
      elog(ERROR, "could not look for events: %s", SPI_result_code_string(result));
    for (uint64 i = 0; i < SPI_processed; i++) {
      const std::string_view id = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
      if (is_of_form(stream.settings.id_form, id))
        return partition_start(stream.settings,
                               static_cast<int64>(check_event_id(id).milliseconds));
    }
    return -1;
  });
}

// Events that will be removed as rows, because they are older than they are kept.
int64 oldest_start(const MaintainedStream& stream) {
  if (stream.settings.keep_ms == 0) return 0;
  return Max(int64{0}, partition_start(stream.settings, now_ms() - stream.settings.keep_ms));
}

// The start of the newest range below `before` of which events wait: looks into the gaps between
// the partitions only. -1 if there is none.
int64 newest_waiting_before(const MaintainedStream& stream, const Layout& layout, int64 before) {
  const IdForm& form = stream.settings.id_form;
  const char* floor = id_floor(form, static_cast<std::uint64_t>(oldest_start(stream)));
  const char* upper = id_floor(form, static_cast<std::uint64_t>(before));
  for (int i = layout.ranges.count; i-- > 0 && strcmp(upper, floor) > 0;) {
    const RangePartition& range = layout.ranges.items[i];
    if (strcmp(range.lower, upper) >= 0) continue;
    const char* lower = strcmp(range.upper, floor) > 0 ? range.upper : floor;
    const int64 found = newest_waiting(stream, layout.default_partition, lower, upper);
    if (found >= 0) return found;
    upper = strcmp(range.lower, upper) < 0 ? range.lower : upper;
  }
  return newest_waiting(stream, layout.default_partition, floor, upper);
}

}  // namespace

// It was dropped or detached by hand. Without it, ids of other forms and times have no place.
static StepResult make_default(const MaintainedStream& stream) {
  with_spi([&] { add_default_partition(stream.schema, stream.name, stream.table); });
  return {.done = 1, .has_more = true};
}

StepResult make_partitions_ahead(const MaintainedStream& stream) {
  if (stream.settings.partition_ms == 0) return {};
  constexpr int64 before_all = 1;  // the default partition was tried: all others start later
  const Layout layout = read_layout(stream.table);
  if (!OidIsValid(layout.default_partition) && *stream.progress == 0) {
    *stream.progress = before_all;
    return make_default(stream);
  }
  for (int64 start = partition_start(stream.settings, now_ms()); start <= newest_start(stream);
       start += stream.settings.partition_ms) {
    const Range range = range_from(stream, start);
    if (start <= *stream.progress || overlaps(layout, range)) continue;
    if (has_too_many(layout)) return {.said = too_many(stream)};
    *stream.progress = start;
    int64 moved = 0;
    const char* reason = make_partition(stream, layout, range, moved);
    return {.done = reason ? 0 : 1, .has_more = true, .said = reason};
  }
  return {};
}

// Newest first: these are the events that are wanted, as a rule.
StepResult empty_default(const MaintainedStream& stream) {
  if (stream.settings.partition_ms == 0) return {};
  constexpr int64 first_of_all = 1;  // the first range was tried: it starts at 0
  const Layout layout = read_layout(stream.table);
  if (!OidIsValid(layout.default_partition) || *stream.progress == first_of_all ||
      !is_of_stream_owner(stream.table, layout.default_partition))
    return {};
  const int64 before =
      *stream.progress > 0 ? *stream.progress : newest_start(stream) + stream.settings.partition_ms;
  const int64 start = newest_waiting_before(stream, layout, before);
  if (start < 0) return {};
  const Range range = range_from(stream, start);
  *stream.progress = Max(start, first_of_all);
  if (overlaps(layout, range))
    return {.has_more = true,
            .said = psprintf("The events from \"%s\" on stay in the default partition: a partition "
                             "with other bounds is in the way.",
                             range.lower)};
  if (has_too_many(layout)) return {.said = too_many(stream)};
  int64 moved = 0;
  const char* reason = make_partition(stream, layout, range, moved);
  return {.done = moved, .has_more = true, .said = reason};
}

}  // namespace kanthorq
