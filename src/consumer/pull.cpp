// kanthorq_pull: one look, or with `wait` as many as it takes.
#include "consumer/definition.hpp"
#include "consumer/delivery.hpp"
#include "consumer/idle.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "server/waiting.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

namespace {

// A pull that waits passes what is not the consumer's without writing anything, so that a stream
// full of others' events costs no commit for each of them, up to so many rows: more would be looked
// at again and again by pulls that end before they find something.
constexpr std::size_t max_rows_passed = 10'000;

struct PullArguments {
  int64 started;  // of steady_ms()
  std::size_t size;
  int64 wait_ms;
  bool has_visibility;
  int64 visibility_ms;
};

PullArguments pull_arguments(FunctionCallInfo fcinfo) {
  require_argument(fcinfo, 0, "consumer");
  require_argument(fcinfo, 1, "size");
  require_argument(fcinfo, 2, "wait");
  PullArguments arguments{};
  arguments.started = steady_ms();
  arguments.size = static_cast<std::size_t>(required_size(fcinfo, 1, max_pull_size));
  arguments.wait_ms = end_before(
      STATEMENT_TIMEOUT, end_before(transaction_timeout, duration_argument(fcinfo, 2, "wait", 0)));
  arguments.has_visibility = !PG_ARGISNULL(3);
  if (arguments.has_visibility)
    arguments.visibility_ms = duration_argument(fcinfo, 3, "visibility_timeout", 1);
  return arguments;
}

// What the looks of this call have passed. It holds while the stored place and the definition are
// the ones that they started from: whatever moves the consumer, or changes what it wants, changes
// one of them.
class Passed {
 public:
  explicit Passed(MemoryContext context) : context_(context) {}

  bool holds(const Consumer& consumer, const Place& stored) const {
    return TransactionIdIsValid(version_) && version_ == consumer.version &&
           is_same(stored, stored_);
  }
  const Place& place() const { return place_; }

  // Adds what a look has passed; false where that is too much to keep to ourselves.
  bool add(const Consumer& consumer, const Place& stored, const Look& look) {
    const std::size_t before = holds(consumer, stored) ? rows_ : 0;
    if (before + look.looked_at > max_rows_passed) return false;
    MemoryContextReset(context_);
    with_context(context_, [&] {
      stored_ = copy_of(stored);
      place_ = copy_of(look.place);
    });
    version_ = consumer.version;
    rows_ = before + look.looked_at;
    return true;
  }

