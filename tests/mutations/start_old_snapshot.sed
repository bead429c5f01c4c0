# Where a consumer starts is decided by what its statement sees, not by what is committed after the wait.
# file: src/start_at.cpp
# red: isolation
s/^  Snapshot newest = RegisterSnapshot\(GetLatestSnapshot\(\)\);$/  Snapshot newest = RegisterSnapshot(GetActiveSnapshot());/
