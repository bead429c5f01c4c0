// kanthorq_publish_many, kanthorq_publish_many_text and kanthorq_publish_many_json: events as
// arrays. One element of each array makes an event. The three differ in the type of their third
// argument.
#include "publish/event.hpp"
#include "server/array.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

constexpr int max_batch_events = 1'000'000;

// Of all three.
namespace publish_many_argument {
enum : int { stream, subjects, bodies, metadata, ids, created_at, on_duplicate };
}

void require_same_length(const Elements& elements, const Elements& subjects) {
  if (!elements.given || elements.count == subjects.count) return;
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("arrays \"%s\" and \"%s\" must be equally long", subjects.argument,
                         elements.argument),
                  errdetail("They have %d and %d elements.", subjects.count, elements.count)));
}

void require_allowed_count(const Elements& subjects) {
  if (subjects.count > max_batch_events)
    ereport(ERROR,
            (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("batch is too large"),
             errdetail("It has %d events; %d are allowed.", subjects.count, max_batch_events),
             errhint("Publish several batches; they may share a transaction.")));
}

// array_agg over no rows is null, so two nulls mean no events. One null is a mistake.
void require_both_or_none(const Elements& subjects, const Elements& bodies) {
  if (subjects.given != bodies.given) raise_null({(subjects.given ? bodies : subjects).argument});
}

Datum ids_of(const Event* events, int count) {
  Datum* ids = palloc_array_of<Datum>(count);
  for (int i = 0; i < count; i++) ids[i] = events[i][id_column];
  return PointerGetDatum(construct_array(ids, count, TEXTOID, -1, false, TYPALIGN_INT));
}

// The arguments that are arrays.
struct Arrays {
  Elements subjects;
  Elements bodies;
  Elements metadata;
  Elements ids;
  Elements created_at;
};

Arrays array_arguments(FunctionCallInfo fcinfo, Oid type_of_bodies) {
  namespace given = publish_many_argument;
  return {
      .subjects = optional_elements(fcinfo, given::subjects, "subjects", TEXTOID),
      .bodies = optional_elements(fcinfo, given::bodies, "bodies", type_of_bodies),
      .metadata = optional_elements(fcinfo, given::metadata, "metadata", JSONBOID),
      .ids = optional_elements(fcinfo, given::ids, "ids", TEXTOID),
      .created_at = optional_elements(fcinfo, given::created_at, "created_at", INT8OID),
  };
}

void require_equal_counts(const Arrays& arrays) {
  require_both_or_none(arrays.subjects, arrays.bodies);
  for (const Elements* elements :
       {&arrays.bodies, &arrays.metadata, &arrays.ids, &arrays.created_at})
    require_same_length(*elements, arrays.subjects);
  require_allowed_count(arrays.subjects);
}

Event make_event_at(const Arrays& arrays, int i, BodyOf body_of, Datum default_metadata) {
  return make_event({
      .subject = arrays.subjects.required(i),
      .body = body_of(arrays.bodies.required(i)),
      .metadata = arrays.metadata.optional(i),
      .default_metadata = default_metadata,
      .id = arrays.ids.optional(i),
      .created_at = arrays.created_at.optional(i),
      .subject_source = arrays.subjects.source(i),
      .body_source = arrays.bodies.source(i),
      .metadata_source = arrays.metadata.source(i),
      .id_source = arrays.ids.source(i),
  });
}

Datum publish_many(FunctionCallInfo fcinfo, Oid type_of_bodies, BodyOf body_of) {
  require_argument(fcinfo, publish_many_argument::stream, "stream");
  PreventCommandIfReadOnly("kanthorq_publish_many()");
  const Arrays arrays = array_arguments(fcinfo, type_of_bodies);
  const OnDuplicate on_duplicate =
      on_duplicate_argument(fcinfo, publish_many_argument::on_duplicate);
  require_equal_counts(arrays);

  const int count = arrays.subjects.count;
  const Datum default_metadata = empty_object();
  Event* events = palloc_array_of<Event>(count);
  for (int i = 0; i < count; i++) {
    events[i] = make_event_at(arrays, i, body_of, default_metadata);
    CHECK_FOR_INTERRUPTS();
  }
  publish_events(own_schema(fcinfo), text_argument(fcinfo, publish_many_argument::stream),
                 {events, count, on_duplicate});
  return ids_of(events, count);
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_publish_many) { return publish_many(fcinfo, BYTEAOID, bytea_body); }

KANTHORQ_FUNCTION(kanthorq_publish_many_text) { return publish_many(fcinfo, TEXTOID, text_body); }

KANTHORQ_FUNCTION(kanthorq_publish_many_json) { return publish_many(fcinfo, JSONBOID, json_body); }
