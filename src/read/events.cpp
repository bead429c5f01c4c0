// kanthorq_event_get, kanthorq_events and kanthorq_events_by_subject: reading a stream by key.
//
// They are queries that run as their caller, so SELECT on the table is needed and row security is
// obeyed. A page starts after a key and never at an offset. Each of the two orders has an index,
// and with the conditions below the server starts reading it at the right place.
#include "core/name.hpp"
#include "core/subject.hpp"
#include "read/time_range.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/query.hpp"
#include "server/quoting.hpp"
#include "server/scope.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

namespace {

constexpr int max_page_size = 10000;

namespace event_get_argument {
enum : int { stream, id };
}

namespace events_argument {
enum : int { stream, filter, after_id, since, until, size, metadata_contains };
}

namespace events_by_subject_argument {
enum : int { stream, filter, after_subject, after_id, size };
}

// The columns of an event, as the functions return them.
const char* event_fields() {
  StringInfoData fields;
  initStringInfo(&fields);
  for (const StreamColumn column : event_column_numbers) {
    const char* name = column_definition(column).name;
    appendStringInfo(&fields, "%s%s::%s AS %s", column == id_column ? "" : ", ", name,
                     format_type_be_qualified(shown_type(column)), name);
  }
  return fields.data;
}

// The id after which a page starts, 0 for null. Raises 22023 if it is not valid.
Datum after_id_argument(FunctionCallInfo fcinfo, int argument) {
  if (PG_ARGISNULL(argument)) return 0;
  require_event_id(text_argument(fcinfo, argument), {"after_id"});
  return PG_GETARG_DATUM(argument);
}

// Raises 22004 for null, and 22023 if the filter is not valid.
std::string_view filter_argument(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "filter");
  const std::string_view filter = text_argument(fcinfo, argument);
  require_filter(filter);
  return filter;
}

// Limits the subjects to those that match. A literal head becomes a range of the index on (subject,
// id). "/" is the character after ".".
void add_filter(ReadQuery& query, Oid schema, std::string_view filter) {
  if (filter == ">") return;
  const std::string_view head = filter_head(filter);
  if (head == filter) {
    query.add(" AND subject OPERATOR(pg_catalog.=) ", TEXTOID, text_datum(filter));
    return;
  }
  if (!head.empty()) {
    text* end = text_of(head);
    VARDATA(end)[head.size() - 1] = '.' + 1;
    query.add(" AND subject OPERATOR(pg_catalog.>=) ", TEXTOID, text_datum(head));
    query.add(" AND subject OPERATOR(pg_catalog.<) ", TEXTOID, PointerGetDatum(end));
  }
  query.add(psprintf(" AND %s.kanthorq_subject_matches(subject::pg_catalog.text, ",
                     quoted_schema(schema)),
            TEXTOID, text_datum(filter), ")");
}

void add_metadata(ReadQuery& query, FunctionCallInfo fcinfo, int argument) {
  const Datum wanted = require_object(fcinfo, argument, "metadata_contains");
  if (JB_ROOT_COUNT(DatumGetJsonbP(wanted)) > 0)
    query.add(" AND metadata OPERATOR(pg_catalog.@>) ", JSONBOID, wanted);
}

