#include "stream/partitioning.hpp"

#include "core/name.hpp"
#include "server/fault.hpp"
#include "server/time.hpp"
#include "stream/definition.hpp"
#include "stream/partitions.hpp"

namespace kanthorq {

namespace {

constexpr int64 hour_ms = int64{60} * 60 * 1000;
constexpr int64 day_ms = 24 * hour_ms;
constexpr const char* default_mark = "default";

[[noreturn]] void raise_interval(Datum interval) {
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid partition_interval"),
           errdetail("The interval is %s; it must be whole hours, days or weeks, at most 36500 "
                     "days.",
                     DatumGetCString(DirectFunctionCall1(interval_out, interval))),
           errhint("Months and years are not equally long; use '30 days', say.")));
}

// An interval in milliseconds. Raises 22023 unless it is whole hours.
int64 milliseconds_of(Datum value) {
  constexpr int64 longest = 100 * 365 * day_ms;
  constexpr int64 hour_us = hour_ms * 1000;
  const Interval* interval = DatumGetIntervalP(value);
  if (interval->month != 0 || interval->time % hour_us != 0) raise_interval(value);
  const int64 ms = interval->day * day_ms + interval->time / 1000;
  if (ms < hour_ms || ms > longest) raise_interval(value);
  return ms;
}

char* default_partition_interval;

}  // namespace

int64 partition_interval_argument(FunctionCallInfo fcinfo, int argument) {
  if (!PG_ARGISNULL(argument)) return milliseconds_of(PG_GETARG_DATUM(argument));
  if (!*default_partition_interval) return 0;
  return milliseconds_of(DirectFunctionCall3(interval_in,
                                             CStringGetDatum(default_partition_interval),
                                             ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

void define_partition_settings() {
  DefineCustomStringVariable(
      "kanthorq.default_partition_interval",
      "the partition_interval of kanthorq_stream_create() if it is null, such as '1 day'; empty: "
      "streams are not partitioned unless the argument says so",
      nullptr, &default_partition_interval, "", PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

int64 partition_start(const StreamSettings& settings, int64 at) {
  return at - at % settings.partition_ms;
}

// The day, or with shorter intervals the hour.
const char* partition_mark(const StreamSettings& settings, int64 start) {
  struct pg_tm time {};
  fsec_t fraction = 0;
  const TimestampTz at = timestamp_of(static_cast<std::uint64_t>(start));
  if (timestamp2tm(at, nullptr, &time, &fraction, nullptr, nullptr) != 0)
    elog(ERROR, "timestamp out of range");
  if (settings.partition_ms % day_ms == 0)
    return psprintf("%04d%02d%02d", time.tm_year, time.tm_mon, time.tm_mday);
  return psprintf("%04d%02d%02d%02d", time.tm_year, time.tm_mon, time.tm_mday, time.tm_hour);
}

const char* partition_lower(const StreamSettings& settings, int64 start) {
  return id_floor(settings.id_form, static_cast<std::uint64_t>(start));
}

const char* partition_upper(const StreamSettings& settings, int64 start) {
  return id_floor(settings.id_form, static_cast<std::uint64_t>(start + settings.partition_ms));
}

static Oid add_partition(Oid schema, std::string_view name, Oid stream, const char* mark,
                         const char* lower, const char* upper) {
  create_partition(schema, name, mark);
  const Oid partition = attach_partition(schema, name, mark, lower, upper);
  add_open_partition(schema, stream, partition);
  return partition;
}

Oid add_range_partition(Oid schema, std::string_view name, Oid stream,
                        const StreamSettings& settings, int64 start) {
  return add_partition(schema, name, stream, partition_mark(settings, start),
                       partition_lower(settings, start), partition_upper(settings, start));
}

// One that was detached by hand may still be there, and keeps its name.
static const char* free_default_mark(Oid schema, std::string_view name) {
  const char* mark = default_mark;
  for (int number = 2;; number++) {
    const TableName table = part_name(stream_table_prefix, name, mark);
    if (!OidIsValid(get_relname_relid(table.c_str(), schema))) return mark;
    mark = psprintf("%s%d", default_mark, number);
    CHECK_FOR_INTERRUPTS();
  }
}

Oid add_default_partition(Oid schema, std::string_view name, Oid stream) {
  return add_partition(schema, name, stream, free_default_mark(schema, name), nullptr, nullptr);
}

}  // namespace kanthorq
