# The open writers are asked for before the ceiling is read; the pause makes the moment long enough to meet.
# file: src/consumer/delivery.cpp
# red: crash/005_steps.pl stress
s/^  pull\.ceiling = last_position\(pull\.stream\);$/  pull.writers = open_writers(pull.stream);/
t
/^  require_position_not_set_back\(pull\);$/d
s/^  pull\.writers = open_writers\(pull\.stream\);$/  pg_usleep(2000);\
  pull.ceiling = last_position(pull.stream);\
  require_position_not_set_back(pull);/
