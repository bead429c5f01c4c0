// kanthorq_ulid(), kanthorq_uuidv7() and the time inside an id.
//
// The generators belong to the session. A backend is one process with one thread, so they need no
// lock. A parallel worker would have generators of its own, so the functions are PARALLEL
// RESTRICTED.

#include "id/ids.hpp"

#include "core/id_generator.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/quoting.hpp"

namespace kanthorq {

namespace {

IdGenerator ulids;
IdGenerator uuids;
IdGenerator dated_ulids;  // kanthorq_ulid(at): counts up while `at` stays in one millisecond

// A clock before 1970 counts as 1970.
std::uint64_t now_milliseconds() {
  return static_cast<std::uint64_t>(Max(epoch_milliseconds(GetCurrentTimestamp()), 0));
}

// Random bits for the next ids. Asking for them takes the same few microseconds and a system call,
// whether they are for one id or for many, and a session that publishes now and then needs them for
// each event.
struct RandomWords {
  std::uint64_t words[128];
  int left;  // those at the front; each is used once
};
RandomWords random_words;

std::uint64_t random_word() {
  if (random_words.left == 0) {
    if (!pg_strong_random(random_words.words, sizeof(random_words.words)))
      ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bits")));
    random_words.left = lengthof(random_words.words);
  }
  return random_words.words[--random_words.left];
}

void fill_random(std::uint64_t* high, std::uint64_t* low) {
  *high = random_word();
  *low = random_word();
}

}  // namespace

Datum ulid_datum(Bits128 bits) {
  const auto text = encode_ulid(bits);
  return text_datum({text.data(), text.size()});
}

Bits128 next_ulid() {
  advance(ulids, now_milliseconds(), ulid_random, fill_random);
  return as_ulid(ulids);
}

static Bits128 next_uuidv7() {
  advance(uuids, now_milliseconds(), uuidv7_random, fill_random);
  return as_uuidv7(uuids);
}

static Datum uuid_datum(Bits128 bits) {
  const auto text = encode_uuid(bits);
  return text_datum({text.data(), text.size()});
}

static char* prefixed_ulid(const IdForm& form, Bits128 bits) {
  auto ulid = encode_ulid(bits);
  for (char& c : ulid) c = to_lower(c);
  return psprintf("%s_%.*s", id_form_text(form), static_cast<int>(ulid.size()), ulid.data());
}

IdForm parse_id_form(std::string_view text) {
  IdForm form;
  if (text == "ulid") return form;
  if (text == "uuidv7") {
    form.kind = IdForm::uuidv7;
    return form;
  }
  if (text.size() > max_id_prefix_bytes || !is_id_prefix(text))
    ereport(
        ERROR,
        (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid id_form \"%s\"", clipped(text)),
         errdetail("A prefix has lower-case letters, digits and inner underscores, starts with "
                   "a letter, has no digit after an underscore, and at most %d characters.",
                   static_cast<int>(max_id_prefix_bytes)),
         errhint("Use \"ulid\", \"uuidv7\" or a prefix, such as \"order\" for ids like "
                 "order_01jd0000000000000000000001.")));
  form.kind = IdForm::prefixed;
  form.prefix_size = static_cast<std::uint8_t>(text.size());
  std::copy(text.begin(), text.end(), form.prefix);
  return form;
}

const char* id_form_text(const IdForm& form) {
  if (form.kind == IdForm::prefixed) return cstring_of(form.prefix_view());
  return form.kind == IdForm::uuidv7 ? "uuidv7" : "ulid";
}

Datum new_id(const IdForm& form, std::uint64_t& milliseconds) {
  if (form.kind == IdForm::uuidv7) {
    const Bits128 uuid = next_uuidv7();
    milliseconds = milliseconds_of(uuid);
    return uuid_datum(uuid);
  }
  const Bits128 ulid = next_ulid();
  milliseconds = milliseconds_of(ulid);
  if (form.kind == IdForm::ulid) return ulid_datum(ulid);
  return text_datum(prefixed_ulid(form, ulid));
}

const char* id_floor(const IdForm& form, std::uint64_t milliseconds) {
  const bool is_end = milliseconds > max_id_milliseconds;
  if (form.kind == IdForm::uuidv7) {
    if (is_end) return "g";
    const auto uuid =
        encode_uuid({milliseconds << 16 | std::uint64_t{7} << 12, std::uint64_t{2} << 62});
    return cstring_of({uuid.data(), uuid.size()});
  }
  constexpr const char* end_of_ulids = "8";
  if (form.kind == IdForm::prefixed)
    return is_end ? psprintf("%s_%s", id_form_text(form), end_of_ulids)
                  : prefixed_ulid(form, {milliseconds << 16, 0});
  if (is_end) return end_of_ulids;
  const auto ulid = encode_ulid({milliseconds << 16, 0});
  return cstring_of({ulid.data(), ulid.size()});
}

// A ULID has no letter that any language turns into another small one than C does.
const char* id_expression(const IdForm& form, Oid schema) {
  const char* own = quoted_schema(schema);
  if (form.kind == IdForm::uuidv7) return psprintf("%s.kanthorq_uuidv7()", own);
  if (form.kind == IdForm::ulid) return psprintf("%s.kanthorq_ulid()", own);
  return psprintf(
      "'%s_'::pg_catalog.text OPERATOR(pg_catalog.||)"
      " pg_catalog.lower(%s.kanthorq_ulid() COLLATE pg_catalog.\"C\")",
      id_form_text(form), own);
}

std::uint64_t require_id_milliseconds(TimestampTz at) {
  const int64 milliseconds = TIMESTAMP_NOT_FINITE(at) ? -1 : epoch_milliseconds(at);
  if (milliseconds < 0 || milliseconds > static_cast<int64>(max_id_milliseconds))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("time \"%s\" does not fit into an event id", timestamptz_to_str(at)),
                    errdetail("An id carries the milliseconds since 1970 in 48 bits, which end in "
                              "the year 10889.")));
  return static_cast<std::uint64_t>(milliseconds);
}

namespace {

namespace ulid_at_argument {
enum : int { at };
}

namespace ulid_floor_argument {
enum : int { at };
}

namespace id_time_argument {
enum : int { id };
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_ulid) { return ulid_datum(next_ulid()); }

KANTHORQ_FUNCTION(kanthorq_ulid_at) {
  const std::uint64_t milliseconds =
      require_id_milliseconds(PG_GETARG_TIMESTAMPTZ(ulid_at_argument::at));
  if (milliseconds != dated_ulids.milliseconds) dated_ulids.started = false;
  advance(dated_ulids, milliseconds, ulid_random, fill_random);
  return ulid_datum(as_ulid(dated_ulids));
}

KANTHORQ_FUNCTION(kanthorq_ulid_floor) {
  const std::uint64_t milliseconds =
      require_id_milliseconds(PG_GETARG_TIMESTAMPTZ(ulid_floor_argument::at));
  return ulid_datum({milliseconds << 16, 0});
}

KANTHORQ_FUNCTION(kanthorq_uuidv7) { return uuid_datum(next_uuidv7()); }

KANTHORQ_FUNCTION(kanthorq_id_time) {
  const std::uint64_t milliseconds =
      require_event_id(text_argument(fcinfo, id_time_argument::id), {"id"});
  PG_RETURN_TIMESTAMPTZ(timestamp_of(milliseconds));
}
