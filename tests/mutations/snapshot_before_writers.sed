# The snapshot is taken before the open writers are asked for; the pause makes the moment long enough to meet.
# file: src/consumer/delivery.cpp
# red: crash/005_steps.pl stress
s/^  pull\.writers = open_writers\(pull\.stream\);$/  Snapshot early = RegisterSnapshot(GetLatestSnapshot());\
  pg_usleep(2000);\
  pull.writers = open_writers(pull.stream);/
s/^    pull\.snapshot = newest;$/    pull.snapshot = newest ? early : newest;/
s/^  if \(pull\.delivered\(\) == 0\) return;$/  UnregisterSnapshot(early);\
  if (pull.delivered() == 0) return;/
