#include "publish/event.hpp"

#include "server/datum.hpp"
#include "server/fault.hpp"

namespace kanthorq {

namespace {

// A row is formed in one piece before its body goes out of line, so it must fit into one
// allocation. The rest of that is for the other columns and the row's header.
constexpr Size max_event_bytes = MaxAllocSize - 8192;

Datum metadata_of(const EventParts& parts) {
  if (parts.metadata.isnull) return parts.default_metadata;
  Jsonb* metadata = DatumGetJsonbP(parts.metadata.value);
  if (!JB_ROOT_IS_OBJECT(metadata)) raise_metadata_not_object(metadata, parts.metadata_source);
  return JsonbPGetDatum(metadata);
}

void set_id(const EventParts& parts, Event& event) {
  event.lacks_id = parts.id.isnull;
  event.lacks_created_at = parts.id.isnull && parts.created_at.isnull;
  if (parts.id.isnull) return;
  const text* id = DatumGetTextPP(parts.id.value);
  event[created_at_column] = UInt64GetDatum(require_event_id(view_of(id), parts.id_source));
  event[id_column] = PointerGetDatum(id);
}

}  // namespace

Size content_bytes(const Event& event) {
  return content_bytes(event[body_column], event[metadata_column]);
}

Datum empty_object() {
  JsonState state{};
  push_json(&state, WJB_BEGIN_OBJECT, nullptr);
  return JsonbPGetDatum(JsonbValueToJsonb(push_json(&state, WJB_END_OBJECT, nullptr)));
}

Datum bytea_body(Datum body) { return body; }

// If the server's encoding is UTF-8, it is the same varlena: text and bytea are stored alike.
Datum text_body(Datum body) {
  text* characters = DatumGetTextPP(body);
  const std::string_view server = view_of(characters);
  const char* utf8 = pg_server_to_any(server.data(), static_cast<int>(server.size()), PG_UTF8);
  return utf8 == server.data() ? PointerGetDatum(characters) : text_datum(utf8);
}

Datum json_body(Datum body) {
  Jsonb* document = DatumGetJsonbP(body);
  StringInfoData characters;
  initStringInfo(&characters);
  JsonbToCString(&characters, &document->root, VARSIZE(document));
  return text_body(text_datum({characters.data, static_cast<std::size_t>(characters.len)}));
}

Event make_event(const EventParts& parts) {
  Event event{};
  const text* subject = DatumGetTextPP(parts.subject);
  require_subject(view_of(subject), parts.subject_source);
  event[subject_column] = PointerGetDatum(subject);
  event[metadata_column] = metadata_of(parts);
  event[body_column] = parts.body;
  const Size bytes = content_bytes(event);
  if (bytes > max_event_bytes) raise_event_too_large(bytes, max_event_bytes, parts.body_source);
  set_id(parts, event);
  if (!parts.created_at.isnull) event[created_at_column] = parts.created_at.value;
  return event;
}

OnDuplicate on_duplicate_argument(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "on_duplicate");
  const std::string_view value = text_argument(fcinfo, argument);
  if (value == "error") return OnDuplicate::error;
  if (value == "skip") return OnDuplicate::skip;
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("invalid value for argument \"on_duplicate\""),
                  errdetail("The value is \"%s\".", clipped(value)),
                  errhint("Use \"error\" or \"skip\".")));
}

}  // namespace kanthorq
