// A consumer's place in its stream: the arithmetic of exact delivery.
//
// Positions are handed out before commit, and commits come in another order. So a consumer keeps,
// beside its cursor, a list of the transactions that were still writing when the cursor moved over
// their positions. The events of such a transaction between `after` and `upto` are still owed. They
// come when it has ended. docs/delivery.md shows why nothing is lost and nothing comes twice.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace kanthorq {

// A transaction that may have events at positions that the cursor has moved over.
struct LateWriter {
  std::uint64_t txid;
  std::int64_t after;  // it took no position up to here
  std::int64_t upto;   // of those that the cursor has moved over, it took none after this one

  constexpr bool owes() const noexcept { return after < upto; }

  friend constexpr bool operator==(const LateWriter&, const LateWriter&) = default;
};

struct Cursor {
  std::int64_t position = 0;  // everything up to here was read
  std::int64_t ceiling = 0;   // the last position handed out when it last moved or was set
};

// How a pull moves the cursor: it looks at the rows that its snapshot sees, in the order of their
// positions. Each position was handed out to one transaction. So an open writer has none whose row
// belongs to a transaction that has ended. It can only have missing ones: positions without a row,
// or with a row that this pull leaves to an open writer.
struct Move {
  std::int64_t reached;  // everything up to here was looked at; at first, the cursor
  std::int64_t first_missing = std::numeric_limits<std::int64_t>::max();
  std::int64_t last_missing = std::numeric_limits<std::int64_t>::min();

  // Moves over the position of the next row.
  constexpr void over_row(std::int64_t position, bool is_of_open_writer) noexcept {
    if (position > reached + 1) miss(reached + 1, position - 1);
    if (is_of_open_writer) miss(position, position);
    reached = position;
  }

  // Moves to `end`. There is no further row up to there.
  constexpr void to_end(std::int64_t end) noexcept {
    if (end > reached) miss(reached + 1, end);
    reached = std::max(reached, end);
  }

 private:
  constexpr void miss(std::int64_t first, std::int64_t last) noexcept {
    first_missing = std::min(first_missing, first);
    last_missing = std::max(last_missing, last);
  }
};

constexpr bool contains(const std::uint64_t* txids, std::size_t count,
                        std::uint64_t txid) noexcept {
  for (std::size_t i = 0; i < count; i++)
    if (txids[i] == txid) return true;
  return false;
}

constexpr const LateWriter* find_late(const LateWriter* late, std::size_t count,
                                      std::uint64_t txid) noexcept {
  for (std::size_t i = 0; i < count; i++)
    if (late[i].txid == txid) return &late[i];
  return nullptr;
}

// An open writer has taken no position up to this one. It is what the list says, or for a writer
// that is not in the list yet, the ceiling of the pull before.
constexpr std::int64_t taken_after(const LateWriter* late, std::size_t count, std::uint64_t txid,
                                   std::int64_t last_ceiling) noexcept {
  const LateWriter* entry = find_late(late, count, txid);
  return entry ? entry->after : last_ceiling;
}

// Ended writers whose ranges overlap, and so are read together.
struct OwedRun {
  std::int64_t after;
  std::int64_t upto;
  std::size_t writers;
};

// The first such run of the writers. They are sorted by `after`, and there is at least one.
constexpr OwedRun first_owed_run(const LateWriter* ended, std::size_t count) noexcept {
  OwedRun run{ended[0].after, ended[0].upto, 1};
  for (; run.writers < count && ended[run.writers].after < run.upto; run.writers++)
    if (ended[run.writers].upto > run.upto) run.upto = ended[run.writers].upto;
  return run;
}

// Does one of the writers owe the row at `position`, written by `txid`?
constexpr bool is_owed(const LateWriter* late, std::size_t count, std::uint64_t txid,
                       std::int64_t position) noexcept {
  for (std::size_t i = 0; i < count; i++)
    if (late[i].txid == txid && position > late[i].after && position <= late[i].upto) return true;
  return false;
}

