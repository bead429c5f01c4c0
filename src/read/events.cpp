// kanthorq_event_get, kanthorq_events and kanthorq_events_by_subject: reading a stream by key.
//
// They are queries, run as their caller, so SELECT on the table is needed and row security is
// obeyed. A page starts behind a key and never at an offset: each of the two orders has an index,
// and the conditions below let the server start reading it at the right place.
#include "core/name.hpp"
#include "core/subject.hpp"
#include "read/time_range.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/query.hpp"
#include "server/scope.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

namespace {

constexpr int max_page_size = 10000;

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

// An optional id to start behind; null where the argument is null.
Datum optional_id(FunctionCallInfo fcinfo, int argument) {
  if (PG_ARGISNULL(argument)) return 0;
  require_event_id(text_argument(fcinfo, argument), {"after_id"});
  return PG_GETARG_DATUM(argument);
}

std::string_view required_filter(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "filter");
  const std::string_view filter = text_argument(fcinfo, argument);
  require_filter(filter);
  return filter;
}

// Limits the subjects to those that match. A literal head becomes a range, which the index on
// (subject, id) can be read by; "/" is the character behind ".".
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
                     quote_identifier(get_namespace_name(schema))),
            TEXTOID, text_datum(filter), ")");
}

void add_metadata(ReadQuery& query, FunctionCallInfo fcinfo, int argument) {
  const Datum wanted = require_object(fcinfo, argument, "metadata_contains");
  if (JB_ROOT_COUNT(DatumGetJsonbP(wanted)) > 0)
    query.add(" AND metadata OPERATOR(pg_catalog.@>) ", JSONBOID, wanted);
}

// Runs `build(query, table)` for the stream and returns its rows as the function's result.
template <typename Build>
Datum return_events(FunctionCallInfo fcinfo, Build build) {
  require_argument(fcinfo, 0, "stream");
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  with_stream(own_schema(fcinfo), text_argument(fcinfo, 0), AccessShareLock,
              [&](const OpenStream& stream) {
                with_spi([&] {
                  ReadQuery query;
                  build(query, quoted_table_name(stream.table));
                  query.run_into(result);
                });
              });
  return Datum{0};
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_event_get) {
  require_argument(fcinfo, 1, "id");
  require_event_id(text_argument(fcinfo, 1), {"id"});
  return return_events(fcinfo, [&](ReadQuery& query, const char* table) {
    query.add(psprintf("SELECT %s FROM %s WHERE id OPERATOR(pg_catalog.=) ", event_fields(), table),
              TEXTOID, PG_GETARG_DATUM(1));
  });
}

KANTHORQ_FUNCTION(kanthorq_events) {
  const std::string_view filter = required_filter(fcinfo, 1);
  const Datum after_id = optional_id(fcinfo, 2);
  const TimeRange range = time_range_arguments(fcinfo, 3, 4);
  const int size = required_size(fcinfo, 5, max_page_size);
  return return_events(fcinfo, [&](ReadQuery& query, const char* table) {
    const auto add_conditions = [&] {
      if (after_id) query.add(" AND id OPERATOR(pg_catalog.>) ", TEXTOID, after_id);
      add_filter(query, own_schema(fcinfo), filter);
      add_metadata(query, fcinfo, 6);
      query.add(" ORDER BY id LIMIT ", INT4OID, Int32GetDatum(size));
    };
    const char* select = psprintf("SELECT %s FROM %s e WHERE true", event_fields(), table);
    if (range.is_everything()) {
      query.add(select);
      add_conditions();
    } else {
      add_time_range(query, own_schema(fcinfo), table, range,
                     after_id ? text_argument(fcinfo, 2) : std::string_view{}, select, size,
                     add_conditions);
    }
  });
}

KANTHORQ_FUNCTION(kanthorq_events_by_subject) {
  const std::string_view filter = required_filter(fcinfo, 1);
  const Datum after_id = optional_id(fcinfo, 3);
  if (after_id && PG_ARGISNULL(2))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("argument \"after_id\" needs \"after_subject\""),
                    errdetail("By subject and id, a page starts after both.")));
  if (!PG_ARGISNULL(2)) require_subject(text_argument(fcinfo, 2), {"after_subject"});
  const int size = required_size(fcinfo, 4, max_page_size);
  return return_events(fcinfo, [&](ReadQuery& query, const char* table) {
    query.add(psprintf("SELECT %s FROM %s WHERE true", event_fields(), table));
    if (after_id) {
      query.add(" AND ROW(subject, id) OPERATOR(pg_catalog.>) ROW(", TEXTOID, PG_GETARG_DATUM(2));
      query.add(", ", TEXTOID, after_id, ")");
    } else if (!PG_ARGISNULL(2)) {
      query.add(" AND subject OPERATOR(pg_catalog.>) ", TEXTOID, PG_GETARG_DATUM(2));
    }
    add_filter(query, own_schema(fcinfo), filter);
    query.add(" ORDER BY subject, id LIMIT ", INT4OID, Int32GetDatum(size));
  });
}
