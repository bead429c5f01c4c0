# The trigger of stream tables neither locks the table for the transaction nor gives it an id.
# file: src/stream/txid.cpp
# red: isolation stress
/^  become_writer\(OidIsValid\(stream\) \? stream : table\);$/d
