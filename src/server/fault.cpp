#include "server/fault.hpp"

#include "server/datum.hpp"

namespace kanthorq {

namespace {

constexpr int clipped_characters = 64;

// " (element 3 of array "subjects")" for an element, nothing for an argument.
const char* source_suffix(ValueSource source) {
  return source.in_array
             ? psprintf(" (element %d of array \"%s\")", source.subscript, source.argument)
             : "";
}

const char* name_detail(std::string_view name, NameVerdict verdict) {
  switch (verdict.fault) {
    case NameFault::empty:
      return "A name has at least one character.";
    case NameFault::too_long:
      return psprintf("The name has %zu characters; %zu are allowed.", name.size(), max_name_bytes);
    case NameFault::bad_character: {
      const char* at = name.data() + verdict.at;
      const int left = static_cast<int>(name.size() - verdict.at);
      return psprintf("Character %d, \"%s\", is not a letter, a digit or an underscore.",
                      pg_mbstrlen_with_len(name.data(), static_cast<int>(verdict.at)) + 1,
                      pnstrdup(at, pg_mbcliplen(at, left, pg_mblen(at))));
    }
    case NameFault::outer_underscore:
      return verdict.at == 0 ? "The name starts with an underscore."
                             : "The name ends with an underscore.";
    case NameFault::double_underscore:
      return psprintf("Characters %zu and %zu are both underscores.", verdict.at, verdict.at + 1);
    case NameFault::none:
      break;
  }
  pg_unreachable();
}

const char* token_detail(std::string_view whole, SubjectVerdict verdict, const char* kind) {
  const char* token = clipped(verdict.token);
  switch (verdict.fault) {
    case SubjectFault::empty:
      return psprintf("A %s has at least one token.", kind);
    case SubjectFault::too_long:
      return psprintf("The %s has %zu characters; %zu are allowed.", kind, whole.size(),
                      max_subject_bytes);
    case SubjectFault::empty_token:
      return psprintf("Token %zu is empty.", verdict.token_number);
    case SubjectFault::bad_character:
      return psprintf(
          "Token %zu, \"%s\", has a character that is not a letter, a digit or a hyphen.",
          verdict.token_number, token);
    case SubjectFault::no_letter_or_digit:
      return psprintf("Token %zu, \"%s\", has no letter or digit.", verdict.token_number, token);
    case SubjectFault::wildcard_in_subject:
      return psprintf("Token %zu, \"%s\", is a wildcard; only filters have them.",
                      verdict.token_number, token);
    case SubjectFault::wildcard_in_token:
      return psprintf("Token %zu, \"%s\", mixes a wildcard with other characters.",
                      verdict.token_number, token);
    case SubjectFault::tail_not_last:
      return psprintf("Token %zu, \">\", is not the last one.", verdict.token_number);
    case SubjectFault::none:
      break;
  }
  pg_unreachable();
}

const char* event_id_detail(std::string_view id, EventIdVerdict verdict) {
  switch (verdict.fault) {
    case EventIdFault::empty:
      return "The id is empty.";
    case EventIdFault::too_long:
      return psprintf("The id has %d characters; %zu are allowed.",
                      pg_mbstrlen_with_len(id.data(), static_cast<int>(id.size())),
                      max_event_id_bytes);
    case EventIdFault::ulid_not_upper_case:
      return "A ULID is written in upper case, so that all of them sort in one order.";
    case EventIdFault::uuid_not_lower_case:
      return "A UUID is written in lower case, so that all of them sort in one order.";
    case EventIdFault::uuid_not_version_7:
      return "The UUID is not of version 7; only that version sorts by time.";
    case EventIdFault::prefixed_not_lower_case:
      return "A prefixed id is written in lower case, so that all of them sort in one order.";
    case EventIdFault::bad_prefix:
      return "The prefix is not a lower-case letter followed by such letters, digits and inner "
             "underscores, with no digit after an underscore.";
    case EventIdFault::unknown_form:
      return "The id is not a ULID, a UUIDv7 or a ULID with a prefix.";
    case EventIdFault::none:
      break;
  }
  pg_unreachable();
}

}  // namespace

char* clipped(std::string_view value) {
  const int size = static_cast<int>(value.size());
  return pnstrdup(value.data(), pg_mbcharcliplen(value.data(), size, clipped_characters));
}

void raise_invalid_name(std::string_view name, NameVerdict verdict) {
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid name \"%s\"", clipped(name)),
           errdetail("%s", name_detail(name, verdict)),
           errhint("A name is letters, digits and single inner underscores, 1 to 128 "
                   "characters, such as \"order_update\".")));
}

void raise_invalid_subject(std::string_view subject, SubjectVerdict verdict, ValueSource source) {
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
           errmsg("invalid subject \"%s\"%s", clipped(subject), source_suffix(source)),
           errdetail("%s", token_detail(subject, verdict, "subject")),
           errhint("A subject is tokens of letters, digits and hyphens separated by dots, 1 to 128 "
                   "characters, such as \"order.created\".")));
}

