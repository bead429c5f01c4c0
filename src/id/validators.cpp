// The core's rules as SQL functions. All are immutable and strict. The same text gets the same
// answer on every server, whatever its encoding and collations are, because the rules are about
// ASCII.
#include "core/event_id.hpp"
#include "core/name.hpp"
#include "core/subject.hpp"
#include "server/datum.hpp"

namespace {

namespace subject_matches_argument {
enum : int { subject, filter };
}

// Of a function with one argument.
std::string_view only_argument(FunctionCallInfo fcinfo) {
  constexpr int first = 0;
  return kanthorq::text_argument(fcinfo, first);
}

}  // namespace

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_is_name) { PG_RETURN_BOOL(is_name(only_argument(fcinfo))); }

KANTHORQ_FUNCTION(kanthorq_is_subject) { PG_RETURN_BOOL(is_subject(only_argument(fcinfo))); }

KANTHORQ_FUNCTION(kanthorq_is_subject_filter) {
  PG_RETURN_BOOL(is_subject_filter(only_argument(fcinfo)));
}

KANTHORQ_FUNCTION(kanthorq_subject_matches) {
  const std::string_view subject = text_argument(fcinfo, subject_matches_argument::subject);
  const std::string_view filter = text_argument(fcinfo, subject_matches_argument::filter);
  PG_RETURN_BOOL(is_subject(subject) && is_subject_filter(filter) &&
                 subject_matches(subject, filter));
}

KANTHORQ_FUNCTION(kanthorq_is_ulid) { PG_RETURN_BOOL(is_ulid(only_argument(fcinfo))); }

KANTHORQ_FUNCTION(kanthorq_is_uuidv7) { PG_RETURN_BOOL(is_uuidv7(only_argument(fcinfo))); }

KANTHORQ_FUNCTION(kanthorq_is_event_id) { PG_RETURN_BOOL(is_event_id(only_argument(fcinfo))); }
