#include "server/line.hpp"

#include "server/time.hpp"
#include "server/waiting.hpp"

namespace kanthorq {

namespace {

// A consumer's line is one of so many, from the one that its hash names on. Should two sessions
// choose different ones for the same consumer, a commit calls one in each.
constexpr std::size_t lines_tried = 8;

// Where this process stands.
Line* standing;
bool has_promised;

std::size_t line_at(Oid consumer, std::size_t try_number) {
  return ((hash_bytes_uint32(consumer) ^ hash_bytes_uint32(MyDatabaseId)) + try_number) %
         line_count;
}

// For the owner of the line's mutex.
bool is_of(const Line& line, Oid consumer) {
  return line.sessions > 0 && line.consumer == consumer && line.database == MyDatabaseId;
}

pg_atomic_uint64& bits_of(const Line& line, std::size_t number) {
  return shared_memory()->buckets[line.bucket].has_line[number / 64];
}

std::uint64_t bit_of(std::size_t number) { return std::uint64_t{1} << (number % 64); }

// Enters the line if it is the consumer's.
bool join(Line& line, Oid consumer) {
  SpinLockAcquire(&line.mutex);
  const bool joined = is_of(line, consumer);
  if (joined) line.sessions++;
  SpinLockRelease(&line.mutex);
  return joined;
}

// Makes the line the consumer's if it is free.
bool found(Line& line, std::size_t number, std::size_t bucket, Oid consumer) {
  SpinLockAcquire(&line.mutex);
  const bool is_free = line.sessions == 0;
  if (is_free) {
    line.database = MyDatabaseId;
    line.consumer = consumer;
    line.sessions = 1;
    line.bucket = bucket;
    for (pg_atomic_uint32* number_in :
         {&line.caller, &line.promised, &line.pause_ms, &line.timekeeper})
      pg_atomic_write_u32(number_in, 0);
    pg_atomic_fetch_or_u64(&bits_of(line, number), bit_of(number));
  }
  SpinLockRelease(&line.mutex);
  return is_free;
}

void step_out(Line& line, std::size_t number) {
  SpinLockAcquire(&line.mutex);
  if (--line.sessions == 0) pg_atomic_fetch_and_u64(&bits_of(line, number), ~bit_of(number));
  SpinLockRelease(&line.mutex);
}

bool was_called(Line& line) {
  return pg_atomic_read_u32(&line.caller) != static_cast<std::uint32_t>(Caller::nobody);
}

void keep_promise() {
  if (!has_promised) return;
  has_promised = false;
  pg_atomic_exchange_u32(&standing->promised, 0);
}

}  // namespace

bool enter_line(std::string_view stream, Oid consumer) {
  Shared* shared = shared_memory();
  if (!shared) return false;
  leave_line(true);
  for (std::size_t i = 0; i < lines_tried && !standing; i++) {
    Line& line = shared->lines[line_at(consumer, i)];
    if (join(line, consumer)) standing = &line;
  }
  for (std::size_t i = 0; i < lines_tried && !standing; i++) {
    const std::size_t number = line_at(consumer, i);
    if (found(shared->lines[number], number, bucket_of(stream), consumer))
      standing = &shared->lines[number];
  }
  return standing != nullptr;
}

// In this order: whoever calls after the exchange finds this session asleep, or about to be, and
// whoever called before it has committed what the look will see.
Caller begin_look() {
  ConditionVariablePrepareToSleep(&standing->called);
  keep_promise();
  pg_atomic_write_u64(&standing->looked_at, static_cast<std::uint64_t>(steady_ms()));
  pg_atomic_write_u32(&standing->timekeeper, static_cast<std::uint32_t>(MyProcPid));
  return static_cast<Caller>(pg_atomic_exchange_u32(&standing->caller, 0));
}

bool promise_look() {
  if (!standing || has_promised) return true;
  has_promised = pg_atomic_exchange_u32(&standing->promised, 1) == 0;
  return has_promised;
}

void begin_promised_look() {
  if (standing) keep_promise();
}

// The server's function waits for the latch before it sees that it was signalled. If the look
// waited for a lock, that may have reset the latch.
bool sleep_until_called(int64 ms) {
  SetLatch(MyLatch);
  return !ConditionVariableTimedSleep(&standing->called, ms, wait_event());
}

// Not all of those that notice look at once.
int64 until_look_is_missed() {
  constexpr int64 grace_ms = 20;
  constexpr int spread_ms = 64;
  if (pg_atomic_read_u32(&standing->timekeeper) == static_cast<std::uint32_t>(MyProcPid)) return 0;
  const auto looked_at = static_cast<int64>(pg_atomic_read_u64(&standing->looked_at));
  return looked_at + Waiting::longest_ms + grace_ms + MyProcPid % spread_ms - steady_ms();
}

int64 begin_pause(int64 longest_ms) {
  if (!promise_look()) return 0;
  const int64 pause = Max(1, static_cast<int64>(pg_atomic_read_u32(&standing->pause_ms)));
  pg_atomic_write_u32(&standing->pause_ms, static_cast<std::uint32_t>(Min(2 * pause, longest_ms)));
  ConditionVariableCancelSleep();
  return pause;
}

// It is taken out of the list of sleepers before it looks whether it was called. So a call that it
// does not see goes to another session.
void leave_line(bool call_next) {
  if (!standing) return;
  Line& line = *standing;
  ConditionVariableCancelSleep();
  const bool pass_on = call_next || was_called(line);
  keep_promise();
  standing = nullptr;
  step_out(line, static_cast<std::size_t>(&line - shared_memory()->lines));
  if (!pass_on) return;
  pg_atomic_write_u32(&line.caller, static_cast<std::uint32_t>(Caller::session));
  ConditionVariableSignal(&line.called);
}

void call_one(Line& line, Caller caller) {
  if (caller == Caller::session) pg_atomic_write_u32(&line.pause_ms, 0);
  if (pg_atomic_read_u32(&line.promised) != 0) return;
  const auto number = static_cast<std::uint32_t>(caller);
  if (pg_atomic_exchange_u32(&line.caller, number) == 0) ConditionVariableSignal(&line.called);
}

int find_line(Oid consumer) {
  Shared* shared = shared_memory();
  for (std::size_t i = 0; shared && i < lines_tried; i++) {
    const std::size_t number = line_at(consumer, i);
    Line& line = shared->lines[number];
    SpinLockAcquire(&line.mutex);
    const bool found = is_of(line, consumer);
    SpinLockRelease(&line.mutex);
    if (found) return static_cast<int>(number);
  }
  return -1;
}

}  // namespace kanthorq
