# A publisher gives up its lock on the stream before its transaction ends.
# file: src/insert.cpp
# red: isolation stress
s/^      insert_by_executor\(open\.relation, batch\);$/&\n    UnlockRelationOid(RelationGetRelid(open.relation), RowExclusiveLock);/
