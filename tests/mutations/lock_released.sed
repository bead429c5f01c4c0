# A publisher gives up its lock on the stream before its transaction ends.
# file: src/insert.cpp
# red: crash/005_steps.pl isolation
/^      insert_by_executor\(open\.relation, batch\);$/a\
    const ResourceOwner caller = CurrentResourceOwner;\
    UnlockRelationOid(RelationGetRelid(open.relation), RowExclusiveLock);\
    CurrentResourceOwner = CurTransactionResourceOwner;\
    UnlockRelationOid(RelationGetRelid(open.relation), RowExclusiveLock);\
    CurrentResourceOwner = caller;
