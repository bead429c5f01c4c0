# The trigger of stream tables neither locks the table for the transaction nor gives it an id.
# file: src/stream/txid.cpp
# red: isolation stress
/^  (if \(OidIsValid\(stream\)\) )?become_writer\((stream|table)\);$/d
/^  const Oid (table|stream) = (RelationGetRelid\(trigger->tg_relation\)|stream_of_partition\(table\));$/d
