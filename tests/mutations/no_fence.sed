# Whoever names any number settles whatever lease is open.
# file: src/consumer/lease.cpp
# red: isolation
s/^    return lease != free_slot && number_in\(table, candidate\) == lease;$/    return lease != free_slot \&\& number_in(table, candidate) != free_slot;/
s/^  if \(row && number_in\(table, row\) == lease\) locked/  if (row \&\& number_in(table, row) != free_slot) locked/