void raise_invalid_filter(std::string_view filter, SubjectVerdict verdict) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("invalid subject filter \"%s\"", clipped(filter)),
                  errdetail("%s", token_detail(filter, verdict, "filter")),
                  errhint("A filter is a subject in which a token may be \"*\" (exactly one token) "
                          "and the last may be \">\" (one or more).")));
}

void raise_invalid_event_id(std::string_view id, EventIdVerdict verdict, ValueSource source) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("invalid event id \"%s\"%s", clipped(id), source_suffix(source)),
                  errdetail("%s", event_id_detail(id, verdict)),
                  errhint("Use a ULID in upper case, a UUIDv7 in lower case or \"<prefix>_<ulid>\" "
                          "in lower case; kanthorq_ulid() makes one.")));
}

void raise_null(ValueSource source) {
  ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                  errmsg("argument \"%s\" must not be null", source.argument),
                  source.in_array ? errdetail("Element %d of the array is null.", source.subscript)
                                  : errdetail("Null is not a value for it.")));
}

void raise_metadata_not_object(const Jsonb* metadata, ValueSource source) {
  const char* value = JsonbToCString(nullptr, const_cast<JsonbContainer*>(&metadata->root),
                                     static_cast<int>(VARSIZE(metadata)));
  ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                  errmsg("metadata must be a JSON object%s", source_suffix(source)),
                  errdetail("The value is %s.", clipped(value)),
                  errhint("Put the value under a key, such as {\"value\": 1}.")));
}

void raise_no_such_stream(Oid schema, std::string_view name) {
  ereport(ERROR,
          (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("stream \"%s\" does not exist", clipped(name)),
           errdetail("No stream of that name is registered in schema \"%s\".",
                     get_namespace_name(schema)),
           errhint("Create it with kanthorq_stream_create().")));
}

void raise_no_stream_table(std::string_view name, const char* table) {
  ereport(
      ERROR,
      (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("stream \"%s\" has no table", clipped(name)),
       errdetail("It is registered, but its table \"%s\" was dropped, renamed or moved to "
                 "another schema.",
                 table),
       errhint("Rename it or move it back. If it was dropped, kanthorq_stream_drop() forgets the "
               "stream with its consumers, and then it can be created again.")));
}

void raise_event_too_large(Size bytes, Size limit, ValueSource source) {
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                  errmsg("event is too large%s", source_suffix(source)),
                  errdetail("Its body and metadata have %zu bytes; %zu are allowed.", bytes, limit),
                  errhint("Store the content elsewhere and publish a reference to it.")));
}

void require_name(std::string_view name) {
  const NameVerdict verdict = check_name(name);
  if (verdict.fault != NameFault::none) raise_invalid_name(name, verdict);
}

std::string_view required_name(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "name");
  const std::string_view name = text_argument(fcinfo, argument);
  require_name(name);
  return name;
}

void require_subject(std::string_view subject, ValueSource source) {
  const SubjectVerdict verdict = check_subject(subject);
  if (verdict.fault != SubjectFault::none) raise_invalid_subject(subject, verdict, source);
}

void require_filter(std::string_view filter) {
  const SubjectVerdict verdict = check_subject_filter(filter);
  if (verdict.fault != SubjectFault::none) raise_invalid_filter(filter, verdict);
}

std::uint64_t require_event_id(std::string_view id, ValueSource source) {
  const EventIdVerdict verdict = check_event_id(id);
  if (verdict.fault != EventIdFault::none) raise_invalid_event_id(id, verdict, source);
  return verdict.milliseconds;
}

void raise_trigger_protocol(const char* function, const char* users) {
  ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                  errmsg("%s() is for %s only", function, users)));
}

const TriggerData* require_trigger(FunctionCallInfo fcinfo, const char* function) {
  if (!CALLED_AS_TRIGGER(fcinfo)) raise_trigger_protocol(function, "triggers");
  return reinterpret_cast<const TriggerData*>(fcinfo->context);
}

Datum require_object(FunctionCallInfo fcinfo, int argument, const char* name) {
  require_argument(fcinfo, argument, name);
  Jsonb* object = PG_GETARG_JSONB_P(argument);
  if (!JB_ROOT_IS_OBJECT(object))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("argument \"%s\" must be a JSON object", name),
                    errdetail("The metadata of an event is an object, so nothing else is ever "
                              "contained in it.")));
  return JsonbPGetDatum(object);
}

int required_size(FunctionCallInfo fcinfo, int argument, int most) {
  require_argument(fcinfo, argument, "size");
  const int size = PG_GETARG_INT32(argument);
  if (size < 1 || size > most)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid size %d", size),
                    errdetail("The size is 1 to %d.", most)));
  return size;
}

}  // namespace kanthorq
