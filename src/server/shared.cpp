#include "server/shared.hpp"

#include "core/name.hpp"

namespace kanthorq {

namespace {

// The name changes with the layout: after an upgrade the old library may still be in memory.
constexpr const char* memory_name = "KanthorQ waiting 2";

Shared* shared;  // null until this process has attached it

shmem_request_hook_type previous_request_hook;
shmem_startup_hook_type previous_startup_hook;

void initialize_line(Line& line) {
  SpinLockInit(&line.mutex);
  line.database = InvalidOid;
  line.consumer = InvalidOid;
  line.sessions = 0;
  line.bucket = 0;
  ConditionVariableInit(&line.wakes);
  for (pg_atomic_uint32* number :
       {&line.woken_by, &line.promised, &line.pause_ms, &line.timekeeper})
    pg_atomic_init_u32(number, 0);
  pg_atomic_init_u64(&line.looked_at, 0);
}

void initialize(void* memory) {
  auto* fresh = static_cast<Shared*>(memory);
  for (Bucket& bucket : fresh->buckets) {
    ConditionVariableInit(&bucket.alone);
    for (pg_atomic_uint64& bits : bucket.has_line) pg_atomic_init_u64(&bits, 0);
  }
  for (Line& line : fresh->lines) initialize_line(line);
}

void request_memory() {
  if (previous_request_hook) previous_request_hook();
  RequestAddinShmemSpace(sizeof(Shared));
}

void attach_preloaded() {
  if (previous_startup_hook) previous_startup_hook();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found = false;
  void* memory = ShmemInitStruct(memory_name, sizeof(Shared), &found);
  if (!found) initialize(memory);
  shared = static_cast<Shared*>(memory);
  LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void reserve_shared_memory() {
  if (!process_shared_preload_libraries_in_progress) return;
  previous_request_hook = shmem_request_hook;
  shmem_request_hook = request_memory;
  previous_startup_hook = shmem_startup_hook;
  shmem_startup_hook = attach_preloaded;
}

Shared* shared_memory() {
  if (!shared) shared = static_cast<Shared*>(named_memory(memory_name, sizeof(Shared), initialize));
  return shared;
}

// The server's function waits for the latch before it sees that it was signalled. If the caller has
// waited for a lock meanwhile, that may have reset the latch.
bool sleep_on(ConditionVariable* variable, int64 ms) {
  SetLatch(MyLatch);
  return !ConditionVariableTimedSleep(variable, ms, wait_event());
}

void signal_last(ConditionVariable* variable) {
  PGPROC* last = nullptr;
  SpinLockAcquire(&variable->mutex);
  if (!proclist_is_empty(&variable->wakeup)) {
    last = GetPGProcByNumber(variable->wakeup.tail);
    proclist_delete(&variable->wakeup, variable->wakeup.tail, cvWaitLink);
  }
  SpinLockRelease(&variable->mutex);
  if (last) SetLatch(&last->procLatch);
}

std::size_t bucket_of(std::string_view stream) {
  return (stable_hash(stream) ^ hash_bytes_uint32(MyDatabaseId)) % bucket_count;
}

}  // namespace kanthorq
