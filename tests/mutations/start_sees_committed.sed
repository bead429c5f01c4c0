# A consumer that starts at a time starts after events of that time that are not committed yet.
# file: src/consumer/start_at.cpp
# red: isolation
s/^    InitDirtySnapshot\(stored_\);$/    stored_ = *GetLatestSnapshot();/
