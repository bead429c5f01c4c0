// Array arguments, one-dimensional.
#pragma once

#include "server/fault.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"

namespace kanthorq {

struct Elements {
  const char* argument;
  bool given;  // if not, the argument is null, and so is every element
  int count;
  int first_subscript;
  Datum* values;
  bool* nulls;

  bool is_null(int i) const { return !given || nulls[i]; }

  NullableDatum optional(int i) const {
    return is_null(i) ? NullableDatum{0, true} : NullableDatum{values[i], false};
  }

  // Subscripts need not start at 1.
  ValueSource source(int i) const { return {argument, first_subscript + i, true}; }

  // Raises 22004 for a null element.
  Datum required(int i) const {
    if (is_null(i)) raise_null(source(i));
    return values[i];
  }
};

// The elements of an array argument, which may be null. Raises 22023 if it has several dimensions.
inline Elements optional_elements(FunctionCallInfo fcinfo, int argument, const char* name,
                                  Oid type) {
  Elements elements{name, false, 0, 1, nullptr, nullptr};
  if (PG_ARGISNULL(argument)) return elements;
  ArrayType* array = PG_GETARG_ARRAYTYPE_P(argument);
  if (ARR_NDIM(array) > 1)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("array \"%s\" must have one dimension", name),
                    errdetail("It has %d.", ARR_NDIM(array))));
  int16 length;
  bool by_value;
  char alignment;
  get_typlenbyvalalign(type, &length, &by_value, &alignment);
  deconstruct_array(array, type, length, by_value, alignment, &elements.values, &elements.nulls,
                    &elements.count);
  elements.given = true;
  if (elements.count > 0) elements.first_subscript = ARR_LBOUND(array)[0];
  return elements;
}

// The same, but raises 22004 if the argument is null.
inline Elements required_elements(FunctionCallInfo fcinfo, int argument, const char* name,
                                  Oid type) {
  require_argument(fcinfo, argument, name);
  return optional_elements(fcinfo, argument, name, type);
}

}  // namespace kanthorq
