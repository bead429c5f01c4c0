#include "admin/consumer_settings.hpp"

#include "server/array.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/time.hpp"

namespace kanthorq {

namespace {

constexpr int most_attempts = 32767;

enum class MayBeEmpty { no, yes };

// An array of valid filters, as it is stored.
Datum require_filters(FunctionCallInfo fcinfo, int argument, const char* name,
                      MayBeEmpty may_be_empty) {
  const Elements filters = required_elements(fcinfo, argument, name, TEXTOID);
  for (int i = 0; i < filters.count; i++)
    require_filter(view_of(DatumGetTextPP(filters.required(i))));
  if (filters.count == 0 && may_be_empty == MayBeEmpty::no)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("array \"%s\" must not be empty", name),
                    errdetail("A consumer without a filter would get nothing."),
                    errhint("Use {>} for all subjects.")));
  return PointerGetDatum(
      construct_array(filters.values, filters.count, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum require_attempts(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "attempt_max");
  const int attempts = PG_GETARG_INT32(argument);
  if (attempts < 1 || attempts > most_attempts)
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid attempt_max %d", attempts),
             errdetail("It is 1 to %d.", most_attempts)));
  return Int16GetDatum(static_cast<int16>(attempts));
}

Datum require_visibility(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "visibility_timeout");
  return Int64GetDatum(duration_argument(fcinfo, argument, "visibility_timeout", 1));
}

}  // namespace

ConsumerSettings settings_to_create(FunctionCallInfo fcinfo, std::string_view name,
                                    std::string_view stream) {
  namespace given = consumer_create_argument;
  const Datum now = Int64GetDatum(now_ms());
  ConsumerSettings settings;
  settings.set(consumer_name_column, text_datum(name));
  settings.set(consumer_stream_column, text_datum(stream));
  settings.set(consumer_includes_column,
               require_filters(fcinfo, given::includes, "includes", MayBeEmpty::no));
  settings.set(consumer_excludes_column,
               require_filters(fcinfo, given::excludes, "excludes", MayBeEmpty::yes));
  settings.set(consumer_attempt_max_column, require_attempts(fcinfo, given::attempt_max));
  settings.set(consumer_visibility_column, require_visibility(fcinfo, given::visibility_timeout));
  require_argument(fcinfo, given::ordered, "ordered");
  settings.set(consumer_ordered_column, PG_GETARG_DATUM(given::ordered));
  settings.set(consumer_metadata_column,
               require_object(fcinfo, given::metadata_contains, "metadata_contains"));
  settings.set(consumer_created_at_column, now);
  settings.set(consumer_updated_at_column, now);
  return settings;
}

ConsumerSettings settings_to_alter(FunctionCallInfo fcinfo) {
  namespace given = consumer_alter_argument;
  ConsumerSettings settings;
  if (!PG_ARGISNULL(given::includes))
    settings.set(consumer_includes_column,
                 require_filters(fcinfo, given::includes, "includes", MayBeEmpty::no));
  if (!PG_ARGISNULL(given::excludes))
    settings.set(consumer_excludes_column,
                 require_filters(fcinfo, given::excludes, "excludes", MayBeEmpty::yes));
  if (!PG_ARGISNULL(given::attempt_max))
    settings.set(consumer_attempt_max_column, require_attempts(fcinfo, given::attempt_max));
  if (!PG_ARGISNULL(given::visibility_timeout))
    settings.set(consumer_visibility_column, require_visibility(fcinfo, given::visibility_timeout));
  if (!PG_ARGISNULL(given::ordered))
    settings.set(consumer_ordered_column, PG_GETARG_DATUM(given::ordered));
  if (!PG_ARGISNULL(given::metadata_contains))
    settings.set(consumer_metadata_column,
                 require_object(fcinfo, given::metadata_contains, "metadata_contains"));
  settings.set(consumer_updated_at_column, Int64GetDatum(now_ms()));
  return settings;
}

RowValues ConsumerSettings::row_values(Relation registry) const {
  RowValues values(registry);
  for (AttrNumber column = 1; column <= consumer_columns; column++)
    if (values_[column - 1].is_set) values.set(column, values_[column - 1].value);
  return values;
}

void require_same_settings(Relation registry, HeapTuple row, const ConsumerSettings& wanted) {
  for (int column = consumer_stream_column; column < consumer_created_at_column; column++) {
    const auto number = static_cast<ConsumerColumn>(column);
    Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(registry), column - 1);
    if (datum_image_eq(wanted.value(number), row_value(registry, row, number), attribute->attbyval,
                       attribute->attlen))
      continue;
    const text* name = DatumGetTextPP(wanted.value(consumer_name_column));
    ereport(ERROR,
            (errcode(ERRCODE_DUPLICATE_OBJECT),
             errmsg("consumer \"%s\" exists with another definition", clipped(view_of(name))),
             errdetail("Its stream, filters, attempt_max, visibility_timeout, ordered or "
                       "metadata_contains differ."),
             errhint("Change it with kanthorq_consumer_alter(), or choose another name.")));
  }
}

}  // namespace kanthorq
