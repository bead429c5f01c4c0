// An event on its way into a stream: validated, in the form in which the server stores it.
#pragma once

#include "server/fault.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

// Its values by column (stream/definition.hpp). The body may be stored out of line.
struct Event {
  Datum values[event_columns];

  Datum& operator[](StreamColumn column) { return values[column - 1]; }
  Datum operator[](StreamColumn column) const { return values[column - 1]; }
};

enum class OnDuplicate {
  error,  // 23505, and nothing of the call is stored
  skip,   // the stored event stays as it is
};

struct EventBatch {
  const Event* events;
  int count;
  OnDuplicate on_duplicate;
};

// What a caller gave for one event. A null id means a new ULID, a null metadata an empty object, a
// null created_at the time inside the id.
struct EventParts {
  Datum subject;
  Datum body;
  NullableDatum metadata;
  Datum default_metadata;  // an empty object, the same for all events of a call
  NullableDatum id;
  NullableDatum created_at;
  // Where each came from, for messages.
  ValueSource subject_source{"subject"};
  ValueSource body_source{"body"};
  ValueSource metadata_source{"metadata"};
  ValueSource id_source{"id"};
};

// Bytes of body and metadata, as they are out of line and uncompressed.
Size content_bytes(const Event& event);

Datum empty_object();

// The body, as it is stored, of what a caller gave: bytes; text, of which it is the UTF-8; or a
// JSON document, of whose text it is the UTF-8.
using BodyOf = Datum (*)(Datum given);
Datum bytea_body(Datum bytes);
Datum text_body(Datum characters);
Datum json_body(Datum document);

// Raises 22023 for an invalid subject or id, 23514 for metadata that is no object, 54000 for more
// than fits into a row.
Event make_event(const EventParts& parts);

// 'error' or 'skip'; raises 22004 and 22023.
OnDuplicate on_duplicate_argument(FunctionCallInfo fcinfo, int argument);

// Inserts the events into the stream, directly where its table is plain, else by an INSERT. Needs
// INSERT on the table, or on its five event columns.
void publish_events(Oid schema, std::string_view stream, const EventBatch& batch);

}  // namespace kanthorq
