// A launcher, which is there as long as the server runs, and workers that it starts: one for each
// database of kanthorq.databases, every kanthorq.maintain_interval. A worker does what CALL
// kanthorq_maintain() does, as the superuser who owns the cluster, and ends.
//
// Between two rounds no process is connected to the database. So DROP DATABASE, and CREATE DATABASE
// with it as the template, find nobody there, or wait for the end of a round as they do for
// autovacuum's. A round finds the extension wherever it is, or not at all.
//
// The launcher is connected to no database. After an error or a crash the server starts it again.
// When it ends, it ends its workers. Both end at once when the server stops.
#include "retention/worker.hpp"

#include "retention/maintain.hpp"
#include "server/datum.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "server/waiting.hpp"

namespace kanthorq {

namespace {

char* databases;
int maintain_interval;  // in seconds

constexpr const char* launcher_name = "kanthorq launcher";
constexpr const char* worker_name = "kanthorq maintenance";

// A database of the list, and its worker.
struct Database {
  char name[NAMEDATALEN];
  BackgroundWorkerHandle* worker;  // null if none runs
  int64 next_at;                   // steady_ms(): when to start the next one
  bool is_wanted;                  // it is in the list
  bool is_missing;                 // it does not exist, which was said
};

// In the launcher, for as long as it lives.
List* known_databases;

Database* find_database(const char* name) {
  ListCell* cell;
  foreach (cell, known_databases) {
    auto* database = static_cast<Database*>(lfirst(cell));
    if (strcmp(database->name, name) == 0) return database;
  }
  return nullptr;
}

Database* add_database(const char* name) {
  return with_context(TopMemoryContext, [&] {
    auto* database = static_cast<Database*>(palloc0(sizeof(Database)));
    strlcpy(database->name, name, NAMEDATALEN);
    known_databases = lappend(known_databases, database);
    return database;
  });
}

// Reads the list anew. Workers of databases that are no longer in it are stopped.
void read_databases() {
  ListCell* cell;
  foreach (cell, known_databases) static_cast<Database*>(lfirst(cell))->is_wanted = false;
  List* names = NIL;
  char* text = pstrdup(databases);
  if (!SplitGUCList(text, ',', &names)) names = NIL;  // the setting was checked
  foreach (cell, names) {
    const char* name = static_cast<const char*>(lfirst(cell));
    Database* database = find_database(name);
    if (!database) database = add_database(name);
    database->is_wanted = true;
  }
  foreach (cell, known_databases) {
    auto* database = static_cast<Database*>(lfirst(cell));
    if (!database->is_wanted && database->worker) TerminateBackgroundWorker(database->worker);
  }
}

bool database_exists(const char* name) {
  StartTransactionCommand();
  const bool exists = OidIsValid(get_database_oid(name, true));
  CommitTransactionCommand();
  return exists;
}

// False if the server has no room for a further process.
bool start_worker(Database& database) {
  BackgroundWorker worker{};
  worker.bgw_flags = worker_flags;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = BGW_NEVER_RESTART;
  strlcpy(worker.bgw_library_name, "kanthorq", sizeof(worker.bgw_library_name));
  strlcpy(worker.bgw_function_name, "kanthorq_worker_main", sizeof(worker.bgw_function_name));
  snprintf(worker.bgw_name, sizeof(worker.bgw_name), "%s of \"%s\"", worker_name, database.name);
  strlcpy(worker.bgw_type, worker_name, sizeof(worker.bgw_type));
  strlcpy(worker.bgw_extra, database.name, sizeof(worker.bgw_extra));
  worker.bgw_notify_pid = MyProcPid;
  MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
  const bool started = RegisterDynamicBackgroundWorker(&worker, &database.worker);
  MemoryContextSwitchTo(caller);
  if (!started) database.worker = nullptr;
  return started;
}

void note_end_of_worker(Database& database) {
  pid_t pid = 0;
  if (!database.worker || GetBackgroundWorkerPid(database.worker, &pid) != BGWH_STOPPED) return;
  pfree(database.worker);
  database.worker = nullptr;
}

int64 interval_ms() { return int64{maintain_interval} * 1000; }

void look_after(Database& database, int64 now) {
  note_end_of_worker(database);
  database.next_at = Min(database.next_at, now + interval_ms());  // the interval may be shorter now
  if (database.worker || !database.is_wanted || database.next_at > now) return;
  database.next_at = now + interval_ms();
  const bool exists = database_exists(database.name);
  if (!exists && !database.is_missing)
    ereport(LOG, (errmsg("database \"%s\" of kanthorq.databases does not exist", database.name),
                  errdetail("It is maintained as soon as it does.")));
  database.is_missing = !exists;
  if (exists && !start_worker(database))
    ereport(LOG, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                  errmsg("could not start the maintenance of database \"%s\"", database.name),
                  errdetail("There is no room for a further background worker."),
                  errhint("Raise max_worker_processes. It is tried again after "
                          "kanthorq.maintain_interval.")));
}

// Looks after each database. Returns in how many milliseconds to do so again; a worker that ends
// wakes the launcher before.
int64 look_after_databases() {
  constexpr int64 longest_ms = 60'000;
  const int64 now = steady_ms();
  int64 next_at = now + longest_ms;
  ListCell* cell;
  foreach (cell, known_databases) {
    auto* database = static_cast<Database*>(lfirst(cell));
    look_after(*database, now);
    if (database->is_wanted && !database->worker) next_at = Min(next_at, database->next_at);
  }
  return Max(next_at - now, 1);
}

// A new launcher would start workers beside them.
void stop_workers(int, Datum) {
  ListCell* cell;
  foreach (cell, known_databases) {
    auto* database = static_cast<Database*>(lfirst(cell));
    if (database->worker) TerminateBackgroundWorker(database->worker);
  }
}

// What the owner of a database may set for all sessions in it must not stop the maintenance of it,
// as it does not stop autovacuum.
void override_settings() {
  constexpr std::pair<const char*, const char*> settings[] = {
      {"role", "none"},
      {"default_transaction_read_only", "off"},
      {"default_transaction_isolation", "read committed"},
      {"statement_timeout", "0"},
      {"lock_timeout", "0"},
      {"idle_in_transaction_session_timeout", "0"},
      {"transaction_timeout", "0"}};  // from 17 on
  for (const auto& [name, value] : settings)
    if (GetConfigOption(name, true, false)) SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

void begin_process(const char* database, const char* name) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  override_settings();
  BackgroundWorkerInitializeConnection(database, nullptr, 0);
  pgstat_report_appname(name);
}

// The extension's schema in this database; InvalidOid if it is not there.
Oid find_extension_schema() {
  return with_spi([] {
    const int result = SPI_execute(
        "SELECT extnamespace FROM pg_catalog.pg_extension"
        " WHERE extname OPERATOR(pg_catalog.=) 'kanthorq'",
        false, 1);
    if (result != SPI_OK_SELECT)
      elog(ERROR, "could not look for the extension: %s", SPI_result_code_string(result));
    if (SPI_processed == 0) return InvalidOid;
    bool is_null;
    return DatumGetObjectId(
        SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
  });
}

// As the procedure does it.
void maintain_database() {
  SetCurrentStatementStartTimestamp();
  StartTransactionCommand();
  PushActiveSnapshot(GetTransactionSnapshot());
  const Oid schema = find_extension_schema();
  PopActiveSnapshot();
  if (OidIsValid(schema)) {
    pgstat_report_activity(STATE_RUNNING, "CALL kanthorq_maintain()");
    if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
      elog(ERROR, "could not connect to the SPI");
    maintain_streams(schema);
    SPI_finish();
  }
  CommitTransactionCommand();
  pgstat_report_activity(STATE_IDLE, nullptr);
}

bool check_databases(char** value, void**, GucSource) {
  List* names = NIL;
  char* text = pstrdup(*value);
  const bool is_list = SplitGUCList(text, ',', &names);
  if (!is_list) GUC_check_errdetail("It is a list of the names of databases, separated by commas.");
  list_free(names);
  pfree(text);
  return is_list;
}

}  // namespace

void define_worker_settings() {
  DefineCustomStringVariable(
      "kanthorq.databases",
      "the databases in which a background worker does what kanthorq_maintain() does; only if the "
      "library is preloaded",
      nullptr, &databases, "", PGC_SIGHUP, GUC_LIST_INPUT, check_databases, nullptr, nullptr);
  DefineCustomIntVariable(
      "kanthorq.maintain_interval",
      "how much time there is between the starts of two background workers for one database",
      nullptr, &maintain_interval, 60, 1, 24 * 60 * 60, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr,
      nullptr);
}

void register_launcher() {
  if (!process_shared_preload_libraries_in_progress) return;
  BackgroundWorker launcher{};
  launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
  launcher.bgw_restart_time = 5;  // seconds
  strlcpy(launcher.bgw_library_name, "kanthorq", sizeof(launcher.bgw_library_name));
  strlcpy(launcher.bgw_function_name, "kanthorq_launcher_main", sizeof(launcher.bgw_function_name));
  strlcpy(launcher.bgw_name, launcher_name, sizeof(launcher.bgw_name));
  strlcpy(launcher.bgw_type, launcher_name, sizeof(launcher.bgw_type));
  RegisterBackgroundWorker(&launcher);
}

}  // namespace kanthorq

using namespace kanthorq;

extern "C" {
extern PGDLLEXPORT void kanthorq_launcher_main(Datum);
extern PGDLLEXPORT void kanthorq_worker_main(Datum);
}

void kanthorq_launcher_main(Datum) {
  begin_process(nullptr, launcher_name);
  before_shmem_exit(stop_workers, 0);
  MemoryContext memory =
      AllocSetContextCreate(TopMemoryContext, "KanthorQ launcher", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(memory);
  read_databases();
  for (;;) {
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
      read_databases();
    }
    Waiting::nap(look_after_databases());
    MemoryContextSwitchTo(memory);
    MemoryContextReset(memory);
  }
}

void kanthorq_worker_main(Datum) {
  begin_process(MyBgworkerEntry->bgw_extra, worker_name);
  maintain_database();
}
