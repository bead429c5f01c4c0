// kanthorq_wait: waiting without holding anything back.
#include "consumer/definition.hpp"
#include "consumer/idle.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/own_transaction.hpp"
#include "server/scope.hpp"
#include "server/time.hpp"
#include "server/waiting.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

namespace {

namespace wait_argument {
enum : int { consumer, timeout };
}

struct Outlook {
  int64 due;  // when the consumer may have something to do, in milliseconds since the epoch
  text* stream;
  Oid consumer;  // its table
};

// It is read in a transaction of its own, which the caller commits.
Outlook read_outlook(Oid schema, std::string_view name) {
  const auto read = [](const Consumer& consumer, const OpenStream& stream) {
    return Outlook{due_at(consumer, stream, read_place(consumer)), text_of(consumer.stream),
                   RelationGetRelid(consumer.table)};
  };
  PushActiveSnapshot(GetTransactionSnapshot());
  return run_and_close([&] { return with_worker(schema, name, AccessShareLock, ACL_UPDATE, read); },
                       [] { PopActiveSnapshot(); });
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

// Each outlook is read in a transaction of its own: between two of them the session holds no
// snapshot, no lock and no transaction id.
KANTHORQ_FUNCTION(kanthorq_wait) {
  require_argument(fcinfo, wait_argument::consumer, "consumer");
  require_argument(fcinfo, wait_argument::timeout, "timeout");
  PreventCommandDuringRecovery("kanthorq_wait()");  // there is nothing to pull on a standby
  require_own_transaction(
      fcinfo, "kanthorq_wait()", "to wait with no snapshot",
      "Call it with autocommit, or use the argument \"wait\" of kanthorq_pull().");
  const Oid schema = own_schema(fcinfo);
  MemoryContext caller = CurrentMemoryContext;
  const std::string_view name = text_argument(fcinfo, wait_argument::consumer);
  const int64 deadline =
      steady_ms() +
      wait_before_timeout(STATEMENT_TIMEOUT,
                          duration_argument(fcinfo, wait_argument::timeout, "timeout", 0));
  if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
    elog(ERROR, "could not connect to the SPI");
  MemoryContext memory_of_outlook =
      AllocSetContextCreate(CurrentMemoryContext, "KanthorQ outlook", ALLOCSET_DEFAULT_SIZES);
  Outlook outlook{};
  const auto is_due = [&] {
    MemoryContextReset(memory_of_outlook);
    outlook = with_context(memory_of_outlook, [&] { return read_outlook(schema, name); });
    SPI_commit();
    return outlook.due <= now_ms();
  };
  if (!is_due()) {
    Waiting waiting(view_of(outlook.stream), outlook.consumer, Company::line, deadline);
    bool has_found = false;
    while (!has_found && !waiting.is_over()) {
      waiting.listen();
      has_found = is_due();
      // The next transaction has a timeout of its own.
      if (!has_found)
        waiting.sleep(outlook.due, wait_before_timeout(transaction_timeout, PG_INT64_MAX));
    }
    waiting.end(has_found);
  }
  SPI_finish();
  MemoryContextSwitchTo(caller);
  PG_RETURN_VOID();
}
