// What a system call and a page fault cost on this machine: machines whose processors look alike
// differ in these by more than in anything else.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "modes.hpp"

namespace bench {

namespace {

// The least of several rounds, in nanoseconds a step.
template <class Round>
double least(long steps, Round round) {
  double best = 1e9;
  for (int i = 0; i < 20; i++) {
    const Clock::time_point start = Clock::now();
    round();
    best = std::min(best, seconds_since(start) * 1e9 / static_cast<double>(steps));
  }
  return best;
}

}  // namespace

void machine(const Options&) {
  constexpr long calls = 20'000, pages = 5'000, page = 4096;
  std::printf("call %.0f\n", least(calls, [] {
                for (long i = 0; i < calls; i++) syscall(SYS_getppid);
              }));
  std::printf("fault %.0f\n", least(pages, [] {
                void* memory = mmap(nullptr, pages * page, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                if (memory == MAP_FAILED) throw std::runtime_error("no memory");
                madvise(memory, pages * page, MADV_NOHUGEPAGE);
                for (long i = 0; i < pages; i++) static_cast<volatile char*>(memory)[i * page] = 1;
                munmap(memory, pages * page);
              }));
}

}  // namespace bench
