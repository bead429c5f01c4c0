// The core's rules as SQL functions. All are immutable and strict: the same text gets the same
// answer on every server, whatever its encoding and collations, because the rules are about ASCII.
#include "core/event_id.hpp"
#include "core/name.hpp"
#include "core/subject.hpp"
#include "server/datum.hpp"

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_is_name) { PG_RETURN_BOOL(is_name(text_argument(fcinfo, 0))); }

KANTHORQ_FUNCTION(kanthorq_is_subject) { PG_RETURN_BOOL(is_subject(text_argument(fcinfo, 0))); }

KANTHORQ_FUNCTION(kanthorq_is_subject_filter) {
  PG_RETURN_BOOL(is_subject_filter(text_argument(fcinfo, 0)));
}

KANTHORQ_FUNCTION(kanthorq_subject_matches) {
  const std::string_view subject = text_argument(fcinfo, 0);
  const std::string_view filter = text_argument(fcinfo, 1);
  PG_RETURN_BOOL(is_subject(subject) && is_subject_filter(filter) &&
                 subject_matches(subject, filter));
}

KANTHORQ_FUNCTION(kanthorq_is_ulid) { PG_RETURN_BOOL(is_ulid(text_argument(fcinfo, 0))); }

KANTHORQ_FUNCTION(kanthorq_is_uuidv7) { PG_RETURN_BOOL(is_uuidv7(text_argument(fcinfo, 0))); }

KANTHORQ_FUNCTION(kanthorq_is_event_id) { PG_RETURN_BOOL(is_event_id(text_argument(fcinfo, 0))); }
