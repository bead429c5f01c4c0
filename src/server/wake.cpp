// The shared memory is a fixed set of buckets, each a condition variable. Streams share one by
// chance of their hash, which costs a look and does no harm. Nothing depends on being woken: who
// waits looks again every second (wait.hpp), because a COMMIT PREPARED runs no callback of ours.
//
// A commit wakes in its transaction callback: by then it is visible to everybody and out of the
// list of running transactions, so that a pull no longer counts it among the writers, and nothing
// but its locks is still held. With nobody waiting it costs one spinlock a stream.

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

Wakes* wakes;  // once attached

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

bool attached() {
  if (!wakes) wakes = static_cast<Wakes*>(named_memory(memory_name, sizeof(Wakes), initialize));
  return wakes != nullptr;
}

std::size_t bucket_of(std::string_view stream) {
  return (stable_hash(stream) ^ hash_bytes_uint32(MyDatabaseId)) % buckets;
}

// The buckets that this transaction will wake.
struct Noted {
  bool any;
  std::uint64_t bits[buckets / 64];
};
Noted noted;

void wake_noted() {
  KANTHORQ_TEST_POINT("commit_done");
  for (std::size_t word = 0; word < lengthof(noted.bits); word++)
    for (std::uint64_t bits = noted.bits[word]; bits != 0; bits &= bits - 1) {
      const std::size_t bit = static_cast<std::size_t>(std::countr_zero(bits));
      ConditionVariableBroadcast(&wakes->buckets[64 * word + bit].cv);
    }
  KANTHORQ_TEST_POINT("commit_woken");
}

void at_end_of_transaction(XactEvent event, void*) {
  const bool ended =
      event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE;
  if (!ended || !noted.any) return;
  if (event == XACT_EVENT_COMMIT) wake_noted();
  noted = {};
}

void follow_transactions() {
  static bool followed;
  if (followed) return;
  RegisterXactCallback(at_end_of_transaction, nullptr);
  followed = true;
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
  if (!attached()) return;
  follow_transactions();
  const std::size_t bucket = bucket_of(stream);
  noted.any = true;
  noted.bits[bucket / 64] |= std::uint64_t{1} << (bucket % 64);
}

ConditionVariable* wake_variable(std::string_view stream) {
  return attached() ? &wakes->buckets[bucket_of(stream)].cv : nullptr;
}

}  // namespace kanthorq
