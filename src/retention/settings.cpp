#include "retention/settings.hpp"

namespace kanthorq {

int maintain_lock_timeout;
int max_partitions;
int max_moved_rows;

void define_retention_settings() {
  DefineCustomIntVariable(
      "kanthorq.maintain_lock_timeout",
      "how long kanthorq_maintain() waits for a lock; it tries again when it is called again",
      nullptr, &maintain_lock_timeout, 100, 1, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr,
      nullptr);
  DefineCustomIntVariable("kanthorq.max_partitions",
                          "how many partitions a stream may have, besides the default one; "
                          "kanthorq_maintain() makes no more of them",
                          nullptr, &max_partitions, 400, 1, 100'000, PGC_USERSET, 0, nullptr,
                          nullptr, nullptr);
  DefineCustomIntVariable(
      "kanthorq.max_moved_rows",
      "how many rows kanthorq_maintain() moves at most out of the default partition into a new "
      "one; publishers into these two wait meanwhile",
      nullptr, &max_moved_rows, 50'000, 0, INT_MAX - 1, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

}  // namespace kanthorq
