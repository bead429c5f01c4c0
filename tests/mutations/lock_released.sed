# A publisher gives up its lock on the stream before its transaction ends.
# file: src/publish/insert.cpp
# red: crash/005_steps.pl isolation
/^      insert_by_executor\(open\.table, batch\);$/a\
    const ResourceOwner caller = CurrentResourceOwner;\
    UnlockRelationOid(RelationGetRelid(open.table), RowExclusiveLock);\
    CurrentResourceOwner = CurTransactionResourceOwner;\
    UnlockRelationOid(RelationGetRelid(open.table), RowExclusiveLock);\
    CurrentResourceOwner = caller;
