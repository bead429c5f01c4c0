# The partitions are listed as the statement sees them, and the events as a newer snapshot does.
# file: src/stream/partition_list.cpp
# red: stress
s/^  read_list\(stream, snapshot, from\);$/  read_list(stream, ActiveSnapshotSet() ? GetActiveSnapshot() : snapshot, from);/
