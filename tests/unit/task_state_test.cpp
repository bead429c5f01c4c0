// Owns the rules of core/task_state.hpp: the states' names, and what leads from one to another.
#include "core/task_state.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <ostream>
#include <string>

namespace kanthorq {

void PrintTo(TaskState state, std::ostream* out) { *out << name_of(state); }

namespace {

using namespace std::string_view_literals;

constexpr struct {
  TaskState state;
  std::string_view name;
  bool due;
  bool cancels;
  bool resumes;
} states[] = {
    {TaskState::available, "available", true, true, false},
    {TaskState::running, "running", false, true, false},
    {TaskState::completed, "completed", false, false, false},
    {TaskState::retryable, "retryable", true, true, false},
    {TaskState::discarded, "discarded", false, false, true},
    {TaskState::cancelled, "cancelled", false, false, true},
};

TEST(TaskState, EachHasItsName) {
  EXPECT_EQ(std::size(task_state_names), std::size(states));
  for (const auto& c : states) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(name_of(c.state), c.name);
    for (const auto& before : states) {
      TaskState parsed = before.state;
      EXPECT_TRUE(parse_task_state(c.name, parsed));
      EXPECT_EQ(parsed, c.state);
    }
  }
}

TEST(TaskState, OtherNamesAreRefusedAndNothingIsSet) {
  for (std::string_view name : {
           ""sv,
           " "sv,
           "Available"sv,
           "RUNNING"sv,
           "available "sv,
           " available"sv,
           "availabl"sv,
           "availablee"sv,
           "available\0"sv,
           "\0available"sv,
           "canceled"sv,
           "pending"sv,
           "failed"sv,
           "0"sv,
           "2"sv,
       }) {
    SCOPED_TRACE(std::string(name));
    for (const auto& before : states) {
      TaskState parsed = before.state;
      EXPECT_FALSE(parse_task_state(name, parsed));
      EXPECT_EQ(parsed, before.state);
    }
  }
}

TEST(TaskState, AFailureLeadsToAnotherAttemptOrToTheEnd) {
  constexpr int most = std::numeric_limits<int>::max();
  constexpr struct {
    int made;
    int max;
    TaskState state;
  } cases[] = {
      {1, 1, TaskState::discarded},         {2, 1, TaskState::discarded},
      {1, 2, TaskState::retryable},         {2, 2, TaskState::discarded},
      {3, 2, TaskState::discarded},         {1, 3, TaskState::retryable},
      {2, 3, TaskState::retryable},         {3, 3, TaskState::discarded},
      {15, 16, TaskState::retryable},       {16, 16, TaskState::discarded},
      {17, 16, TaskState::discarded},       {32766, 32767, TaskState::retryable},
      {32767, 32767, TaskState::discarded}, {most - 1, most, TaskState::retryable},
      {most, most, TaskState::discarded},   {most, 1, TaskState::discarded},
  };
  for (const auto& c : cases)
    EXPECT_EQ(after_failure(c.made, c.max), c.state) << c.made << " of " << c.max;
}

// An event that every worker refuses.
TEST(TaskState, ThereAreExactlyAsManyAttemptsAsAllowed) {
  for (int max = 1; max <= 100; max++) {
    int made = 1;
    while (after_failure(made, max) == TaskState::retryable) {
      made++;
      ASSERT_LE(made, max);
    }
    EXPECT_EQ(made, max);
    EXPECT_EQ(after_failure(made, max), TaskState::discarded);
  }
}

// attempt_max may be lowered while tasks wait.
TEST(TaskState, MoreAttemptsThanAllowedAreTheEndToo) {
  for (int max = 1; max <= 20; max++)
    for (int made = max; made <= 40; made++)
      EXPECT_EQ(after_failure(made, max), TaskState::discarded) << made << " of " << max;
}

TEST(TaskState, WhichAreDueAndWhichCanBeCancelledOrResumed) {
  for (const auto& c : states) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(is_due_state(c.state), c.due);
    EXPECT_EQ(can_cancel(c.state), c.cancels);
    EXPECT_EQ(can_resume(c.state), c.resumes);
  }
}

TEST(TaskState, IsKnownAtCompileTime) {
  static_assert(name_of(TaskState::cancelled) == "cancelled");
  static_assert(after_failure(1, 1) == TaskState::discarded);
  static_assert(is_due_state(after_failure(1, 2)));
  static_assert(can_resume(after_failure(2, 2)));
}

}  // namespace
}  // namespace kanthorq
