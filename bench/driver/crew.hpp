// Threads that work at the same time until they are told to stop or one of them fails.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace bench {

class Crew {
 public:
  std::atomic<bool> stop = false;

  ~Crew() { join(); }

  // Runs it in a thread of its own. If it throws, all are told to stop.
  void start(std::function<void()> work) {
    threads_.emplace_back([this, work] {
      try {
        work();
      } catch (const std::exception& error) {
        const std::lock_guard lock(guard_);
        if (error_.empty()) error_ = error.what();
        stop = true;
      }
    });
  }

  // Waits for all of them. Throws what the first one threw that failed.
  void finish() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    if (!error_.empty()) throw std::runtime_error(error_);
  }

 private:
  void join() {
    stop = true;
    for (std::thread& thread : threads_) thread.join();
  }
  std::vector<std::thread> threads_;
  std::mutex guard_;
  std::string error_;
};

}  // namespace bench
