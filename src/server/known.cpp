#include "server/known.hpp"

namespace kanthorq {

// All kinds, in a list.
static KnowledgeBase* all;

static void forget(Datum, Oid relation) {
  for (KnowledgeBase* kind = all; kind; kind = kind->next_) kind->forget_(kind, relation);
}

void KnowledgeBase::follow_changes() {
  if (!all) CacheRegisterRelcacheCallback(forget, Datum{0});
  next_ = all;
  all = this;
}

}  // namespace kanthorq
