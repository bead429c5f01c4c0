// What this process has to wake, and when: at the commit of its transaction, or at the end.
//
// Nothing depends on being woken: somebody of each line looks again every second (line.hpp).
// Whoever waits for a prepared transaction looks more often, because COMMIT PREPARED runs no
// callback of ours.
//
// A commit wakes in its transaction callback. By then it is visible to everybody and no longer in
// the list of running transactions, so a pull does not count it among the writers. It still holds
// its locks. If nobody waits, it costs a spinlock and a cache line for each stream.

#include "server/wake.hpp"

#include "server/line.hpp"
#include "server/shared.hpp"
#include "server/test_point.hpp"

namespace kanthorq {

namespace {

// Numbers below `size`, a bit for each.
template <std::size_t size>
struct Numbers {
  bool any;
  std::uint64_t bits[size / 64];

  void add(std::size_t number) {
    any = true;
    bits[number / 64] |= std::uint64_t{1} << (number % 64);
  }
};

// Runs `body(number)` for each of the 64 numbers from `first` on whose bit is set.
template <typename Body>
void for_bits(std::uint64_t bits, std::size_t first, Body body) {
  for (; bits != 0; bits &= bits - 1)
    body(first + static_cast<std::size_t>(std::countr_zero(bits)));
}

template <std::size_t size, typename Body>
void for_numbers(const Numbers<size>& numbers, Body body) {
  for (std::size_t i = 0; numbers.any && i < lengthof(numbers.bits); i++)
    for_bits(numbers.bits[i], 64 * i, body);
}

Numbers<bucket_count> buckets_to_wake;        // at the commit of this transaction
Numbers<line_count> lines_to_wake;            // at its end
Numbers<line_count> lines_to_wake_if_undone;  // if it does not commit

void wake_bucket(std::size_t number) {
  Bucket& bucket = shared_memory()->buckets[number];
  ConditionVariableBroadcast(&bucket.alone);
  for (std::size_t i = 0; i < lengthof(bucket.has_line); i++)
    for_bits(pg_atomic_read_u64(&bucket.has_line[i]), 64 * i,
             [](std::size_t line) { wake_one(shared_memory()->lines[line], WokenBy::commit); });
}

// The barrier: what is read of the shared memory is read after the commit became visible. Whoever
// is not found there looks later, and sees it.
void wake_buckets() {
  KANTHORQ_TEST_POINT("commit_done");
  pg_memory_barrier();
  for_numbers(buckets_to_wake, wake_bucket);
  KANTHORQ_TEST_POINT("commit_woken");
}

void wake_lines(const Numbers<line_count>& lines) {
  for_numbers(lines,
              [](std::size_t line) { wake_one(shared_memory()->lines[line], WokenBy::session); });
}

void at_end_of_transaction(XactEvent event, void*) {
  const bool ended =
      event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE;
  if (!ended) return;
  if (event == XACT_EVENT_ABORT) leave_line(true);
  // Whoever waits must know of a prepared transaction, because its commit wakes nobody.
  if (event != XACT_EVENT_ABORT && buckets_to_wake.any) wake_buckets();
  if (lines_to_wake.any) wake_lines(lines_to_wake);
  if (event != XACT_EVENT_COMMIT) wake_lines(lines_to_wake_if_undone);
  buckets_to_wake = {};
  lines_to_wake = {};
  lines_to_wake_if_undone = {};
}

// If it took events, others can have them again.
void at_end_of_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
  if (event != SUBXACT_EVENT_ABORT_SUB) return;
  leave_line(true);
  wake_lines(lines_to_wake);
  wake_lines(lines_to_wake_if_undone);
}

}  // namespace

void follow_transactions() {
  static bool is_following;
  if (is_following) return;
  RegisterXactCallback(at_end_of_transaction, nullptr);
  RegisterSubXactCallback(at_end_of_subtransaction, nullptr);
  before_shmem_exit([](int, Datum) { leave_line(true); }, Datum{0});
  is_following = true;
}

void wake_at_commit(std::string_view stream) {
  if (!shared_memory()) return;
  follow_transactions();
  buckets_to_wake.add(bucket_of(stream));
}

bool has_line(Oid consumer) {
  bool found = false;
  for_lines_of(consumer, [&](Line&, std::size_t) { found = true; });
  return found;
}

void wake_next_at_end(Oid consumer, bool has_more) {
  follow_transactions();
  Numbers<line_count>& lines = has_more ? lines_to_wake : lines_to_wake_if_undone;
  for_lines_of(consumer, [&](Line& line, std::size_t number) {
    pg_atomic_write_u32(&line.pause_ms, 0);  // there was something
    lines.add(number);
  });
}

}  // namespace kanthorq
