# Whatever a transaction writes, its commit does not wait if it has pulled before it wrote.
# file: src/consumer/pull_commit.cpp
# red: t/009_durable_pull.pl
s/^    is_waiting = !has_id\(\) \|\| with_pulls_only != pgWalUsage\.wal_records;$/    is_waiting = !has_id() || !with_pulls_only;/
