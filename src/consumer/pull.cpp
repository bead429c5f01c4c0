// kanthorq_pull: tries once, or with `wait` as often as it takes.
#include "consumer/definition.hpp"
#include "consumer/delivery.hpp"
#include "consumer/idle.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "consumer/pull_commit.hpp"
#include "consumer/settings.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/line.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "server/waiting.hpp"
#include "server/wake.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

namespace {

namespace pull_argument {
enum : int { consumer, size, wait, visibility_timeout, max_bytes };
}

// A pull that waits skips what the consumer does not select, and writes nothing. So a stream full
// of others' events costs no commit for each of them. It skips so many rows at most: more would be
// read again and again by pulls that end before they find something.
constexpr std::size_t max_rows_skipped = 10'000;

struct PullArguments {
  int64 started;  // of steady_ms()
  std::size_t size;
  int64 wait_ms;
  std::optional<int64> visibility_ms;  // the consumer's if none is given
  Size max_bytes;
};

// The argument, or the setting if it is null. Where the tables are still those of a version without
// this argument, the function has four.
Size max_bytes_argument(FunctionCallInfo fcinfo) {
  if (PG_NARGS() <= pull_argument::max_bytes || PG_ARGISNULL(pull_argument::max_bytes))
    return static_cast<Size>(pull_max_bytes);
  const int64 bytes = PG_GETARG_INT64(pull_argument::max_bytes);
  if (bytes < 1)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid max_bytes " INT64_FORMAT, bytes),
                    errdetail("A pull is limited to 1 byte or more."),
                    errhint("Without max_bytes, or if it is null, the setting "
                            "kanthorq.pull_max_bytes counts.")));
  return static_cast<Size>(bytes);
}

PullArguments pull_arguments(FunctionCallInfo fcinfo) {
  require_argument(fcinfo, pull_argument::consumer, "consumer");
  require_argument(fcinfo, pull_argument::size, "size");
  require_argument(fcinfo, pull_argument::wait, "wait");
  PullArguments arguments{};
  arguments.started = steady_ms();
  arguments.size =
      static_cast<std::size_t>(required_size(fcinfo, pull_argument::size, max_pull_size));
  const int64 wait_ms = duration_argument(fcinfo, pull_argument::wait, "wait", 0);
  arguments.wait_ms =
      wait_before_timeout(STATEMENT_TIMEOUT, wait_before_timeout(transaction_timeout, wait_ms));
  if (!PG_ARGISNULL(pull_argument::visibility_timeout))
    arguments.visibility_ms =
        duration_argument(fcinfo, pull_argument::visibility_timeout, "visibility_timeout", 1);
  arguments.max_bytes = max_bytes_argument(fcinfo);
  return arguments;
}

// What this call has skipped so far without writing it. It holds as long as the stored place and
// the definition are those from which it started: whatever moves the consumer, or changes what it
// wants, changes one of them.
class Skipped {
 public:
  explicit Skipped(MemoryContext context) : context_(context) {}

  bool holds(const Consumer& consumer, const Place& stored) const {
    return TransactionIdIsValid(version_) && version_ == consumer.version &&
           is_same(stored, stored_);
  }

  // Where to go on reading: after what was skipped, if that holds.
  const Place& place_after(const Consumer& consumer, const Place& stored) const {
    return holds(consumer, stored) ? place_ : stored;
  }

  // Adds what a delivery has skipped. Returns false if that is too much: then it must be written.
  bool add(const Consumer& consumer, const Place& stored, const Delivery& delivery) {
    const std::size_t before = holds(consumer, stored) ? rows_ : 0;
    if (before + delivery.rows_read > max_rows_skipped) return false;
    MemoryContextReset(context_);
    with_context(context_, [&] {
      stored_ = copy_of(stored);
      place_ = copy_of(delivery.place);
    });
    version_ = consumer.version;
    rows_ = before + delivery.rows_read;
    return true;
  }

 private:
  MemoryContext context_;
  Place stored_{};
  Place place_{};
  TransactionId version_ = InvalidTransactionId;
  std::size_t rows_ = 0;
};

// What came of a try.
struct Outcome {
  bool is_done;
  bool has_taken;  // events, or it has changed something else
  int64 due;       // if it is not done: when there may be something, unless others commit before
};

// Has the next of those that wait look when this transaction has ended, if there is more. Asking
// here costs less than waking another session in order to find nothing.
void wake_next(const Consumer& consumer, const OpenStream& stream, const Place& place) {
  const Oid table = RelationGetRelid(consumer.table);
  if (!has_line(table)) return;
  const bool has_more = due_at(consumer, stream, place) <= now_ms() + Waiting::longest_ms;
  wake_next_at_end(table, has_more);
}

// Delivers once, unless there is nothing to look for. It is done if the caller must commit what it
// did. Otherwise nothing was written, and other workers may pull in the meantime. The last try is
// written, too. Of the sessions that wait, one waits for the turn. If that takes longer, another
// one joins it each second, so that the server can notice a deadlock. Whoever gets the turn looks
// at all that is there.
Outcome try_pull(const Consumer& opened, const OpenStream& stream, const PullArguments& arguments,
                 bool is_last, Waiting& waiting, Skipped& skipped, ReturnSetInfo* result) {
  const Place seen = read_place(opened);
  const int64 due = due_at(opened, stream, skipped.place_after(opened, seen));
  const bool must_write_skipped = is_last && skipped.holds(opened, seen);
  if (due > now_ms() && !must_write_skipped) return {false, false, due};

  if (!is_last && !waiting.may_wait_for_turn()) return {false, false, PG_INT64_MAX};
  const Consumer consumer = take_turn(opened, stream);
  begin_promised_look();
  KANTHORQ_TEST_POINT("pull_locked");
  const Place stored = read_place(consumer);
  const Batch batch = {
      .size = arguments.size,
      .max_bytes = arguments.max_bytes,
      .visibility_ms = arguments.visibility_ms.value_or(consumer.visibility_ms),
      .result = result,
  };
  const Delivery delivery =
      deliver_events(consumer, stream, skipped.place_after(consumer, stored), batch);
  // A client that is lost would take events along.
  if (delivery.must_be_kept) require_client_since(arguments.started);
  const bool keep = delivery.must_be_kept || is_last || !skipped.add(consumer, stored, delivery);
  const bool is_moved = keep && write_place(consumer, stored, delivery.place);
  KANTHORQ_TEST_POINT("pull_place");
  if (!delivery.must_be_kept && !is_moved) unlock_consumer(consumer);
  if (!keep) return {false, false, due_after(consumer, delivery.writers)};
  if (delivery.must_be_kept || is_moved) wake_next(consumer, stream, delivery.place);
  CommandCounterIncrement();
  return {true, delivery.must_be_kept, 0};
}

