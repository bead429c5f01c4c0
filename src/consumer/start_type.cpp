// kanthorq_start: the type of the argument start_at.
//
// A value is a text and stored as one. start_at.cpp checks what it says. The type exists for its
// casts: a caller can give a text, a string without a type or a time, and all of them call the same
// function, so no call is ambiguous.
#include "server/datum.hpp"
#include "server/pg.hpp"

namespace kanthorq {

namespace {

// Of the three functions with this name.
namespace start_of_argument {
enum : int { at };
}

// The time in UTC in DateStyle ISO, whatever the settings of the session are.
Datum text_of_time(TimestampTz at) {
  char characters[MAXDATELEN + 1];
  if (TIMESTAMP_NOT_FINITE(at)) {
    EncodeSpecialTimestamp(at, characters);
  } else {
    pg_tm parts;
    fsec_t fraction;
    if (timestamp2tm(at, nullptr, &parts, &fraction, nullptr, nullptr) != 0)
      ereport(ERROR,
              (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
    parts.tm_isdst = 0;  // if this is unknown (-1), no time zone is written
    EncodeDateTime(&parts, fraction, true, 0, nullptr, USE_ISO_DATES, characters);
  }
  return text_datum(characters);
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_start_in) { return textin(fcinfo); }

KANTHORQ_FUNCTION(kanthorq_start_out) { return textout(fcinfo); }

KANTHORQ_FUNCTION(kanthorq_start_receive) { return textrecv(fcinfo); }

KANTHORQ_FUNCTION(kanthorq_start_send) { return textsend(fcinfo); }

KANTHORQ_FUNCTION(kanthorq_start_of_timestamptz) {
  return text_of_time(PG_GETARG_TIMESTAMPTZ(start_of_argument::at));
}

// In the session's time zone, as the server itself makes a timestamptz of one.
KANTHORQ_FUNCTION(kanthorq_start_of_timestamp) {
  return text_of_time(DatumGetTimestampTz(
      DirectFunctionCall1(timestamp_timestamptz, PG_GETARG_DATUM(start_of_argument::at))));
}

KANTHORQ_FUNCTION(kanthorq_start_of_date) {
  return text_of_time(DatumGetTimestampTz(
      DirectFunctionCall1(date_timestamptz, PG_GETARG_DATUM(start_of_argument::at))));
}
