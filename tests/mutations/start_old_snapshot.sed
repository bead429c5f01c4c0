# A consumer that starts at an event looks for it in what its statement sees, not in what is committed after the wait.
# file: src/consumer/start_at.cpp
# red: isolation
s/^      with_newest_snapshot\(\[&\]\(Snapshot newest\) \{ return start_after\(stream, newest, at, last\); \}\);$/      with_newest_snapshot([\&](Snapshot) { return start_after(stream, GetActiveSnapshot(), at, last); });/
