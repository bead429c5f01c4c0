// An event on its way into a stream: validated, in the form in which the server stores it.
#pragma once

#include "server/fault.hpp"
#include "server/pg.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

// The values by column (stream/definition.hpp). The body may be stored out of line.
struct Event {
  Datum values[event_columns];
  bool lacks_id;          // it gets one once the stream is known, and with it the form of its ids
  bool lacks_created_at;  // it gets the time in that id

  Datum& operator[](StreamColumn column) { return values[column - 1]; }
  Datum operator[](StreamColumn column) const { return values[column - 1]; }
};

enum class OnDuplicate {
  error,  // 23505, and nothing of the call is stored
  skip,   // the stored event stays as it is
};

struct EventBatch {
  Event* events;
  int count;
  OnDuplicate on_duplicate;
};

// What a caller gave for one event. A null id means a new one of the stream's form, null metadata
// an empty object, and a null created_at the time inside the id.
struct EventParts {
  Datum subject;
  Datum body;
  NullableDatum metadata;
  Datum default_metadata;  // an empty object, the same for all events of a call
  NullableDatum id;
  NullableDatum created_at;
  // For messages.
  ValueSource subject_source{"subject"};
  ValueSource body_source{"body"};
  ValueSource metadata_source{"metadata"};
  ValueSource id_source{"id"};
};

// Of body and metadata (stream/definition.hpp).
Size content_bytes(const Event& event);

// The default of metadata.
Datum empty_object();

// Turns what a caller gave into the body as it is stored: bytes as they are, text into its UTF-8
// bytes, and a JSON document into the UTF-8 bytes of its text.
using BodyOf = Datum (*)(Datum given);
Datum bytea_body(Datum bytes);
Datum text_body(Datum characters);
Datum json_body(Datum document);

// Raises 22023 for an invalid subject or id, 23514 for metadata that is no object, and 54000 for an
// event that does not fit into a row.
Event make_event(const EventParts& parts);

// The argument is 'error' or 'skip'. Raises 22004 for null, and 22023 for anything else.
OnDuplicate on_duplicate_argument(FunctionCallInfo fcinfo, int argument);

// Inserts the events into the stream, directly if its table is plain, else by an INSERT. Events
// that lack an id have one afterwards. Raises 42501 without INSERT on the table or on its five
// event columns, 23514 if a partitioned stream has no partition for an id, and what open_stream()
// raises. Wakes the stream's waiters at the commit.
void publish_events(Oid schema, std::string_view stream, const EventBatch& batch);

}  // namespace kanthorq
