# The snapshot is taken before the open writers are asked for; the pause makes the moment long enough to meet.
# file: src/consumer/delivery.cpp
# red: crash/005_steps.pl stress
s/^  pull\.writers = open_writers\(pull\.stream\);$/  pull.snapshot = RegisterSnapshot(GetLatestSnapshot());/
t
s/^  pull\.snapshot = RegisterSnapshot\(GetLatestSnapshot\(\)\);$/  pg_usleep(2000);\
  pull.writers = open_writers(pull.stream);/
