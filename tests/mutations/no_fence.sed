# Whoever names any number settles whatever lease is open.
# file: src/consumer/lease.cpp
# red: isolation
s/^    if \(number_in\(table, row\) == number\) slot = heap_copytuple\(row\);$/    if (number_in(table, row) != free_slot) slot = heap_copytuple(row);/
s/^  const bool is_still_there = row && number_in\(table, row\) == number;$/  const bool is_still_there = row \&\& number_in(table, row) != free_slot;/
