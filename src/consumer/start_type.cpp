// kanthorq_start: the type of the argument start_at.
//
// A value is a text, stored as one. What it may say is checked where it is used (start_at.cpp). The
// type is there for its casts: a call can give a text, a string without a type or a time, and there
// is one function to be called, so that no call is ambiguous.
#include "server/datum.hpp"
#include "server/pg.hpp"

namespace kanthorq {

namespace {

// As the server writes it in UTC with DateStyle ISO, whatever the settings of the session are.
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
    parts.tm_isdst = 0;  // known, else no time zone is written
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

KANTHORQ_FUNCTION(kanthorq_start_of_timestamptz) { return text_of_time(PG_GETARG_TIMESTAMPTZ(0)); }

// In the session's time zone, as where the server itself takes one for a timestamptz.
KANTHORQ_FUNCTION(kanthorq_start_of_timestamp) {
  return text_of_time(
      DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, PG_GETARG_DATUM(0))));
}

KANTHORQ_FUNCTION(kanthorq_start_of_date) {
  return text_of_time(
      DatumGetTimestampTz(DirectFunctionCall1(date_timestamptz, PG_GETARG_DATUM(0))));
}
