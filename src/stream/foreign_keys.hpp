// Foreign keys that reference a stream.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Does a foreign key of another table reference the stream's table, or this partition of it?
bool is_referenced(Relation table);

}  // namespace kanthorq
