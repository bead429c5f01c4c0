# A publisher gives up its lock on the stream before its transaction ends.
# file: src/publish/publish_events.cpp
# red: crash/005_steps.pl isolation
/^    if \(!insert_directly\(open, stream, batch\)\) insert_by_executor\(open\.table, batch\);$/a\
    const ResourceOwner caller = CurrentResourceOwner;\
    UnlockRelationOid(RelationGetRelid(open.table), RowExclusiveLock);\
    CurrentResourceOwner = CurTransactionResourceOwner;\
    UnlockRelationOid(RelationGetRelid(open.table), RowExclusiveLock);\
    CurrentResourceOwner = caller;
