// Old events by time are those of several ranges of ids (read/time_range.hpp): some for ULIDs and
// UUIDv7s, and one for each prefix in use. Ranges that overlap are read as one, so that each row is
// read once, and the time inside each id decides.

#include "retention/old_events.hpp"

#include "read/time_range.hpp"
#include "retention/removal.hpp"
#include "server/datum.hpp"
#include "server/quoting.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

namespace {

// Where prefixed ids begin. Others start with a digit, except for UUIDs of a time to come.
constexpr const char* first_prefixed = "a";

bool is_before(const IdRange& a, const IdRange& b) { return strcmp(a.lower, b.lower) < 0; }

// Ranges of ids without a prefix, in their order, none of which overlap.
IdRanges disjoint_ranges(TimeRange range) {
  IdRanges ranges = plain_ranges(range);
  std::sort(ranges.ranges, ranges.ranges + ranges.count, is_before);
  IdRanges disjoint;
  for (int i = 0; i < ranges.count; i++) {
    const IdRange& next = ranges.ranges[i];
    IdRange* last = disjoint.count > 0 ? &disjoint.ranges[disjoint.count - 1] : nullptr;
    if (!last || strcmp(next.lower, last->upper) > 0)
      disjoint.add(next.lower, next.upper);
    else if (strcmp(next.upper, last->upper) > 0)
      last->upper = next.upper;
  }
  return disjoint;
}

class BatchReader {
 public:
  BatchReader(const OpenStream& table, Snapshot snapshot, const Old& old, std::size_t most)
      : table_(table),
        snapshot_(snapshot),
        old_(old),
        most_(most),
        batch_{0, palloc_array_of<ItemPointerData>(most), palloc_array_of<int64>(most), true, {}} {}

  OldBatch read(const IdPlace& from) {
    if (!old_.before_id.empty())
      read_range(from.id, cstring_of(old_.before_id));
    else
      read_by_time(from.id);
    return batch_;
  }

 private:
  void read_by_time(const char* from) {
    TimeRange range;
    range.to = old_.before_ms;
    if (range.is_empty()) return;
    const IdRanges plain = disjoint_ranges(range);
    for (int i = 0; i < plain.count; i++) read_range(from, plain.ranges[i]);
    read_prefixed(strcmp(from, first_prefixed) > 0 ? from : first_prefixed, range);
  }

  void read_range(const char* from, const IdRange& ids) {
    read_range(strcmp(from, ids.lower) > 0 ? from : ids.lower, ids.upper);
  }

  // Reads on from `lower`. Stops, and notes where, after as many rows as a batch looks at.
  void read_range(const char* lower, const char* upper) {
    if (!batch_.is_last || strcmp(lower, upper) >= 0) return;
    for_ids(table_, snapshot_, lower, upper, [&](const StreamRow& row) {
      if (looked_at_ == most_) return batch_.is_last = false;
      looked_at_++;
      look_at(row);
      return true;
    });
  }

  void look_at(const StreamRow& row) {
    const std::string_view id = row.id();
    const std::size_t size = Min(id.size(), max_event_id_bytes);
    memcpy(batch_.next.id, id.data(), size);
    batch_.next.id[size] = '\1';  // after the id, and before all that are longer or greater
    batch_.next.id[size + 1] = '\0';
    if (old_.before_id.empty()) {
      const EventIdVerdict verdict = check_event_id(id);
      if (verdict.fault != EventIdFault::none || verdict.milliseconds >= old_.before_ms) return;
    }
    batch_.rows[batch_.count] = row.slot->tts_tid;
    batch_.positions[batch_.count++] = row.position();
  }

  // Each prefix has a range of its own, and there may be as many prefixes as events.
  void read_prefixed(const char* from, TimeRange range) {
    IdPlace place;
    strlcpy(place.id, from, sizeof(place.id));
    while (batch_.is_last) {
      CHECK_FOR_INTERRUPTS();
      const char* prefix = next_prefix(place.id);
      if (!prefix) return;
      read_range(place.id, prefixed_range(range, prefix));
      strlcpy(place.id, end_of_prefix(prefix), sizeof(place.id));
    }
  }

  // The prefix of the first prefixed id from this one on; null if there is none. An invalid id,
  // which the owner of the table may have let in, has none.
  const char* next_prefix(const char* from) {
    const char* prefix = nullptr;
    for_ids(table_, snapshot_, from, nullptr, [&](const StreamRow& row) {
      if (is_event_id(row.id()) && !event_id_prefix(row.id()).empty())
        prefix = cstring_of(event_id_prefix(row.id()));
      return prefix == nullptr;
    });
    return prefix;
  }

  const OpenStream& table_;
  Snapshot snapshot_;
  const Old& old_;
  std::size_t most_;
  std::size_t looked_at_ = 0;
  OldBatch batch_;
};

// The values of the only column, a bigint, of what SPI has returned; ascending.
Positions returned_positions(MemoryContext memory) {
  const std::size_t count = SPI_processed;
  Positions found{with_context(memory, [&] { return palloc_array_of<int64>(count + 1); }), count};
  for (std::size_t i = 0; i < count; i++) {
    bool is_null;
    found.values[i] =
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null));
  }
  std::sort(found.values, found.values + count);
  return found;
}

// Deletes these rows, a tid[], of the table itself.
Positions remove_rows(Relation table, Snapshot snapshot, Datum rows) {
  MemoryContext memory = CurrentMemoryContext;
  return with_spi([&] {
    const char* sql = psprintf(
        "DELETE FROM ONLY %s WHERE ctid OPERATOR(pg_catalog.=) ANY ($1) RETURNING position",
        quoted_table_name(table));
    Oid type = TIDARRAYOID;
    SPIPlanPtr plan = SPI_prepare(sql, 1, &type);
    if (!plan) elog(ERROR, "could not plan the removal of events");
    return with_removal_permit(RelationGetRelid(table), [&] {
      const int result =
          SPI_execute_snapshot(plan, &rows, nullptr, snapshot, InvalidSnapshot, false, true, 0);
      if (result != SPI_OK_DELETE_RETURNING)
        elog(ERROR, "could not remove events: %s", SPI_result_code_string(result));
      return returned_positions(memory);
    });
  });
}

}  // namespace

Positions OldBatch::in_order() const {
  Positions sorted{palloc_array_of<int64>(count + 1), count};
  std::copy_n(positions, count, sorted.values);
  std::sort(sorted.values, sorted.values + count);
  return sorted;
}

OldBatch read_batch(const OpenStream& table, Snapshot snapshot, const Old& old, const IdPlace& from,
                    std::size_t most) {
  return BatchReader(table, snapshot, old, most).read(from);
}

Positions remove_batch(const OpenStream& table, Snapshot snapshot, const OldBatch& batch,
                       Positions kept) {
  Datum* rows = palloc_array_of<Datum>(batch.count + 1);
  int count = 0;
  for (std::size_t i = 0; i < batch.count; i++)
    if (!holds(kept, batch.positions[i])) rows[count++] = PointerGetDatum(&batch.rows[i]);
  if (count == 0) return {nullptr, 0};
  const Datum array = PointerGetDatum(
      construct_array(rows, count, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT));
  return remove_rows(table.table, snapshot, array);
}

}  // namespace kanthorq
