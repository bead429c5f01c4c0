/*
 * What memcheck doesn't know of a server that was built without valgrind's header; preloaded by
 * scripts/valgrind, it wraps functions of the server's program.
 *
 * - What palloc returns was not written yet, also if it was used before and freed. Without that,
 *   only what a memory context gets from malloc is unwritten, once.
 * - A byte that nobody wrote is reported where it enters a page or a record of the write-ahead log,
 *   with the stack that brought it there. Without that, it is reported when files are written: at a
 *   commit, among the padding of the server's own records, or never, because pages are written by other
 *   processes, for which all of shared memory is defined. The three functions here are the way of all
 *   tuples into pages and of all data into records. What heap_multi_insert logs of its tuples, it
 *   copies from what it adds to pages.
 */
#include <stddef.h>
#include <valgrind/memcheck.h>

/* NONE: the server's program, which isn't a library with a name. */
void *I_WRAP_SONAME_FNNAME_ZU(NONE, palloc)(size_t size) {
  OrigFn original;
  void *result;
  VALGRIND_GET_ORIG_FN(original);
  CALL_FN_W_W(result, original, size);
  (void)VALGRIND_MAKE_MEM_UNDEFINED(result, size);
  return result;
}

void *I_WRAP_SONAME_FNNAME_ZU(NONE, MemoryContextAlloc)(void *context, size_t size) {
  OrigFn original;
  void *result;
  VALGRIND_GET_ORIG_FN(original);
  CALL_FN_W_WW(result, original, context, size);
  (void)VALGRIND_MAKE_MEM_UNDEFINED(result, size);
  return result;
}

void I_WRAP_SONAME_FNNAME_ZU(NONE, XLogRegisterData)(const void *data, size_t length) {
  OrigFn original;
  VALGRIND_GET_ORIG_FN(original);
  (void)VALGRIND_CHECK_MEM_IS_DEFINED(data, (unsigned)length);
  CALL_FN_v_WW(original, data, length);
}

void I_WRAP_SONAME_FNNAME_ZU(NONE, XLogRegisterBufData)(size_t block, const void *data, size_t length) {
  OrigFn original;
  VALGRIND_GET_ORIG_FN(original);
  (void)VALGRIND_CHECK_MEM_IS_DEFINED(data, (unsigned)length);
  CALL_FN_v_WWW(original, block, data, length);
}

size_t I_WRAP_SONAME_FNNAME_ZU(NONE, PageAddItemExtended)(void *page, const void *item, size_t size,
                                                          size_t offset, size_t flags) {
  OrigFn original;
  size_t result;
  VALGRIND_GET_ORIG_FN(original);
  (void)VALGRIND_CHECK_MEM_IS_DEFINED(item, size);
  CALL_FN_W_5W(result, original, page, item, size, offset, flags);
  return result;
}
