#include "consumer/settings.hpp"

namespace kanthorq {

int pull_max_bytes;

void define_consumer_settings() {
  DefineCustomIntVariable(
      "kanthorq.pull_max_bytes",
      "how many bytes of bodies and metadata a pull brings at most if it is called without "
      "max_bytes; an event that is larger comes alone",
      nullptr, &pull_max_bytes, 64 * 1024 * 1024, 1, INT_MAX, PGC_USERSET, GUC_UNIT_BYTE, nullptr,
      nullptr, nullptr);
}

}  // namespace kanthorq
