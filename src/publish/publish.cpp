// kanthorq_publish, kanthorq_publish_text and kanthorq_publish_json: one event.
//
// The three differ in the type of their third argument. There is one kanthorq_publish, and no
// overload of that name: an untyped literal or driver parameter must never be taken for text by
// accident.
#include "publish/event.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"

namespace kanthorq {

namespace {

// Of all three.
namespace publish_argument {
enum : int { stream, subject, body, metadata, id, created_at, on_duplicate };
}

NullableDatum nullable_argument(FunctionCallInfo fcinfo, int argument) {
  return {fcinfo->args[argument].value, fcinfo->args[argument].isnull};
}

Datum publish(FunctionCallInfo fcinfo, BodyOf body_of) {
  require_argument(fcinfo, publish_argument::stream, "stream");
  require_argument(fcinfo, publish_argument::subject, "subject");
  require_argument(fcinfo, publish_argument::body, "body");
  PreventCommandIfReadOnly("kanthorq_publish()");
  const OnDuplicate on_duplicate = on_duplicate_argument(fcinfo, publish_argument::on_duplicate);
  const bool has_metadata = !PG_ARGISNULL(publish_argument::metadata);
  Event event = make_event({
      .subject = PG_GETARG_DATUM(publish_argument::subject),
      .body = body_of(PG_GETARG_DATUM(publish_argument::body)),
      .metadata = nullable_argument(fcinfo, publish_argument::metadata),
      .default_metadata = has_metadata ? Datum{0} : empty_object(),
      .id = nullable_argument(fcinfo, publish_argument::id),
      .created_at = nullable_argument(fcinfo, publish_argument::created_at),
  });
  publish_events(own_schema(fcinfo), text_argument(fcinfo, publish_argument::stream),
                 {&event, 1, on_duplicate});
  return event[id_column];
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_publish) { return publish(fcinfo, bytea_body); }

KANTHORQ_FUNCTION(kanthorq_publish_text) { return publish(fcinfo, text_body); }

KANTHORQ_FUNCTION(kanthorq_publish_json) { return publish(fcinfo, json_body); }
