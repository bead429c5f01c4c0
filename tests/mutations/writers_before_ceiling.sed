# The open writers are asked for before the ceiling is read; the pause makes the moment long enough to meet.
# file: src/delivery.cpp
# red: stress
s/^  pull\.ceiling = last_position\(pull\.stream\.position_sequence\);$/  pull.writers = open_writers(pull.stream.relation);\n  pg_usleep(2000);\n&/
/^  pull\.writers = open_writers\(pull\.stream\.relation\);$/d