// Puts into `left` the writers that still owe something after `reached`, the position up to which
// all of it was read. Returns how many they are.
constexpr std::size_t still_owed(const LateWriter* late, std::size_t count, std::int64_t reached,
                                 LateWriter* left) noexcept {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; i++) {
    if (late[i].upto <= reached) continue;
    left[kept] = late[i];
    if (left[kept].after < reached) left[kept].after = reached;
    kept++;
  }
  return kept;
}

// Reads what the ended writers still owe: those in `late` that are no longer among `writers`.
// Ranges that overlap are read together, so that each row is read once, however many writers there
// were. `read(ended, run)` reads one such run and returns how far it got: to run.upto, or to the
// last row before it had enough. Leaves in `late` the open writers and those that still owe
// something. Returns how many they are.
template <typename Read>
constexpr std::size_t read_owed(LateWriter* late, std::size_t late_count,
                                const std::uint64_t* writers, std::size_t writer_count, Read read) {
  LateWriter* const end = late + late_count;
  LateWriter* ended = std::partition(late, end, [&](const LateWriter& writer) {
    return contains(writers, writer_count, writer.txid);
  });
  std::sort(ended, end, [](const LateWriter& a, const LateWriter& b) { return a.after < b.after; });
  LateWriter* left = ended;
  while (ended < end) {
    const OwedRun run = first_owed_run(ended, static_cast<std::size_t>(end - ended));
    left += still_owed(ended, run.writers, read(ended, run), left);
    ended += run.writers;
  }
  return static_cast<std::size_t>(left - late);
}

// Does the row at `position`, written by `txid`, belong to a transaction that is still open? The
// position counts, too: in a restored database an old row may by chance have the id of a
// transaction that is open now.
constexpr bool is_of_open_writer(std::uint64_t txid, std::int64_t position,
                                 const std::uint64_t* writers, std::size_t writer_count,
                                 const LateWriter* late, std::size_t late_count,
                                 std::int64_t last_ceiling) noexcept {
  return contains(writers, writer_count, txid) &&
         position > taken_after(late, late_count, txid, last_ceiling);
}

// How far an ordered consumer may read: below whatever an open writer may still commit.
constexpr std::int64_t ordered_ceiling(std::int64_t ceiling, const std::uint64_t* writers,
                                       std::size_t writer_count, const LateWriter* late,
                                       std::size_t late_count, std::int64_t last_ceiling) noexcept {
  for (std::size_t i = 0; i < writer_count; i++) {
    const std::int64_t after = taken_after(late, late_count, writers[i], last_ceiling);
    if (after < ceiling) ceiling = after;
  }
  return ceiling;
}

// The entry of an open writer after the cursor has moved. What it owes reaches to the last missing
// position, and not to the cursor. If it owed nothing, it begins with the first one. If none was
// missing, it has taken no position up to the cursor.
constexpr LateWriter moved(LateWriter writer, const Move& move) noexcept {
  const bool owes = writer.owes();
  const bool may_have_missing = move.last_missing > writer.after;
  if (!owes) {
    const std::int64_t none_upto = may_have_missing ? move.first_missing - 1 : move.reached;
    writer.after = std::max(writer.after, none_upto);
    writer.upto = writer.after;
  }
  if (may_have_missing) writer.upto = std::max(writer.upto, move.last_missing);
  return writer;
}

// Puts into `next` the list as it is after the cursor has moved. Open writers owe now what they may
// have on its way. The caller has taken ended ones out of `late`, or cut them. `next` has room for
// late_count + writer_count entries. Returns how many there are.
constexpr std::size_t next_late(const LateWriter* late, std::size_t late_count,
                                const std::uint64_t* writers, std::size_t writer_count,
                                std::int64_t last_ceiling, const Move& move,
                                LateWriter* next) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < late_count; i++) {
    const bool is_open = contains(writers, writer_count, late[i].txid);
    next[count++] = is_open ? moved(late[i], move) : late[i];
  }
  for (std::size_t i = 0; i < writer_count; i++)
    if (!find_late(late, late_count, writers[i]))
      next[count++] = moved({writers[i], last_ceiling, last_ceiling}, move);
  return count;
}

}  // namespace kanthorq
