# A lease that was given on while its worker waited for the lock is settled all the same.
# file: src/consumer/lease.cpp
# red: isolation
s/^  if \(row && number_in\(table, row\) == lease\) locked = lease_table::read\(table, row\);$/  if (row) locked = lease_table::read(table, row);/
