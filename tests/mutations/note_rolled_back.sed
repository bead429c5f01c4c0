# A note that a savepoint has taken back counts as one.
# file: src/stream/partitions.cpp
# red: stress
s/^      for_partition_rows\(table, SnapshotSelf, stream,/      for_partition_rows(table, SnapshotAny, stream,/
