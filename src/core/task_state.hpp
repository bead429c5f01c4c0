// The state of an event for a consumer, and what changes it.
//
// An event that was not delivered yet is available. One in a live lease is running. One that was
// acknowledged is completed. These need no row. A row of kanthorq_consumer_<name> holds the rest.
#pragma once

#include <cstddef>
#include <iterator>
#include <string_view>

namespace kanthorq {

enum class TaskState { available, running, completed, retryable, discarded, cancelled };

inline constexpr std::string_view task_state_names[] = {"available", "running",   "completed",
                                                        "retryable", "discarded", "cancelled"};

constexpr std::string_view name_of(TaskState state) noexcept {
  return task_state_names[static_cast<std::size_t>(state)];
}

constexpr bool parse_task_state(std::string_view name, TaskState& state) noexcept {
  for (std::size_t i = 0; i < std::size(task_state_names); i++)
    if (task_state_names[i] == name) {
      state = static_cast<TaskState>(i);
      return true;
    }
  return false;
}

// The state after an attempt that failed, because it was refused or its lease ran out. So attempts
// made never exceed `attempt_max`.
constexpr TaskState after_failure(int attempts_made, int attempt_max) noexcept {
  return attempts_made >= attempt_max ? TaskState::discarded : TaskState::retryable;
}

// A row in one of these states is delivered when its time comes.
constexpr bool is_due_state(TaskState state) noexcept {
  return state == TaskState::available || state == TaskState::retryable;
}

constexpr bool can_cancel(TaskState state) noexcept {
  return state == TaskState::available || state == TaskState::running ||
         state == TaskState::retryable;
}

constexpr bool can_resume(TaskState state) noexcept {
  return state == TaskState::discarded || state == TaskState::cancelled;
}

}  // namespace kanthorq
