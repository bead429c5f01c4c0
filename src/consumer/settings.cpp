#include "consumer/settings.hpp"

namespace kanthorq {

int pull_max_bytes;
bool durable_pull;

void define_consumer_settings() {
  DefineCustomIntVariable(
      "kanthorq.pull_max_bytes",
      "how many bytes of bodies and metadata a pull brings at most if it is called without "
      "max_bytes; an event that is larger comes alone",
      nullptr, &pull_max_bytes, 64 * 1024 * 1024, 1, INT_MAX, PGC_USERSET, GUC_UNIT_BYTE, nullptr,
      nullptr, nullptr);
  DefineCustomBoolVariable(
      "kanthorq.durable_pull",
      "whether a transaction that writes nothing but pulls waits for the disk at its commit; if it "
      "does not, a crash of the server may forget that events were pulled, and they come again",
      nullptr, &durable_pull, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

}  // namespace kanthorq
