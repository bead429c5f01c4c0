#include "server/line.hpp"

#include "server/time.hpp"
#include "server/waiting.hpp"

namespace kanthorq {

namespace {

// Where this process stands.
Line* standing;
bool has_promised;

// For the owner of the line's mutex.
bool is_of(const Line& line, Oid consumer) {
  return line.sessions > 0 && line.consumer == consumer && line.database == MyDatabaseId;
}

pg_atomic_uint64& bits_of(const Line& line, std::size_t number) {
  return shared_memory()->buckets[line.bucket].has_line[number / 64];
}

std::uint64_t bit_of(std::size_t number) { return std::uint64_t{1} << (number % 64); }

// For the owner of the line's mutex, if nobody stands in the line.
void open_line(Line& line, std::size_t number, std::size_t bucket, Oid consumer) {
  line.database = MyDatabaseId;
  line.consumer = consumer;
  line.bucket = bucket;
  for (pg_atomic_uint32* value : {&line.woken_by, &line.promised, &line.pause_ms, &line.timekeeper})
    pg_atomic_write_u32(value, 0);
  pg_atomic_fetch_or_u64(&bits_of(line, number), bit_of(number));
}

// Enters the line if it is the consumer's, or with `bucket` also if nobody stands in it.
bool enter(std::size_t number, Oid consumer, std::optional<std::size_t> bucket) {
  Line& line = shared_memory()->lines[number];
  SpinLockAcquire(&line.mutex);
  bool entered = is_of(line, consumer);
  if (!entered && bucket && line.sessions == 0) {
    open_line(line, number, *bucket, consumer);
    entered = true;
  }
  if (entered) line.sessions++;
  SpinLockRelease(&line.mutex);
  if (entered) standing = &line;
  return entered;
}

void step_out(Line& line, std::size_t number) {
  SpinLockAcquire(&line.mutex);
  if (--line.sessions == 0) pg_atomic_fetch_and_u64(&bits_of(line, number), ~bit_of(number));
  SpinLockRelease(&line.mutex);
}

bool was_woken(Line& line) {
  return pg_atomic_read_u32(&line.woken_by) != static_cast<std::uint32_t>(WokenBy::nobody);
}

// For a session that begins to look.
void become_timekeeper() {
  pg_atomic_write_u64(&standing->looked_at, static_cast<std::uint64_t>(steady_ms()));
  pg_atomic_write_u32(&standing->timekeeper, static_cast<std::uint32_t>(MyProcPid));
}

void keep_promise() {
  if (!has_promised) return;
  has_promised = false;
  pg_atomic_exchange_u32(&standing->promised, 0);
}

}  // namespace

std::size_t line_at(Oid consumer, std::size_t try_number) {
  return ((hash_bytes_uint32(consumer) ^ hash_bytes_uint32(MyDatabaseId)) + try_number) %
         line_count;
}

bool is_line_of(Line& line, Oid consumer) {
  SpinLockAcquire(&line.mutex);
  const bool is_its_line = is_of(line, consumer);
  SpinLockRelease(&line.mutex);
  return is_its_line;
}

bool enter_line(std::string_view stream, Oid consumer) {
  if (!shared_memory()) return false;
  leave_line(true);
  for (std::size_t i = 0; i < lines_tried; i++)
    if (enter(line_at(consumer, i), consumer, std::nullopt)) return true;
  for (std::size_t i = 0; i < lines_tried; i++)
    if (enter(line_at(consumer, i), consumer, bucket_of(stream))) return true;
  return false;
}

// In this order: whoever wakes a session after the exchange finds this one asleep, or about to be,
// and whoever did before it has committed what the look will see.
WokenBy begin_look() {
  ConditionVariablePrepareToSleep(&standing->wakes);
  keep_promise();
  become_timekeeper();
  return static_cast<WokenBy>(pg_atomic_exchange_u32(&standing->woken_by, 0));
}

bool promise_look() {
  if (!standing || has_promised) return true;
  has_promised = pg_atomic_exchange_u32(&standing->promised, 1) == 0;
  return has_promised;
}

void begin_promised_look() {
  if (!has_promised) return;
  keep_promise();
  become_timekeeper();
}

bool sleep_until_woken(int64 ms) { return sleep_on(&standing->wakes, ms); }

// Not all of those that notice look at once.
int64 until_look_is_missed() {
  constexpr int64 grace_ms = 50;
  constexpr int spread_ms = 64;
  if (pg_atomic_read_u32(&standing->timekeeper) == static_cast<std::uint32_t>(MyProcPid)) return 0;
  const auto looked_at = static_cast<int64>(pg_atomic_read_u64(&standing->looked_at));
  return looked_at + Waiting::longest_ms + grace_ms + MyProcPid % spread_ms - steady_ms();
}

// So that all of them together wake up some fifty times a second, and not at once.
int64 until_next_check() {
  constexpr int64 share_ms = 20;
  constexpr int spread = 64;
  SpinLockAcquire(&standing->mutex);
  const int sessions = standing->sessions;
  SpinLockRelease(&standing->mutex);
  const int64 longest = share_ms * sessions;
  return longest - longest / 2 * (MyProcPid % spread) / spread;
}

int64 begin_pause(int64 longest_ms) {
  if (!promise_look()) return 0;
  const int64 pause = Max(1, static_cast<int64>(pg_atomic_read_u32(&standing->pause_ms)));
  pg_atomic_write_u32(&standing->pause_ms, static_cast<std::uint32_t>(Min(2 * pause, longest_ms)));
  ConditionVariableCancelSleep();
  return pause;
}

// It is taken out of the list of sleepers before it asks whether it was woken. So a wake-up that it
// does not see goes to another session.
void leave_line(bool wake_next) {
  if (!standing) return;
  Line& line = *standing;
  ConditionVariableCancelSleep();
  const bool pass_on = wake_next || was_woken(line);
  keep_promise();
  standing = nullptr;
  step_out(line, static_cast<std::size_t>(&line - shared_memory()->lines));
  if (!pass_on) return;
  pg_atomic_write_u32(&line.woken_by, static_cast<std::uint32_t>(WokenBy::session));
  signal_last(&line.wakes);
}

void wake_one(Line& line, WokenBy by) {
  if (pg_atomic_read_u32(&line.promised) != 0) return;
  const auto number = static_cast<std::uint32_t>(by);
  if (pg_atomic_exchange_u32(&line.woken_by, number) == 0) signal_last(&line.wakes);
}

}  // namespace kanthorq
