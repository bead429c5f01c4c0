// What a caller says that a consumer is: the arguments of kanthorq_consumer_create() and
// kanthorq_consumer_alter(), checked, as the values of a row of kanthorq_consumer_registry.
#pragma once

#include "consumer/definition.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"

namespace kanthorq {

class ConsumerSettings {
 public:
  void set(ConsumerColumn column, Datum value) { values_[column - 1] = {value, true}; }

  bool has(ConsumerColumn column) const { return values_[column - 1].is_set; }
  Datum value(ConsumerColumn column) const { return values_[column - 1].value; }

  // The values of a row of the registry, for inserting or updating it.
  RowValues row_values(Relation registry) const;

 private:
  struct Setting {
    Datum value;
    bool is_set;
  };
  Setting values_[consumer_columns]{};
};

// All settings of a new consumer. Raises 22004 for a null, and 22023 for a filter, attempt_max,
// visibility_timeout or metadata_contains that is not valid.
ConsumerSettings settings_to_create(FunctionCallInfo fcinfo, std::string_view name,
                                    std::string_view stream);

// The settings that are to change: those whose argument is not null. Raises 22023 as above.
ConsumerSettings settings_to_alter(FunctionCallInfo fcinfo);

// Raises 42710 unless the consumer with this row has the same stream and settings.
void require_same_settings(Relation registry, HeapTuple row, const ConsumerSettings& wanted);

// The arguments of the two functions, by number.
namespace consumer_create_argument {
enum : int {
  name,
  stream,
  includes,
  excludes,
  attempt_max,
  visibility_timeout,
  start_at,
  ordered,
  metadata_contains
};
}
namespace consumer_alter_argument {
enum : int {
  name,
  includes,
  excludes,
  attempt_max,
  visibility_timeout,
  ordered,
  metadata_contains
};
}

}  // namespace kanthorq
