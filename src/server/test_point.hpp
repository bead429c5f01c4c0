// Points at which a test ends or stops the server's process or raises an error, such as between a
// row and its index entries.
//
// Only a library that was built with "make KANTHORQ_TEST_POINTS=1" has them, for tests/crash. In
// any other the word stands for nothing, and tests/lint/symbols proves that nothing is left of
// them.
//
// The setting kanthorq.test_point says where, and only superusers may change it: "name" for the
// first time that this process passes the point since, "name:3" for the third. What happens there:
//   name:3        it is killed (SIGKILL)
//   name:3:stop   it is stopped (SIGSTOP), until somebody sends it SIGCONT
//   name:3:error  it raises an error; after a commit, that would be a PANIC
#pragma once

#include "server/pg.hpp"

#ifdef KANTHORQ_TEST_POINTS

namespace kanthorq {

inline char* test_point;       // the setting
inline int test_point_passed;  // how often, since it was set

inline void define_test_point() {
  DefineCustomStringVariable(
      "kanthorq.test_point", "Where to end or stop this process or to raise an error.", nullptr,
      &test_point, "", PGC_SUSET, 0, nullptr, [](const char*, void*) { test_point_passed = 0; },
      nullptr);
}

inline void pass_test_point(std::string_view point) {
  const std::string_view wanted(test_point);
  if (!wanted.starts_with(point)) return;
  const char* number = test_point + point.size();
  if (*number != '\0' && *number != ':') return;
  if (++test_point_passed != (*number ? atoi(number + 1) : 1)) return;
  if (wanted.ends_with(":error"))
    ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR),
            errmsg("an error at test point \"%s\"", test_point));
  kill(MyProcPid, wanted.ends_with(":stop") ? SIGSTOP : SIGKILL);
}

}  // namespace kanthorq

#define KANTHORQ_TEST_POINT(name) ::kanthorq::pass_test_point(name)
#define KANTHORQ_DEFINE_TEST_POINT() ::kanthorq::define_test_point()

#else

#define KANTHORQ_TEST_POINT(name) static_cast<void>(0)
#define KANTHORQ_DEFINE_TEST_POINT() static_cast<void>(0)

#endif
