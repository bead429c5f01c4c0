// The run: which streams, which steps, and what becomes of what a step returns or raises.
#include "retention/maintain.hpp"

#include "retention/expiry.hpp"
#include "retention/maintenance_row.hpp"
#include "retention/partition_steps.hpp"
#include "retention/settings.hpp"
#include "retention/tidying.hpp"
#include "server/as_owner.hpp"
#include "server/attempt.hpp"
#include "server/datum.hpp"
#include "server/lock.hpp"
#include "server/own_transaction.hpp"
#include "server/privileges.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "stream/registered_table.hpp"
#include "stream/registry.hpp"

namespace kanthorq {

namespace {

// In this order: what a step makes, a later one of the same run may use.
constexpr MaintenanceStep steps[] = {
    {"guards", mend_guards},           {"partitions", make_partitions_ahead},
    {"default", empty_default},        {"closing", close_partitions},
    {"leases", collect_leases},        {"retention", expire_events},
    {"drop", drop_retired_partitions}, {"history", remove_history},
};

void set_for_transaction(const char* setting, const char* value) {
  set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

// Runs `body` in the transaction that has just begun, commits it, and returns what `body` did.
template <typename Body>
auto in_own_transaction(Body body) {
  set_for_transaction("transaction_isolation", "read committed");
  set_for_transaction("lock_timeout", psprintf("%d", maintain_lock_timeout));
  return run_and_close(
      [&] {
        PushActiveSnapshot(GetTransactionSnapshot());
        return run_and_close(body, [] { PopActiveSnapshot(); });
      },
      [] { SPI_commit(); });
}

// One run of one step for one stream.
struct Run {
  Oid schema;
  std::string_view name;
  const MaintenanceStep& step;
  MaintenanceRow row;
  int64 progress = 0;
  int errors = 0;
};

enum class Next { again, next_step, next_stream };

// A text that outlives the call's memory.
const char* kept(MemoryContext memory, const char* text) {
  return text ? MemoryContextStrdup(memory, text) : nullptr;
}

void warn(const Run& run, const ErrorData& error) {
  ereport(WARNING, (errcode(error.sqlerrcode),
                    errmsg("maintenance of stream \"%s\" failed in step \"%s\"",
                           cstring_of(run.name), run.step.name),
                    errdetail("%s", error.message ? error.message : ""),
                    error.hint ? errhint("%s", error.hint) : 0));
}

// If a step fails at one thing, it may do better with the next one. So it goes on, but not after
// three errors. A lock that it did not get in time is not one of them: another thing needs another
// lock.
Next after_error(Run& run, int64 progress_before, const ErrorData& error) {
  constexpr int most_errors = 3;
  if (error.sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE) run.errors++;
  return run.progress != progress_before && run.errors < most_errors ? Next::again
                                                                     : Next::next_step;
}

StepResult call_step(const Run& run, const MaintainedStream& stream) {
  return as_owner_of(stream.table, [&] {
    fire_constraints_at_once();
    const StepResult result = run.step.run(stream);
    fire_constraints_at_once();
    return result;
  });
}

// Locks the stream and finds its table. The locks are taken outside the subtransaction, so that
// they are still there when the row is written after an error.
bool may_maintain(const Run& run, Oid& table) {
  if (!try_lock_maintenance(run.schema, run.name) ||
      !try_lock_stream_name(run.schema, run.name, ShareLock))
    return false;
  const auto find_table = [&] { return table_in_place(run.schema, Kind::stream, run.name); };
  table = find_table();
  return OidIsValid(table) && try_lock_relation(table, AccessShareLock) && table == find_table() &&
         is_registered(run.schema, run.name) && is_owner(table);
}

Next call(Run& run, MemoryContext memory) {
  Oid table = InvalidOid;
  if (!may_maintain(run, table)) return Next::next_stream;
  const int64 started = steady_ms();
  const int64 progress_before = run.progress;
  StepResult result;
  const ErrorData* error = attempt([&] {
    result = call_step(run, {run.schema, run.name, table, stream_settings(run.schema, run.name),
                             &run.progress, GetUserId()});
  });
  Next next = result.has_more ? Next::again : Next::next_step;
  run.row.duration_ms += steady_ms() - started;
  if (error) {
    warn(run, *error);
    run.row.error = kept(memory, error->message);
    next = after_error(run, progress_before, *error);
  } else {
    run.row.done += result.done;
    if (result.said) run.row.said = kept(memory, result.said);
  }
  if (next != Next::again || result.done > 0 || error)
    write_maintenance(run.schema, run.name, run.step.name, run.row);
  KANTHORQ_TEST_POINT("maintain_step");
  return next;
}

// `memory` is for what a call allocates.
Next run_step(Oid schema, std::string_view name, const MaintenanceStep& step,
              MemoryContext memory) {
  MemoryContext lasting = CurrentMemoryContext;
  Run run{schema, name, step, {}};
  Next next = Next::again;
  while (next == Next::again) {
    CHECK_FOR_INTERRUPTS();
    next = with_context(memory,
                        [&] { return in_own_transaction([&] { return call(run, lasting); }); });
    MemoryContextReset(memory);
  }
  return next;
}

}  // namespace

void maintain_streams(Oid schema) {
  SPI_commit();  // so that each transaction below is its own
  MemoryContext names_memory =
      AllocSetContextCreate(CurrentMemoryContext, "KanthorQ streams", ALLOCSET_DEFAULT_SIZES);
  MemoryContext stream_memory =
      AllocSetContextCreate(names_memory, "KanthorQ maintenance", ALLOCSET_DEFAULT_SIZES);
  MemoryContext call_memory =
      AllocSetContextCreate(names_memory, "KanthorQ maintenance step", ALLOCSET_DEFAULT_SIZES);
  List* names = with_context(
      names_memory, [&] { return in_own_transaction([&] { return registered_names(schema); }); });
  ListCell* cell;
  foreach (cell, names) {
    const char* name = static_cast<const char*>(lfirst(cell));
    for (const MaintenanceStep& step : steps) {
      const Next next =
          with_context(stream_memory, [&] { return run_step(schema, name, step, call_memory); });
      if (next == Next::next_stream) break;
    }
    MemoryContextReset(stream_memory);
  }
  MemoryContextDelete(names_memory);
}

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_maintain) {
  PreventCommandIfReadOnly("kanthorq_maintain()");
  require_own_transaction(fcinfo, "kanthorq_maintain()", "to do each step in its own transaction",
                          "Call it with autocommit.");
  const Oid schema = own_schema(fcinfo);
  MemoryContext caller = CurrentMemoryContext;
  if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
    elog(ERROR, "could not connect to the SPI");
  maintain_streams(schema);
  SPI_finish();
  MemoryContextSwitchTo(caller);
  PG_RETURN_VOID();
}
