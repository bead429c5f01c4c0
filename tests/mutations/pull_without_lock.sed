# Pulls of a consumer don't wait for each other.
# file: src/consumer_table.cpp
# red: isolation
/^  LockDatabaseObject\(own_table\(consumer\.schema/,/^ +RelationGetRelid\(consumer\.table\), 0, AccessExclusiveLock\);$/d
/^  UnlockDatabaseObject\(own_table\(consumer\.schema/,/^ +RelationGetRelid\(consumer\.table\), 0, AccessExclusiveLock\);$/d
