# A lease that was given on while its worker waited for the lock is settled all the same.
# file: src/consumer/lease.cpp
# red: isolation
s/^  const bool is_still_there = row && number_in\(table, row\) == number;$/  const bool is_still_there = row != nullptr;/
