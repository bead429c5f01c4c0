// kanthorq_event_get, kanthorq_events and kanthorq_events_by_subject: reading a stream by key.
//
// They are queries that run as their caller, so SELECT on the table is needed and row security is
// obeyed. A page starts after a key and never at an offset. Each of the two orders has an index,
// and with the conditions below the server starts reading it at the right place. Of a partitioned
// stream, an event or a page by id is read from the partitions that have it (id_pieces.hpp).
#include "core/name.hpp"
#include "core/subject.hpp"
#include "read/id_pieces.hpp"
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

// Adds the rows of the query that `build(query)` makes to the function's result. Returns how many.
template <typename Build>
uint64 add_rows(FunctionCallInfo fcinfo, Build build) {
  ReadQuery query;
  build(query);
  query.run_into(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
  return SPI_processed;
}

// Runs `add(stream, table)`, which adds to the function's result, with the stream that the argument
// `stream` names and the quoted name of its table.
template <typename Add>
Datum return_events(FunctionCallInfo fcinfo, int stream, Add add) {
  require_argument(fcinfo, stream, "stream");
  InitMaterializedSRF(fcinfo, 0);
  with_stream(
      own_schema(fcinfo), text_argument(fcinfo, stream), AccessShareLock,
      [&](const OpenStream& open) { with_spi([&] { add(open, quoted_table_name(open.table)); }); });
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

// The ranges of ids that may hold the page; empty if all may.
IdRanges ranges_of(FunctionCallInfo fcinfo, const EventsPage& page, const OpenStream& stream,
                   const char* table) {
  if (page.range.is_everything()) return {};
  const std::string_view after_id =
      page.after_id ? text_argument(fcinfo, events_argument::after_id) : std::string_view{};
  return id_ranges(stream, table, page.range, after_id);
}

// Adds what of the page is in this piece of the ids. Returns how many events there are.
uint64 add_piece(FunctionCallInfo fcinfo, const EventsPage& page, const IdRanges& ranges,
                 const char* table, const IdPiece& piece) {
  return add_rows(fcinfo, [&](ReadQuery& query) {
    const char* select = psprintf("SELECT %s FROM %s e WHERE true", event_fields(), table);
    if (page.range.is_everything()) {
      query.add(select);
      add_id_piece(query, piece);
      add_conditions(query, fcinfo, page);
    } else {
      add_time_range(query, own_schema(fcinfo), ranges, page.range, select, page.size,
                     [&] { add_conditions(query, fcinfo, page); });
    }
  });
}

IdRanges no_ids() {
  IdRanges ranges;
  ranges.add("", "");
  return ranges;
}

// Adds the page piece by piece until it is full. Returns false if a piece has changed meanwhile. If
// none may have an event, it asks for none: that takes the same privileges.
bool add_pieces(FunctionCallInfo fcinfo, EventsPage page, const OpenStream& stream,
                const char* table) {
  const bool is_any_time = page.range.is_everything();
  const IdRanges ranges = ranges_of(fcinfo, page, stream, table);
  const char* at =
      page.after_id ? cstring_of(text_argument(fcinfo, events_argument::after_id)) : "";
  bool has_asked = false;
  while (at && page.size > 0) {
    const IdPiece piece = piece_with(stream, at);
    const IdRanges here = ranges_in(piece, ranges);
    if ((is_any_time || here.count > 0) && may_have_events(stream, piece)) {
      with_piece_of_statement(stream, piece, [&] {
        page.size -= static_cast<int>(add_piece(fcinfo, page, here, table, piece));
      });
      has_asked = true;
    }
    if (piece_with(stream, at) != piece) return false;
    at = piece.upper;
    CHECK_FOR_INTERRUPTS();
  }
  if (!has_asked) {
    require_no_foreign_code(stream, Access::reads);
    add_piece(fcinfo, page, no_ids(), table, all_ids);
  }
  return true;
}

// Runs `add`, which adds to the function's result, until it returns true: anew, if a piece of the
// ids has become two, because a query for the one may have left out what is in the other.
template <typename Add>
void add_until_steady(FunctionCallInfo fcinfo, Add add) {
  while (!add()) {
    tuplestore_clear(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo)->setResult);
    CHECK_FOR_INTERRUPTS();
  }
}

// A range of time that holds nothing is asked for, too: it takes the same privileges.
void add_page(FunctionCallInfo fcinfo, const EventsPage& page, const OpenStream& stream,
              const char* table) {
  if (stream.is_partitioned && !page.range.is_empty())
    return add_until_steady(fcinfo, [&] { return add_pieces(fcinfo, page, stream, table); });
  require_no_foreign_code(stream, Access::reads);
  add_piece(fcinfo, page, ranges_of(fcinfo, page, stream, table), table, all_ids);
}

// Adds the event. Returns false if the piece of the ids that has it has changed meanwhile.
bool add_event(FunctionCallInfo fcinfo, const OpenStream& stream, const char* table) {
  const char* id = cstring_of(text_argument(fcinfo, event_get_argument::id));
  const IdPiece piece = piece_with(stream, id);
  with_piece_of_statement(stream, piece, [&] {
    add_rows(fcinfo, [&](ReadQuery& query) {
      query.add(
          psprintf("SELECT %s FROM %s WHERE id OPERATOR(pg_catalog.=) ", event_fields(), table),
          TEXTOID, PG_GETARG_DATUM(event_get_argument::id));
    });
  });
  return piece_with(stream, id) == piece;
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
  return return_events(fcinfo, given::stream, [&](const OpenStream& stream, const char* table) {
    add_until_steady(fcinfo, [&] { return add_event(fcinfo, stream, table); });
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
  return return_events(fcinfo, given::stream, [&](const OpenStream& stream, const char* table) {
    add_page(fcinfo, page, stream, table);
  });
}

KANTHORQ_FUNCTION(kanthorq_events_by_subject) {
  namespace given = events_by_subject_argument;
  const std::string_view filter = filter_argument(fcinfo, given::filter);
  const Datum after_id = after_id_argument(fcinfo, given::after_id);
  const NullableDatum after_subject =
      after_subject_argument(fcinfo, given::after_subject, after_id);
  const int size = required_size(fcinfo, given::size, max_page_size);
  return return_events(fcinfo, given::stream, [&](const OpenStream& stream, const char* table) {
    require_no_foreign_code(stream, Access::reads);
    add_rows(fcinfo, [&](ReadQuery& query) {
      query.add(psprintf("SELECT %s FROM %s WHERE true", event_fields(), table));
      add_start(query, after_subject, after_id);
      add_filter(query, own_schema(fcinfo), filter);
      query.add(" ORDER BY subject, id LIMIT ", INT4OID, Int32GetDatum(size));
    });
  });
}