// Where the rows of a batch are kept. The server's own choice would round each up to a power of
// two, and its blocks would start small and double. malloc would then give them all back to the
// system after each pull, because it keeps only what is less than two of the largest block. The new
// pages took nearly half of the time of a large pull, and a small one had a dozen page faults. The
// first block here has room for small events, and is large enough in any case. Pages of it that
// nobody writes to take no memory. From PostgreSQL 18 on a tuplestore keeps its rows in a context
// of its own inside this one.
MemoryContext create_rows_context(MemoryContext parent, std::size_t size) {
  constexpr std::size_t small_event = 400;
  constexpr std::size_t least_context = 8 * 1024;
  constexpr std::size_t least_first_block = 1024 * 1024;
  constexpr std::size_t largest_block = 8 * 1024 * 1024;
  return GenerationContextCreate(parent, "KanthorQ rows", least_context,
                                 Max(least_first_block, MAXALIGN(size * small_event)),
                                 largest_block);
}

// Frees the rows of the last call. One query may call this a million times, and memory must not
// wait for its end. The server has ended the result of a call before it makes the next one.
void free_rows_of_last_call(FmgrInfo* function, MemoryContext rows) {
  if (function->fn_mcxt != MemoryContextGetParent(rows)) return;  // it may outlive the rows
  if (function->fn_extra) MemoryContextDelete(static_cast<MemoryContext>(function->fn_extra));
  function->fn_extra = rows;
}

// Gives the result as much memory as a hash table may have. A batch of 10,000 small events is just
// over the default work_mem and would go through a temporary file.
void give_room(FunctionCallInfo fcinfo, std::size_t size) {
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  tuplestore_end(result->setResult);
  MemoryContext rows = create_rows_context(result->econtext->ecxt_per_query_memory, size);
  free_rows_of_last_call(fcinfo->flinfo, rows);
  with_context(rows, [&] {
    const bool random_access = (result->allowedModes & SFRM_Materialize_Random) != 0;
    result->setResult = tuplestore_begin_heap(
        random_access, false, static_cast<int>(Min(get_hash_memory_limit() / 1024, MAX_KILOBYTES)));
  });
}

// A session whose transaction holds something that others may wait for must not leave it to them
// to look. If it waits for the turn itself, the server notices a deadlock.
bool must_wait_alone(const Consumer& consumer) {
  return TransactionIdIsValid(GetTopTransactionIdIfAny()) || has_turn(consumer);
}

// The consumer whose events are wanted, as often as it is opened.
struct Wanted {
  Oid schema;
  std::string_view name;

  Worker open() const { return open_worker(schema, name, RowExclusiveLock, ACL_UPDATE); }
};

// Tries until it is done or the time is over. Between two tries it holds no lock on the consumer
// and on the stream, so that nobody who changes one of these waits for a session that sleeps.
void pull(const Wanted& wanted, const PullArguments& arguments, ReturnSetInfo* result) {
  MemoryContext memory_of_try =
      AllocSetContextCreate(CurrentMemoryContext, "KanthorQ try", ALLOCSET_DEFAULT_SIZES);
  MemoryContext memory_of_skipped =
      AllocSetContextCreate(CurrentMemoryContext, "KanthorQ skipped", ALLOCSET_SMALL_SIZES);
  const auto open = [&] { return with_context(memory_of_try, [&] { return wanted.open(); }); };
  Skipped skipped(memory_of_skipped);
  Worker worker = open();
  Waiting waiting(worker.consumer.stream, RelationGetRelid(worker.consumer.table),
                  must_wait_alone(worker.consumer) ? Company::alone : Company::line,
                  arguments.started + arguments.wait_ms);
  Outcome outcome{};
  for (;;) {
    const bool is_last = waiting.is_over();
    waiting.listen();
    outcome = with_context(memory_of_try, [&] {
      return try_pull(worker.consumer, worker.stream, arguments, is_last, waiting, skipped, result);
    });
    if (outcome.is_done || is_last) break;
    give_back_worker(worker, RowExclusiveLock);
    MemoryContextReset(memory_of_try);
    waiting.sleep(outcome.due);
    worker = open();
  }
  close_worker(worker);
  waiting.end(outcome.has_taken);
  MemoryContextDelete(memory_of_skipped);
  MemoryContextDelete(memory_of_try);
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_pull) {
  PreventCommandIfReadOnly("kanthorq_pull()");
  const PullArguments arguments = pull_arguments(fcinfo);
  InitMaterializedSRF(fcinfo, 0);
  give_room(fcinfo, arguments.size);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  const Wanted wanted = {own_schema(fcinfo), text_argument(fcinfo, pull_argument::consumer)};
  as_pull([&] { pull(wanted, arguments, result); });
  return Datum{0};
}
