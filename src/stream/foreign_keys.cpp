// The server puts triggers of its own on each table that a foreign key references, partitions
// included.
#include "stream/foreign_keys.hpp"

namespace kanthorq {

bool is_referenced(Relation table) {
  const TriggerDesc* triggers = table->trigdesc;
  for (int i = 0; triggers && i < triggers->numtriggers; i++)
    if (RI_FKey_trigger_type(triggers->triggers[i].tgfoid) == RI_TRIGGER_PK) return true;
  return false;
}

}  // namespace kanthorq
