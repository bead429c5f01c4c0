// kanthorq_publish_many, kanthorq_publish_many_text and kanthorq_publish_many_json: events as
// arrays, one element of each array an event. The three differ in what the elements of their third
// argument are.
#include "publish/event.hpp"
#include "server/array.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

constexpr int max_batch_events = 1'000'000;

enum Argument {
  stream_argument,
  subjects_argument,
  bodies_argument,
  metadata_argument,
  ids_argument,
  created_at_argument,
  on_duplicate_argument_number
};

void require_same_length(const Elements& elements, const Elements& subjects) {
  if (!elements.given || elements.count == subjects.count) return;
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("arrays \"%s\" and \"%s\" must be equally long", subjects.argument,
                         elements.argument),
                  errdetail("They have %d and %d elements.", subjects.count, elements.count)));
}

void require_possible_count(const Elements& subjects) {
  if (subjects.count > max_batch_events)
    ereport(ERROR,
            (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("batch is too large"),
             errdetail("It has %d events; %d are allowed.", subjects.count, max_batch_events),
             errhint("Publish several batches; they may share a transaction.")));
}

// array_agg over no rows is null, so two nulls are no events. One null is a mistake.
void require_both_or_none(const Elements& subjects, const Elements& bodies) {
  if (subjects.given != bodies.given) raise_null({(subjects.given ? bodies : subjects).argument});
}

Datum ids_of(const Event* events, int count) {
  Datum* ids = palloc_array_of<Datum>(count);
  for (int i = 0; i < count; i++) ids[i] = events[i][id_column];
  return PointerGetDatum(construct_array(ids, count, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum publish_many(FunctionCallInfo fcinfo, Oid type_of_bodies, BodyOf body_of) {
  require_argument(fcinfo, stream_argument, "stream");
  PreventCommandIfReadOnly("kanthorq_publish_many()");
  const Elements subjects = optional_elements(fcinfo, subjects_argument, "subjects", TEXTOID);
  const Elements bodies = optional_elements(fcinfo, bodies_argument, "bodies", type_of_bodies);
  const Elements metadata = optional_elements(fcinfo, metadata_argument, "metadata", JSONBOID);
  const Elements ids = optional_elements(fcinfo, ids_argument, "ids", TEXTOID);
  const Elements created_at = optional_elements(fcinfo, created_at_argument, "created_at", INT8OID);
  const OnDuplicate on_duplicate = on_duplicate_argument(fcinfo, on_duplicate_argument_number);
  require_both_or_none(subjects, bodies);
  for (const Elements* elements : {&bodies, &metadata, &ids, &created_at})
    require_same_length(*elements, subjects);
  require_possible_count(subjects);

  const Datum no_metadata = empty_object();
  Event* events = palloc_array_of<Event>(subjects.count);
  for (int i = 0; i < subjects.count; i++) {
    events[i] = make_event({
        .subject = subjects.required(i),
        .body = body_of(bodies.required(i)),
        .metadata = metadata.optional(i),
        .default_metadata = no_metadata,
        .id = ids.optional(i),
        .created_at = created_at.optional(i),
        .subject_source = subjects.source(i),
        .body_source = bodies.source(i),
        .metadata_source = metadata.source(i),
        .id_source = ids.source(i),
    });
    CHECK_FOR_INTERRUPTS();
  }
  publish_events(own_schema(fcinfo), text_argument(fcinfo, stream_argument),
                 {events, subjects.count, on_duplicate});
  return ids_of(events, subjects.count);
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_publish_many) { return publish_many(fcinfo, BYTEAOID, bytea_body); }

KANTHORQ_FUNCTION(kanthorq_publish_many_text) { return publish_many(fcinfo, TEXTOID, text_body); }

KANTHORQ_FUNCTION(kanthorq_publish_many_json) { return publish_many(fcinfo, JSONBOID, json_body); }
