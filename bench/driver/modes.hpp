// The driver's commands; main.cpp says what each does.
#pragma once

#include "session.hpp"

namespace bench {

void batch(const Options& options);
void calls(const Options& options);
void drain(const Options& options);
void held(const Options& options);
void herd(const Options& options);
void machine(const Options& options);
void memory(const Options& options);
void waiting(const Options& options);
void wake(const Options& options);
void window(const Options& options);

}  // namespace bench
