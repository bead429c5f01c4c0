// KanthorQ: durable, append-only event streams inside PostgreSQL. This file marks the library as a
// module of the server. The rest of src/ is rooms, one on top of the other: a folder includes only
// itself and those above it in this list (tests/lint/source). Each has a README with its files, its
// locks and its way in.
//
//   core/       the rules, pure C++: names, subjects, sortable ids, cursors, positions, task states
//   server/     the only door to the server: headers, versions, brackets, rows of our own tables,
//               locks, privileges, errors, times, waking and waiting
//   id/         kanthorq_ulid and the other ids; kanthorq_is_name and the other validators
//   stream/     what a stream is: its names, its table, opening it, reading it, who writes to it
//   publish/    kanthorq_publish and its kin: validated events, and the two ways into the table
//   read/       kanthorq_event_get, kanthorq_events, kanthorq_events_by_subject
//   consumer/   what a consumer is, exact delivery, leases and tasks: kanthorq_pull, _ack, _nack,
//               _extend, _wait, _cancel, _resume, _task_state, _tasks
//   retention/  how events leave: kanthorq_event_remove, kanthorq_stream_trim, kanthorq_trim,
//               kanthorq_stream_retention; what is done from time to time, and by whom:
//               kanthorq_maintain, kanthorq_partition_close, the background workers
//   admin/      creating, altering and dropping streams and consumers; what the views show
//
// Two zones. core/ knows nothing of the server. Everything else is C++ as a stricter C: an error
// of the server longjmps over its frames, so nothing with a destructor lives across a server call,
// and the library is compiled without exceptions, run-time types and static constructors.
#include "server/pg.hpp"

#include "consumer/settings.hpp"
#include "retention/settings.hpp"
#include "retention/worker.hpp"
#include "server/shared.hpp"
#include "server/test_point.hpp"
#include "stream/partitioning.hpp"

extern "C" {
PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init();
}

void _PG_init() {
  KANTHORQ_DEFINE_TEST_POINT();
  kanthorq::define_partition_settings();
  kanthorq::define_consumer_settings();
  kanthorq::define_retention_settings();
  kanthorq::define_worker_settings();
  MarkGUCPrefixReserved("kanthorq");  // after the last one: a setting that is misspelt is refused
  kanthorq::reserve_shared_memory();
  kanthorq::register_launcher();
}
