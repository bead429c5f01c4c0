# The snapshot is taken before the open writers are asked for; the pause makes the moment long enough to meet.
# file: src/delivery.cpp
# red: stress
s/^  pull\.ceiling = last_position\(pull\.stream\.position_sequence\);$/&\n  pull.snapshot = RegisterSnapshot(GetLatestSnapshot());\n  pg_usleep(2000);/
/^  pull\.snapshot = RegisterSnapshot\(GetLatestSnapshot\(\)\);$/d
