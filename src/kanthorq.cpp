// KanthorQ: durable, append-only event streams inside PostgreSQL. This file marks the library as a
// module of the server; the rest of src/ is, in the order of an event's life:
//
//   core/               the rules, pure C++: names, subjects, sortable ids and their generation
//   pg.hpp              the only door to the server's headers
//   compat.hpp          what differs among servers
//   datum.hpp           the server's values as string_views and back; array.hpp: array arguments
//   scope.hpp           brackets around the server's open/close pairs
//   query.hpp           queries that read, put together from text and parameters
//   known.cpp           what a session has found out about relations, until they change
//   lock.cpp            locks that are kept to the end of the transaction
//   rows.cpp            rows that only the library writes, without queries
//   test_point.hpp      where tests end the process
//   fault.cpp           all words of errors that the core finds or more than one place raises
//
//   validators.cpp      kanthorq_is_name, _is_subject, ...: the core's rules as SQL functions
//   ids.cpp             kanthorq_ulid, _uuidv7, _id_time, ...
//   registry.cpp        the rows of kanthorq_stream_registry
//   registered_table.cpp which table a name has, and whose the name is
//   citus.cpp           whether Citus has taken a table's rows elsewhere
//   shape.cpp           what a stream table looks like: creating, recognising, adopting one
//   stream.cpp          kanthorq_stream_create, _stream_table, _stream_drop
//   stream_table.cpp    from a stream's name to its open table, and what is known about that table
//   txid.cpp            kanthorq_stream_writer, kanthorq_txid: the table makes who inserts known
//   event.hpp           an event on its way in
//   publish.cpp         kanthorq_publish, _publish_text, _publish_json: one event, validated
//   publish_many.cpp    kanthorq_publish_many, _many_text, _many_json: arrays of events, validated
//   insert.cpp          publish_events(): which of two ways in; and straight into heap and indexes
//   executor_insert.cpp the other one: by an INSERT, where a table is out of the ordinary
//   events.cpp          kanthorq_event_get, _events, _events_by_subject
//   time_range.cpp      ranges of time as ranges of ids
//   removal.cpp         kanthorq_event_remove, _stream_trim, and the triggers that refuse the rest
//
//   consumer.cpp        kanthorq_consumer_create, _alter, _table, _drop, _seek
//   consumer_table.cpp  from a consumer's name to its definition and its open table; its lock
//   task_table.cpp      what the table of a consumer's tasks looks like
//   start_at.cpp        where a consumer starts; start_type.cpp: the type of what says so
//   writers.cpp         who is writing to a stream, and the last position handed out
//   stream_rows.hpp     reading a stream's rows by position or id
//   place.cpp           a consumer's place in its stream
//   idle.cpp            whether a consumer has anything to do
//   result_rows.cpp     the rows of kanthorq_pull, made by copying bytes
//   delivery.cpp        look(): what a consumer gets next, exactly
//   pull.cpp            kanthorq_pull: one look, or as many as it takes
//   lease.cpp           which events a worker has, and until when
//   worker.hpp          what the functions of a worker have in common
//   settle.cpp          kanthorq_ack, _nack, _extend
//   task.cpp            the rows of events that are retried, discarded or cancelled
//   tasks.cpp           kanthorq_cancel, _resume, _task_state, _tasks
//   unfinished.cpp      what a consumer has not finished, for trimming
//   wake.cpp            waking those that wait, when a transaction commits
//   wait.cpp            kanthorq_wait; time.hpp: times and durations
//   status.cpp          kanthorq_horizon, and what the views show
//
// Two zones. core/ knows nothing of the server. Everything else is C++ as a stricter C: an error
// of the server longjmps over its frames, so nothing with a destructor lives across a server call,
// and the library is compiled without exceptions, run-time types and static constructors.
#include "pg.hpp"

#include "test_point.hpp"
#include "wake.hpp"

extern "C" {
PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init();
}

void _PG_init() {
  KANTHORQ_DEFINE_TEST_POINT();
  kanthorq::reserve_wake_memory();
}
