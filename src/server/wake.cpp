// The shared memory is a fixed set of buckets, each a condition variable. Two streams whose hashes
// share a bucket wake each other's waiters. That costs them a look and does no harm. Nothing
// depends on being woken: a waiter looks again every second (waiting.hpp), because a COMMIT
// PREPARED runs no callback of ours.
//
// A commit wakes in its transaction callback. By then it is visible to everybody and no longer in
// the list of running transactions, so a pull does not count it among the writers. It still holds
// its locks. If nobody waits, it costs one spinlock a stream.

#include "server/wake.hpp"

#include "core/name.hpp"
#include "server/test_point.hpp"

namespace kanthorq {

namespace {

constexpr std::size_t buckets = 1024;

struct Wakes {
  ConditionVariableMinimallyPadded buckets[kanthorq::buckets];
};

// The name changes with the layout: after an upgrade the old library may still be in memory.
constexpr const char* memory_name = "KanthorQ wakes 1";

Wakes* wakes;  // null until this process has attached it

shmem_request_hook_type previous_request_hook;
shmem_startup_hook_type previous_startup_hook;

void initialize(void* memory) {
  for (auto& bucket : static_cast<Wakes*>(memory)->buckets) ConditionVariableInit(&bucket.cv);
}

void request_memory() {
  if (previous_request_hook) previous_request_hook();
  RequestAddinShmemSpace(sizeof(Wakes));
}

void attach_preloaded() {
  if (previous_startup_hook) previous_startup_hook();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found = false;
  void* memory = ShmemInitStruct(memory_name, sizeof(Wakes), &found);
  if (!found) initialize(memory);
  wakes = static_cast<Wakes*>(memory);
  LWLockRelease(AddinShmemInitLock);
}

// False if there is no shared memory.
bool attach() {
  if (!wakes) wakes = static_cast<Wakes*>(named_memory(memory_name, sizeof(Wakes), initialize));
  return wakes != nullptr;
}

std::size_t bucket_of(std::string_view stream) {
  return (stable_hash(stream) ^ hash_bytes_uint32(MyDatabaseId)) % buckets;
}

// The buckets that the commit of this transaction wakes, a bit for each.
struct BucketsToWake {
  bool any;
  std::uint64_t bits[buckets / 64];
};
BucketsToWake to_wake;

void wake_buckets() {
  KANTHORQ_TEST_POINT("commit_done");
  for (std::size_t word = 0; word < lengthof(to_wake.bits); word++)
    for (std::uint64_t bits = to_wake.bits[word]; bits != 0; bits &= bits - 1) {
      const std::size_t bit = static_cast<std::size_t>(std::countr_zero(bits));
      ConditionVariableBroadcast(&wakes->buckets[64 * word + bit].cv);
    }
  KANTHORQ_TEST_POINT("commit_woken");
}

void at_end_of_transaction(XactEvent event, void*) {
  const bool ended =
      event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE;
  if (!ended || !to_wake.any) return;
  if (event == XACT_EVENT_COMMIT) wake_buckets();
  to_wake = {};
}

void follow_transactions() {
  static bool is_following;
  if (is_following) return;
  RegisterXactCallback(at_end_of_transaction, nullptr);
  is_following = true;
}

}  // namespace

void reserve_wake_memory() {
  if (!process_shared_preload_libraries_in_progress) return;
  previous_request_hook = shmem_request_hook;
  shmem_request_hook = request_memory;
  previous_startup_hook = shmem_startup_hook;
  shmem_startup_hook = attach_preloaded;
}

void wake_at_commit(std::string_view stream) {
  if (!attach()) return;
  follow_transactions();
  const std::size_t bucket = bucket_of(stream);
  to_wake.any = true;
  to_wake.bits[bucket / 64] |= std::uint64_t{1} << (bucket % 64);
}

ConditionVariable* wake_variable(std::string_view stream) {
  return attach() ? &wakes->buckets[bucket_of(stream)].cv : nullptr;
}

}  // namespace kanthorq