// Runs the query that `build(query, table)` makes, and returns its rows as the function's result.
template <typename Build>
void run_query(FunctionCallInfo fcinfo, const OpenStream& stream, Build build) {
  with_spi([&] {
    ReadQuery query;
    build(query, quoted_table_name(stream.table));
    query.run_into(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
  });
}

// The same for the stream that the argument `stream` names.
template <typename Build>
Datum return_events(FunctionCallInfo fcinfo, int stream, Build build) {
  require_argument(fcinfo, stream, "stream");
  InitMaterializedSRF(fcinfo, 0);
  with_stream(own_schema(fcinfo), text_argument(fcinfo, stream), AccessShareLock,
              [&](const OpenStream& open) { run_query(fcinfo, open, build); });
  return Datum{0};
}

// What kanthorq_events() is to return.
struct EventsPage {
  std::string_view filter;
  Datum after_id;  // 0 for the start
  TimeRange range;
  int size;
};

void add_conditions(ReadQuery& query, FunctionCallInfo fcinfo, const EventsPage& page) {
  if (page.after_id) query.add(" AND id OPERATOR(pg_catalog.>) ", TEXTOID, page.after_id);
  add_filter(query, own_schema(fcinfo), page.filter);
  add_metadata(query, fcinfo, events_argument::metadata_contains);
  query.add(" ORDER BY id LIMIT ", INT4OID, Int32GetDatum(page.size));
}

void add_page(ReadQuery& query, FunctionCallInfo fcinfo, const EventsPage& page,
              const char* table) {
  const char* select = psprintf("SELECT %s FROM %s e WHERE true", event_fields(), table);
  if (page.range.is_everything()) {
    query.add(select);
    add_conditions(query, fcinfo, page);
    return;
  }
  const std::string_view after_id =
      page.after_id ? text_argument(fcinfo, events_argument::after_id) : std::string_view{};
  add_time_range(query, own_schema(fcinfo), id_ranges(table, page.range, after_id), page.range,
                 select, page.size, [&] { add_conditions(query, fcinfo, page); });
}

// Starts a page by subject after both, or after all events of the subject if there is no id.
void add_start(ReadQuery& query, NullableDatum after_subject, Datum after_id) {
  if (after_subject.isnull) return;
  if (after_id) {
    query.add(" AND ROW(subject, id) OPERATOR(pg_catalog.>) ROW(", TEXTOID, after_subject.value);
    query.add(", ", TEXTOID, after_id, ")");
  } else {
    query.add(" AND subject OPERATOR(pg_catalog.>) ", TEXTOID, after_subject.value);
  }
}

// Raises 22023 if the subject is not valid, and 22004 if there is an id and no subject.
NullableDatum after_subject_argument(FunctionCallInfo fcinfo, int argument, Datum after_id) {
  const bool is_null = PG_ARGISNULL(argument);
  if (after_id && is_null)
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("argument \"after_id\" needs \"after_subject\""),
                    errdetail("By subject and id, a page starts after both.")));
  if (!is_null) require_subject(text_argument(fcinfo, argument), {"after_subject"});
  return {is_null ? Datum{0} : PG_GETARG_DATUM(argument), is_null};
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_event_get) {
  namespace given = event_get_argument;
  require_argument(fcinfo, given::id, "id");
  require_event_id(text_argument(fcinfo, given::id), {"id"});
  return return_events(fcinfo, given::stream, [&](ReadQuery& query, const char* table) {
    query.add(psprintf("SELECT %s FROM %s WHERE id OPERATOR(pg_catalog.=) ", event_fields(), table),
              TEXTOID, PG_GETARG_DATUM(given::id));
  });
}

KANTHORQ_FUNCTION(kanthorq_events) {
  namespace given = events_argument;
  const EventsPage page = {
      .filter = filter_argument(fcinfo, given::filter),
      .after_id = after_id_argument(fcinfo, given::after_id),
      .range = time_range_arguments(fcinfo, given::since, given::until),
      .size = required_size(fcinfo, given::size, max_page_size),
  };
  return return_events(fcinfo, given::stream, [&](ReadQuery& query, const char* table) {
    add_page(query, fcinfo, page, table);
  });
}

KANTHORQ_FUNCTION(kanthorq_events_by_subject) {
  namespace given = events_by_subject_argument;
  const std::string_view filter = filter_argument(fcinfo, given::filter);
  const Datum after_id = after_id_argument(fcinfo, given::after_id);
  const NullableDatum after_subject =
      after_subject_argument(fcinfo, given::after_subject, after_id);
  const int size = required_size(fcinfo, given::size, max_page_size);
  return return_events(fcinfo, given::stream, [&](ReadQuery& query, const char* table) {
    query.add(psprintf("SELECT %s FROM %s WHERE true", event_fields(), table));
    add_start(query, after_subject, after_id);
    add_filter(query, own_schema(fcinfo), filter);
    query.add(" ORDER BY subject, id LIMIT ", INT4OID, Int32GetDatum(size));
  });
}
