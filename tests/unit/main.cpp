// Runs the tests and prints what came of them as TAP, which prove reads, in place of GoogleTest's
// own words. GoogleTest's arguments work as ever: core_tests --gtest_filter='Subject*'.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <sstream>
#include <string>

namespace kanthorq {
namespace {

class Tap : public testing::EmptyTestEventListener {
 public:
  void OnTestIterationStart(const testing::UnitTest& unit, int) override {
    number_ = 0;
    std::printf("1..%d\n", unit.test_to_run_count());
    std::fflush(stdout);  // so that a crash leaves a plan that was not kept
  }

  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (part.skipped()) skipped_ = part.message();
    if (!part.failed()) return;
    const char* file = part.file_name() ? part.file_name() : "unknown file";
    std::istringstream message(std::string(file) + ":" + std::to_string(part.line_number()) + "\n" +
                               part.message());
    for (std::string line; std::getline(message, line);) reasons_ += "#   " + line + "\n";
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    std::printf("%s %d - %s.%s", test.result()->Failed() ? "not ok" : "ok", ++number_,
                test.test_suite_name(), test.name());
    if (test.result()->Skipped()) std::printf(" # SKIP %s", skipped_.c_str());
    std::printf("\n%s", reasons_.c_str());
    std::fflush(stdout);
    reasons_.clear();
  }

 private:
  int number_ = 0;
  std::string reasons_;
  std::string skipped_;
};

}  // namespace
}  // namespace kanthorq

int main(int count, char** words) {
  testing::InitGoogleTest(&count, words);
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(std::make_unique<kanthorq::Tap>().release());
  return RUN_ALL_TESTS();
}
