# The open writers are asked for before the ceiling is read; the pause makes the moment long enough to meet.
# file: src/delivery.cpp
# red: crash/005_steps.pl stress
s/^  pull\.ceiling = last_position\(pull\.stream\.position_sequence\);$/  pull.writers = open_writers(pull.stream.relation);/
t
/^  require_position_not_set_back\(pull\);$/d
s/^  pull\.writers = open_writers\(pull\.stream\.relation\);$/  pg_usleep(2000);\
  pull.ceiling = last_position(pull.stream.position_sequence);\
  require_position_not_set_back(pull);/
