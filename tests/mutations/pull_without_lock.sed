# Pulls of a consumer don't wait for each other.
# file: src/consumer/open_consumer.cpp
# red: isolation
/^  (un)?lock_object\(own_table_oid\(consumer\.schema, .*RelationGetRelid\(consumer\.table\),$/,/^ +0, AccessExclusiveLock\);$/d
