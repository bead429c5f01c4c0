# A consumer that starts at an event looks for it in what its statement sees, not in what is committed after the wait.
# file: src/consumer/start_at.cpp
# red: isolation
s/^  Snapshot newest = RegisterSnapshot\(GetLatestSnapshot\(\)\);$/  Snapshot newest = RegisterSnapshot(GetActiveSnapshot());/
