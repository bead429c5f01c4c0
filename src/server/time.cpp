#include "server/time.hpp"

namespace kanthorq {

int64 duration_argument(FunctionCallInfo fcinfo, int argument, const char* name, int64 least) {
  constexpr int64 longest = int64{100} * 365 * 24 * 60 * 60 * 1000;
  const Interval* interval = PG_GETARG_INTERVAL_P(argument);
  const double days = 30.0 * interval->month + interval->day;
  const double ms = days * 24 * 60 * 60 * 1000 + static_cast<double>(interval->time) / 1000;
  if (ms < static_cast<double>(least) || ms > static_cast<double>(longest))
    ereport(
        ERROR,
        (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
         errmsg("invalid interval for argument \"%s\"", name),
         errdetail("The interval is %s; it must be at least %lld ms and at most 100 years.",
                   DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(argument))),
                   static_cast<long long>(least))));
  return static_cast<int64>(ms);
}

}  // namespace kanthorq