 private:
  MemoryContext context_;
  Place stored_{};
  Place place_{};
  TransactionId version_ = InvalidTransactionId;
  std::size_t rows_ = 0;
};

struct Try {
  bool done;
  int64 due;  // where not done: when there may be something, but for what others commit
};

// One look, unless there is nothing to look for. Done where the caller must commit it; otherwise
// nothing was written, and other workers may pull in the meantime. The last look is written, too.
Try try_pull(const Consumer& opened, const OpenStream& stream, const PullArguments& arguments,
             bool is_last, Passed& passed, ReturnSetInfo* result) {
  const Place seen = read_place(opened);
  const bool has_passed = passed.holds(opened, seen);
  const int64 due = due_at(opened, stream, has_passed ? passed.place() : seen);
  if (due > now_ms() && !(is_last && has_passed)) return {false, due};

  const Consumer consumer = take_turn(opened, stream);
  KANTHORQ_TEST_POINT("pull_locked");
  const Place stored = read_place(consumer);
  const Batch batch = {
      .size = arguments.size,
      .visibility_ms = arguments.has_visibility ? arguments.visibility_ms : consumer.visibility_ms,
      .result = result,
  };
  const Look found = look_for_events(
      consumer, stream, passed.holds(consumer, stored) ? passed.place() : stored, batch);
  if (found.must_be_kept) require_client_since(arguments.started);  // else it takes events along
  const bool keep = found.must_be_kept || is_last || !passed.add(consumer, stored, found);
  const bool moved = keep && write_place(consumer, stored, found.place);
  KANTHORQ_TEST_POINT("pull_place");
  if (!found.must_be_kept && !moved) unlock_consumer(consumer);
  if (!keep) return {false, scheduled_at(consumer)};
  CommandCounterIncrement();
  return {true, 0};
}

// Where the rows of a batch are kept. The server's own choice would round each up to a power of
// two, and double its blocks from small ones on, so that malloc gives them all back to the system
// after each pull: it keeps what is less than two of the largest block. The pages that are new each
// time were nearly half of what a large pull took. The first block has room for small events.
// From PostgreSQL 18 on a tuplestore keeps its rows in a context of its own inside this one.
MemoryContext create_rows_context(MemoryContext parent, std::size_t size) {
  constexpr std::size_t small_event = 400;
  constexpr std::size_t smallest = 8 * 1024;
  constexpr std::size_t largest = 8 * 1024 * 1024;
  return GenerationContextCreate(parent, "KanthorQ rows", smallest,
                                 Max(smallest, MAXALIGN(size * small_event)), largest);
}

// One query may call this a million times. The server has ended a call's result before it makes the
// next call, and the result's memory goes then, not with the query.
void forget_rows_of_last_call(FmgrInfo* function, MemoryContext rows) {
  if (function->fn_mcxt != MemoryContextGetParent(rows)) return;  // it may outlive the rows
  if (function->fn_extra) MemoryContextDelete(static_cast<MemoryContext>(function->fn_extra));
  function->fn_extra = rows;
}

// A batch of 10,000 small events is just over the default work_mem and would go through a temporary
// file; it may have what a hash table may have.
void make_room(FunctionCallInfo fcinfo, std::size_t size) {
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  tuplestore_end(result->setResult);
  MemoryContext rows = create_rows_context(result->econtext->ecxt_per_query_memory, size);
  forget_rows_of_last_call(fcinfo->flinfo, rows);
  with_context(rows, [&] {
    const bool random_access = (result->allowedModes & SFRM_Materialize_Random) != 0;
    result->setResult = tuplestore_begin_heap(
        random_access, false, static_cast<int>(Min(get_hash_memory_limit() / 1024, MAX_KILOBYTES)));
  });
}

void pull(const Consumer& consumer, const OpenStream& stream, const PullArguments& arguments,
          ReturnSetInfo* result) {
  MemoryContext look =
      AllocSetContextCreate(CurrentMemoryContext, "KanthorQ look", ALLOCSET_DEFAULT_SIZES);
  MemoryContext kept =
      AllocSetContextCreate(CurrentMemoryContext, "KanthorQ pull", ALLOCSET_SMALL_SIZES);
  Passed passed(kept);
  Waiting waiting(consumer.stream, arguments.started + arguments.wait_ms);
  for (bool is_first = true;; is_first = false) {
    const bool is_last = waiting.is_over();
    Try tried{};
    waiting.listen();
    with_context(look, [&] {
      const Consumer current = is_first ? consumer : read_again(consumer);
      tried = try_pull(current, stream, arguments, is_last, passed, result);
    });
    MemoryContextReset(look);
    if (tried.done || is_last) break;
    waiting.sleep(tried.due);
  }
  waiting.end();
  MemoryContextDelete(kept);
  MemoryContextDelete(look);
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_pull) {
  PreventCommandIfReadOnly("kanthorq_pull()");
  const PullArguments arguments = pull_arguments(fcinfo);
  InitMaterializedSRF(fcinfo, 0);
  make_room(fcinfo, arguments.size);
  with_worker(own_schema(fcinfo), text_argument(fcinfo, 0), RowExclusiveLock, ACL_UPDATE,
              [&](const Consumer& consumer, const OpenStream& stream) {
                pull(consumer, stream, arguments,
                     reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
              });
  return Datum{0};
}
