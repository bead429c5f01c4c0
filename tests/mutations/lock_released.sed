# A publisher gives up its lock on the stream before its transaction ends.
# file: src/insert.cpp
# red: crash/005_steps.pl isolation
s/^      insert_by_executor\(open\.relation, batch\);$/&\n    UnlockRelationOid(RelationGetRelid(open.relation), RowExclusiveLock);/
