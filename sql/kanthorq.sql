-- KanthorQ: the SQL interface, in reading order, each object followed by its comment.
--
-- CREATE EXTENSION runs this with the search_path set to the extension's schema, then pg_temp, and
-- with pg_catalog in front of both. So types and functions of the server can't be hidden by other
-- objects, new objects land in the extension's schema, and names of ours resolve to what was made
-- here. The schema's name is never spelled, which lets it be any name at all.

\echo Use "CREATE EXTENSION kanthorq" to load this file. \quit

-- Validators

CREATE FUNCTION kanthorq_is_name(name text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_is_name(text) IS
'is this a valid name of a stream or consumer: letters, digits and single inner underscores, 1 to 128 characters';

CREATE FUNCTION kanthorq_is_subject(subject text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_is_subject(text) IS
'is this a valid subject: tokens of letters, digits and hyphens, each with a letter or digit, separated by dots; 1 to 128 characters';

CREATE FUNCTION kanthorq_is_subject_filter(filter text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_is_subject_filter(text) IS
'is this a valid filter: a subject in which a token may be * (exactly one token) and the last may be > (one or more)';

CREATE FUNCTION kanthorq_subject_matches(subject text, filter text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_subject_matches(text, text) IS
'does the subject match the filter, by the rules of NATS; false if either is invalid';

CREATE FUNCTION kanthorq_is_ulid(id text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_is_ulid(text) IS
'is this a ULID: 26 characters of Crockford base 32 in any case, at most 7ZZZZZZZZZZZZZZZZZZZZZZZZZ';

CREATE FUNCTION kanthorq_is_uuidv7(id text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_is_uuidv7(text) IS
'is this a UUID of version 7 and variant 10 (RFC 9562), in any case';

CREATE FUNCTION kanthorq_is_event_id(id text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_is_event_id(text) IS
'is this a valid event id: a ULID in upper case, a UUIDv7 in lower case or <prefix>_<ulid> in lower case, at most 64 characters';

-- Ids

CREATE FUNCTION kanthorq_ulid() RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION kanthorq_ulid() IS
'a new ULID, strictly increasing within the session, also when the clock steps back';

CREATE FUNCTION kanthorq_ulid(at timestamptz) RETURNS text
    AS 'MODULE_PATHNAME', 'kanthorq_ulid_at' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION kanthorq_ulid(timestamptz) IS
'a new ULID that carries this time, for backfilling; consecutive calls for the same millisecond increase';

CREATE FUNCTION kanthorq_ulid_floor(at timestamptz) RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_ulid_floor(timestamptz) IS
'the smallest ULID of that millisecond, for the bound of a time range';

CREATE FUNCTION kanthorq_uuidv7() RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION kanthorq_uuidv7() IS
'a new UUIDv7, strictly increasing within the session, also when the clock steps back';

CREATE FUNCTION kanthorq_id_time(id text) RETURNS timestamptz
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_id_time(text) IS
'the time inside an event id, to the millisecond; an error if this is not an event id';

-- Streams

CREATE TABLE kanthorq_stream_registry (
    name varchar(128) COLLATE "C" NOT NULL,
    created_at bigint NOT NULL
        DEFAULT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) OPERATOR(pg_catalog.*) 1000,
    updated_at bigint NOT NULL
        DEFAULT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) OPERATOR(pg_catalog.*) 1000,
    -- "kanthorq_stream_registry_pkey" would be the table of the stream "registry_pkey".
    CONSTRAINT kanthorq_registered_streams_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE kanthorq_stream_registry IS
'the streams; written by kanthorq_stream_create() and kanthorq_stream_drop() only';
COMMENT ON COLUMN kanthorq_stream_registry.name IS 'the name of the stream, its case kept';
COMMENT ON COLUMN kanthorq_stream_registry.created_at IS
'when the stream was created or adopted, in milliseconds since the epoch';
COMMENT ON COLUMN kanthorq_stream_registry.updated_at IS
'when kanthorq_stream_create() was last called for the stream, in milliseconds since the epoch';
SELECT pg_catalog.pg_extension_config_dump('kanthorq_stream_registry', '');
GRANT SELECT ON kanthorq_stream_registry TO PUBLIC;

CREATE TABLE kanthorq_registered_table (
    kind text COLLATE "C" NOT NULL,
    name varchar(128) COLLATE "C" NOT NULL,
    relation regclass NOT NULL,
    owner name NOT NULL,
    PRIMARY KEY (kind, name)
);
COMMENT ON TABLE kanthorq_registered_table IS
'the table of each stream and consumer, and the role to which its name belongs; no other table is used under that name; written by KanthorQ only';
COMMENT ON COLUMN kanthorq_registered_table.kind IS 'stream or consumer';
COMMENT ON COLUMN kanthorq_registered_table.name IS 'the name of the stream or consumer';
COMMENT ON COLUMN kanthorq_registered_table.relation IS 'its table, whatever the table is called now';
COMMENT ON COLUMN kanthorq_registered_table.owner IS
'the role that created it, which may free the name if the table was dropped by hand';
-- Not the rows of tables that were dropped by hand: a dump has their numbers, and in the database that it is
-- restored to, another table may have them, or get them.
SELECT pg_catalog.pg_extension_config_dump('kanthorq_registered_table',
    'WHERE relation OPERATOR(pg_catalog.=) ANY (SELECT oid FROM pg_catalog.pg_class)');

-- "kanthorq_stream_setting" would be the table of the stream "setting".
CREATE TABLE kanthorq_setting_of_stream (
    name varchar(128) COLLATE "C" NOT NULL PRIMARY KEY,
    partition_ms bigint,
    id_form text COLLATE "C" NOT NULL,
    keep_ms bigint,
    on_lag text COLLATE "C" NOT NULL
);
COMMENT ON TABLE kanthorq_setting_of_stream IS
'how each stream was created, and how long its events are kept; written by KanthorQ only';
COMMENT ON COLUMN kanthorq_setting_of_stream.name IS 'the name of the stream';
COMMENT ON COLUMN kanthorq_setting_of_stream.partition_ms IS
'how many milliseconds of ids a partition holds; null: the stream is not partitioned';
COMMENT ON COLUMN kanthorq_setting_of_stream.id_form IS
'the form of the ids that are made for the stream and of the bounds of its partitions: ulid, uuidv7 or a prefix';
COMMENT ON COLUMN kanthorq_setting_of_stream.keep_ms IS
'how many milliseconds events are kept; null: for ever';
COMMENT ON COLUMN kanthorq_setting_of_stream.on_lag IS
'block: events that a consumer has not finished are kept; skip: they are removed, and counted for the consumer';
SELECT pg_catalog.pg_extension_config_dump('kanthorq_setting_of_stream', '');
GRANT SELECT ON kanthorq_setting_of_stream TO PUBLIC;

CREATE TABLE kanthorq_partition (
    stream regclass NOT NULL,
    partition regclass NOT NULL,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL
);
COMMENT ON TABLE kanthorq_partition IS
'which positions the partitions of each stream hold; written by KanthorQ only';
COMMENT ON COLUMN kanthorq_partition.stream IS 'the table of the stream';
COMMENT ON COLUMN kanthorq_partition.partition IS
'the partition; it has more than one row if events came to it after it was closed';
COMMENT ON COLUMN kanthorq_partition.first_position IS
'the first position in a closed partition, greater than the last one if it is empty; 0 if it is open; -1 if it is to be dropped';
COMMENT ON COLUMN kanthorq_partition.last_position IS
'the last position in a closed partition; 9223372036854775807 if it is open, so that events may still come to it; -1 if it is to be dropped';
-- Not unique: a partition that was reopened has further rows.
CREATE INDEX kanthorq_partition_stream_last_position_idx ON kanthorq_partition (stream, last_position);
-- Not the rows of tables that were dropped by hand, as below.
SELECT pg_catalog.pg_extension_config_dump('kanthorq_partition',
    'WHERE partition OPERATOR(pg_catalog.=) ANY (SELECT oid FROM pg_catalog.pg_class)
       AND stream OPERATOR(pg_catalog.=) ANY (SELECT oid FROM pg_catalog.pg_class)');
GRANT SELECT ON kanthorq_partition TO PUBLIC;

CREATE FUNCTION kanthorq_stream_create(name text, subject_index boolean DEFAULT true,
                                       partition_interval interval DEFAULT NULL,
                                       id_form text DEFAULT 'ulid')
    RETURNS kanthorq_stream_registry
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_create(text, boolean, interval, text) IS
'creates the stream and its table, or returns the stream if it exists; adopts an unregistered table of that name that has the shape of a stream''s table; subject_index: the table also gets an index on (subject, id); partition_interval: the table is partitioned by the time in the ids, in whole hours, days or weeks; id_form: the form of the ids that are made for it: ulid, uuidv7, or a prefix such as order for ids like order_01jd0000000000000000000001';

CREATE FUNCTION kanthorq_stream_table(name text) RETURNS regclass
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_stream_table(text) IS
'the table of the stream; an error if there is no such stream';

CREATE FUNCTION kanthorq_stream_drop(name text, confirm text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_drop(text, text) IS
'drops the stream with its table, all its events and its consumers; confirm repeats the name; false if there is no such stream';

CREATE FUNCTION kanthorq_stream_trim(name text, before_id text, confirm text,
                                     force boolean DEFAULT false)
    RETURNS bigint
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_trim(text, text, text, boolean) IS
'removes the events whose id sorts before before_id and returns how many; confirm repeats the name; refused while a consumer has not finished one of them, unless force is true; discarded and cancelled count as finished';

CREATE PROCEDURE kanthorq_trim(name text, before_id text, confirm text,
                               force boolean DEFAULT false, batch_size integer DEFAULT 10000)
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE kanthorq_trim(text, text, text, boolean, integer) IS
'as kanthorq_stream_trim(), in batches of batch_size (1 to 1,000,000) events with a commit after each; drops whole partitions if they are closed; says once a second how far it is; what it has removed stays removed if it is stopped or refused; call it on its own (otherwise 25001)';

CREATE FUNCTION kanthorq_stream_retention(name text, keep interval, on_lag text DEFAULT 'block')
    RETURNS void
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_retention(text, interval, text) IS
'how long events are kept, by the time in their ids; kanthorq_maintain() removes older ones; keep null: for ever; on_lag: block keeps events that a consumer has not finished, skip removes them and counts them for the consumer';

-- Events

CREATE TYPE kanthorq_event AS (
    id text,
    subject text,
    body bytea,
    metadata jsonb,
    created_at bigint
);
COMMENT ON TYPE kanthorq_event IS 'an event, as the functions that read streams return it';

CREATE FUNCTION kanthorq_publish(stream text, subject text, body bytea, metadata jsonb DEFAULT '{}',
                                 id text DEFAULT NULL, created_at bigint DEFAULT NULL,
                                 on_duplicate text DEFAULT 'error')
    RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_publish(text, text, bytea, jsonb, text, bigint, text) IS
'adds an event to the stream and returns its id; id null: a new one of the stream''s id_form; created_at (milliseconds since the epoch) null: the time inside the id; on_duplicate: error, or skip to leave the stored event as it is';

CREATE FUNCTION kanthorq_publish_text(stream text, subject text, body text,
                                      metadata jsonb DEFAULT '{}', id text DEFAULT NULL,
                                      created_at bigint DEFAULT NULL,
                                      on_duplicate text DEFAULT 'error')
    RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_publish_text(text, text, text, jsonb, text, bigint, text) IS
'as kanthorq_publish(); the body is the UTF-8 bytes of the text';

CREATE FUNCTION kanthorq_publish_json(stream text, subject text, body jsonb,
                                      metadata jsonb DEFAULT '{}', id text DEFAULT NULL,
                                      created_at bigint DEFAULT NULL,
                                      on_duplicate text DEFAULT 'error')
    RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_publish_json(text, text, jsonb, jsonb, text, bigint, text) IS
'as kanthorq_publish(); the body is the text of the JSON document, in UTF-8';

CREATE FUNCTION kanthorq_publish_many(stream text, subjects text[], bodies bytea[],
                                      metadata jsonb[] DEFAULT NULL, ids text[] DEFAULT NULL,
                                      created_at bigint[] DEFAULT NULL,
                                      on_duplicate text DEFAULT 'error')
    RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_publish_many(text, text[], bytea[], jsonb[], text[], bigint[], text) IS
'adds up to 1,000,000 events, one for each element of the arrays, all or none, and returns their ids in order; if an optional array or an element of it is null, the default is taken; subjects and bodies both null: no events';

CREATE FUNCTION kanthorq_publish_many_text(stream text, subjects text[], bodies text[],
                                           metadata jsonb[] DEFAULT NULL, ids text[] DEFAULT NULL,
                                           created_at bigint[] DEFAULT NULL,
                                           on_duplicate text DEFAULT 'error')
    RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_publish_many_text(text, text[], text[], jsonb[], text[], bigint[], text) IS
'as kanthorq_publish_many(); the bodies are the UTF-8 bytes of the texts';

CREATE FUNCTION kanthorq_publish_many_json(stream text, subjects text[], bodies jsonb[],
                                           metadata jsonb[] DEFAULT NULL, ids text[] DEFAULT NULL,
                                           created_at bigint[] DEFAULT NULL,
                                           on_duplicate text DEFAULT 'error')
    RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_publish_many_json(text, text[], jsonb[], jsonb[], text[], bigint[], text) IS
'as kanthorq_publish_many(); the bodies are the texts of the JSON documents, in UTF-8';

CREATE FUNCTION kanthorq_event_get(stream text, id text) RETURNS SETOF kanthorq_event
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION kanthorq_event_get(text, text) IS 'the event with this id; no row if there is none';

CREATE FUNCTION kanthorq_events(stream text, filter text DEFAULT '>', after_id text DEFAULT NULL,
                                since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
                                size integer DEFAULT 100, metadata_contains jsonb DEFAULT '{}')
    RETURNS SETOF kanthorq_event
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION kanthorq_events(text, text, text, timestamptz, timestamptz, integer, jsonb) IS
'a page of 1 to 10,000 events by id, after after_id; since (included) and until (excluded) limit the times inside the ids, in whole milliseconds';

CREATE FUNCTION kanthorq_events_by_subject(stream text, filter text DEFAULT '>',
                                           after_subject text DEFAULT NULL,
                                           after_id text DEFAULT NULL, size integer DEFAULT 100)
    RETURNS SETOF kanthorq_event
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION kanthorq_events_by_subject(text, text, text, text, integer) IS
'a page of 1 to 10,000 events by (subject, id), after (after_subject, after_id), or after all of after_subject if after_id is null';

CREATE FUNCTION kanthorq_event_remove(stream text, ids text[]) RETURNS bigint
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_event_remove(text, text[]) IS
'removes the events with these ids and returns how many there were, even if consumers still want them; ids null or empty: none';

-- Consumers

CREATE TABLE kanthorq_consumer_registry (
    name varchar(128) COLLATE "C" NOT NULL,
    stream_name varchar(128) COLLATE "C" NOT NULL,
    includes text[] NOT NULL,
    excludes text[] NOT NULL,
    metadata_contains jsonb NOT NULL,
    attempt_max smallint NOT NULL,
    visibility_timeout bigint NOT NULL,
    ordered boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    -- "kanthorq_consumer_registry_pkey" would be the table of the consumer "registry_pkey".
    CONSTRAINT kanthorq_registered_consumers_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE kanthorq_consumer_registry IS
'the consumers and their settings; written by kanthorq_consumer_create(), kanthorq_consumer_alter() and kanthorq_consumer_drop() only';
COMMENT ON COLUMN kanthorq_consumer_registry.name IS 'the name of the consumer, its case kept';
COMMENT ON COLUMN kanthorq_consumer_registry.stream_name IS 'the stream it consumes';
COMMENT ON COLUMN kanthorq_consumer_registry.includes IS
'subject filters: an event is for the consumer if one of these matches its subject';
COMMENT ON COLUMN kanthorq_consumer_registry.excludes IS
'subject filters: an event is not for the consumer if one of these matches its subject';
COMMENT ON COLUMN kanthorq_consumer_registry.metadata_contains IS
'an event is for the consumer only if its metadata contains this object';
COMMENT ON COLUMN kanthorq_consumer_registry.attempt_max IS
'how often an event is delivered before it is discarded';
COMMENT ON COLUMN kanthorq_consumer_registry.visibility_timeout IS
'how long a lease lasts unless a pull names another time, in milliseconds';
COMMENT ON COLUMN kanthorq_consumer_registry.ordered IS
'whether new events wait for open publishers, so that they come in strict position order';
COMMENT ON COLUMN kanthorq_consumer_registry.created_at IS
'when the consumer was created, in milliseconds since the epoch';
COMMENT ON COLUMN kanthorq_consumer_registry.updated_at IS
'when it was last altered, in milliseconds since the epoch';
SELECT pg_catalog.pg_extension_config_dump('kanthorq_consumer_registry', '');
GRANT SELECT ON kanthorq_consumer_registry TO PUBLIC;

-- Both tables change with every batch and never in an indexed column, so room is left on their pages
-- and every update is HOT.

CREATE TABLE kanthorq_delivery_state (
    consumer varchar(128) COLLATE "C" NOT NULL,
    cursor bigint NOT NULL,
    ceiling bigint NOT NULL,
    late bigint[] NOT NULL,
    last_lease bigint NOT NULL,
    skipped bigint NOT NULL,
    PRIMARY KEY (consumer)
) WITH (fillfactor = 20);
COMMENT ON TABLE kanthorq_delivery_state IS
'how far each consumer has come in its stream; written by KanthorQ only';
COMMENT ON COLUMN kanthorq_delivery_state.consumer IS 'the name of the consumer';
COMMENT ON COLUMN kanthorq_delivery_state.cursor IS 'the position up to which it has looked';
COMMENT ON COLUMN kanthorq_delivery_state.ceiling IS
'the last position that had been handed out when it last looked, or was set to its start';
COMMENT ON COLUMN kanthorq_delivery_state.late IS
'transactions that were publishing when the cursor passed them, three numbers each: txid, the position after which and the one up to which their events are still owed';
COMMENT ON COLUMN kanthorq_delivery_state.last_lease IS 'the number of its last lease';
COMMENT ON COLUMN kanthorq_delivery_state.skipped IS
'how many events left the stream before the consumer had finished them, because the stream skips what a consumer that lags has not finished';
SELECT pg_catalog.pg_extension_config_dump('kanthorq_delivery_state', '');

CREATE TABLE kanthorq_delivery_lease (
    consumer varchar(128) COLLATE "C" NOT NULL,
    slot integer NOT NULL,
    lease bigint NOT NULL,
    deadline bigint NOT NULL,
    fresh bytea NOT NULL,
    again bytea NOT NULL,
    PRIMARY KEY (consumer, slot)
) WITH (fillfactor = 20);
COMMENT ON TABLE kanthorq_delivery_lease IS
'the open leases, in slots that are used again; written by KanthorQ only';
COMMENT ON COLUMN kanthorq_delivery_lease.consumer IS 'the name of the consumer';
COMMENT ON COLUMN kanthorq_delivery_lease.slot IS 'the number of the slot';
COMMENT ON COLUMN kanthorq_delivery_lease.lease IS 'the number of the lease, 0 in a free slot';
COMMENT ON COLUMN kanthorq_delivery_lease.deadline IS
'when the lease runs out, in milliseconds since the epoch';
COMMENT ON COLUMN kanthorq_delivery_lease.fresh IS
'the positions in it that were delivered for the first time, as runs';
COMMENT ON COLUMN kanthorq_delivery_lease.again IS
'the positions in it that were delivered before and have a task row, as runs';
SELECT pg_catalog.pg_extension_config_dump('kanthorq_delivery_lease', '');

CREATE TABLE kanthorq_retention_block (
    stream varchar(128) COLLATE "C" NOT NULL,
    consumer varchar(128) COLLATE "C" NOT NULL,
    since bigint NOT NULL,
    seen bigint NOT NULL,
    partitions bigint NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (stream, consumer)
);
COMMENT ON TABLE kanthorq_retention_block IS
'the consumers that keep events longer than their stream keeps them; not in dumps; written by kanthorq_maintain() only';
COMMENT ON COLUMN kanthorq_retention_block.stream IS 'the name of the stream';
COMMENT ON COLUMN kanthorq_retention_block.consumer IS 'the name of the consumer';
COMMENT ON COLUMN kanthorq_retention_block.since IS
'when maintenance first found it so, in milliseconds since the epoch';
COMMENT ON COLUMN kanthorq_retention_block.seen IS
'when maintenance last found it so, in milliseconds since the epoch';
COMMENT ON COLUMN kanthorq_retention_block.partitions IS
'how many partitions could be dropped if the consumer had finished them';
COMMENT ON COLUMN kanthorq_retention_block.events IS
'how many events it keeps, at most: in partitions, the positions that it has not finished; in other tables, its events among the next 10,000 that could be removed';
GRANT SELECT ON kanthorq_retention_block TO PUBLIC;

-- The type of start_at. A function for each type of argument would not do: calls that leave start_at out
-- would fit all of them. So there is one function, and what may be given is cast to this type.
CREATE TYPE kanthorq_start;

CREATE FUNCTION kanthorq_start_in(value cstring) RETURNS kanthorq_start
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_start_in(cstring) IS
'not for callers: the input function of kanthorq_start, which takes any text';

CREATE FUNCTION kanthorq_start_out(value kanthorq_start) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_start_out(kanthorq_start) IS
'not for callers: the output function of kanthorq_start';

CREATE FUNCTION kanthorq_start_receive(value internal) RETURNS kanthorq_start
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_start_receive(internal) IS
'not for callers: the binary input function of kanthorq_start';

CREATE FUNCTION kanthorq_start_send(value kanthorq_start) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_start_send(kanthorq_start) IS
'not for callers: the binary output function of kanthorq_start';

CREATE TYPE kanthorq_start (
    INPUT = kanthorq_start_in,
    OUTPUT = kanthorq_start_out,
    RECEIVE = kanthorq_start_receive,
    SEND = kanthorq_start_send,
    LIKE = text
);
COMMENT ON TYPE kanthorq_start IS
'where a consumer starts: first, new, an event id or a time; text, timestamptz, timestamp and date are cast to it';

CREATE FUNCTION kanthorq_start_of(at timestamptz) RETURNS kanthorq_start
    AS 'MODULE_PATHNAME', 'kanthorq_start_of_timestamptz' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_start_of(timestamptz) IS
'not for callers: the cast of a time to kanthorq_start';

CREATE FUNCTION kanthorq_start_of(at timestamp) RETURNS kanthorq_start
    AS 'MODULE_PATHNAME', 'kanthorq_start_of_timestamp' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_start_of(timestamp) IS
'not for callers: the cast of a time to kanthorq_start, in the session''s time zone';

CREATE FUNCTION kanthorq_start_of(at date) RETURNS kanthorq_start
    AS 'MODULE_PATHNAME', 'kanthorq_start_of_date' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_start_of(date) IS
'not for callers: the cast of a day to kanthorq_start, in the session''s time zone';

CREATE CAST (text AS kanthorq_start) WITHOUT FUNCTION AS IMPLICIT;
COMMENT ON CAST (text AS kanthorq_start) IS 'first, new, an event id or a time as text';
CREATE CAST (varchar AS kanthorq_start) WITHOUT FUNCTION AS IMPLICIT;
COMMENT ON CAST (varchar AS kanthorq_start) IS 'first, new, an event id or a time as text';
CREATE CAST (timestamptz AS kanthorq_start) WITH FUNCTION kanthorq_start_of(timestamptz) AS IMPLICIT;
COMMENT ON CAST (timestamptz AS kanthorq_start) IS 'a time';
CREATE CAST (timestamp AS kanthorq_start) WITH FUNCTION kanthorq_start_of(timestamp) AS IMPLICIT;
COMMENT ON CAST (timestamp AS kanthorq_start) IS 'a time in the session''s time zone';
CREATE CAST (date AS kanthorq_start) WITH FUNCTION kanthorq_start_of(date) AS IMPLICIT;
COMMENT ON CAST (date AS kanthorq_start) IS 'the start of a day in the session''s time zone';
CREATE CAST (kanthorq_start AS text) WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (kanthorq_start AS text) IS 'the start as text';

CREATE FUNCTION kanthorq_consumer_create(name text, stream text, includes text[] DEFAULT '{>}',
                                         excludes text[] DEFAULT '{}',
                                         attempt_max integer DEFAULT 16,
                                         visibility_timeout interval DEFAULT '15 minutes',
                                         start_at kanthorq_start DEFAULT 'first',
                                         ordered boolean DEFAULT false,
                                         metadata_contains jsonb DEFAULT '{}')
    RETURNS kanthorq_consumer_registry
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_consumer_create(text, text, text[], text[], integer, interval, kanthorq_start, boolean, jsonb) IS
'creates a consumer of the stream, or returns the one that exists, if it has this definition; start_at: first, new (after every position handed out), an event id (from that event on) or a time (from the first position of an event of that time or later); start_at has no effect on a consumer that exists';

CREATE FUNCTION kanthorq_consumer_alter(name text, includes text[] DEFAULT NULL,
                                        excludes text[] DEFAULT NULL,
                                        attempt_max integer DEFAULT NULL,
                                        visibility_timeout interval DEFAULT NULL,
                                        ordered boolean DEFAULT NULL,
                                        metadata_contains jsonb DEFAULT NULL)
    RETURNS kanthorq_consumer_registry
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_consumer_alter(text, text[], text[], integer, interval, boolean, jsonb) IS
'changes the settings that are not null; new filters count for events that are delivered for the first time from now on';

CREATE FUNCTION kanthorq_consumer_table(name text) RETURNS regclass
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_consumer_table(text) IS
'the table of the consumer''s tasks; an error if there is no such consumer';

CREATE FUNCTION kanthorq_consumer_drop(name text, confirm text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_consumer_drop(text, text) IS
'drops the consumer with its leases and tasks; confirm repeats the name; false if there is no such consumer';

CREATE FUNCTION kanthorq_consumer_seek(name text, start_at kanthorq_start, confirm text)
    RETURNS bigint
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_consumer_seek(text, kanthorq_start, text) IS
'moves the consumer to first, new, an event id or a time and returns the new cursor; ends its leases and forgets its tasks, except for the cancelled ones; confirm repeats the name';

CREATE FUNCTION kanthorq_pull(consumer text, size integer DEFAULT 100, wait interval DEFAULT '0',
                              visibility_timeout interval DEFAULT NULL,
                              max_bytes bigint DEFAULT NULL)
    RETURNS TABLE (lease bigint, attempt smallint, "position" bigint, id text, subject text,
                   body bytea, metadata jsonb, created_at bigint)
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100;
COMMENT ON FUNCTION kanthorq_pull(text, integer, interval, interval, bigint) IS
'leases up to size (1 to 10,000) events: those of leases that ran out, then retries that are due, then new ones; ends before the event that would pass max_bytes of bodies and metadata (null: kanthorq.pull_max_bytes), but brings one at least; waits for the first one, at most for wait; no row does not mean that nothing is left';

-- A null list never means all: clients send null for a list that was never filled. So all that is left
-- has a form of its own, without ids, and a call that names ids as null is an error.
CREATE FUNCTION kanthorq_ack(consumer text, lease bigint) RETURNS bigint
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_ack(text, bigint) IS
'completes all events that are left in the lease and returns how many; KQ001 if the lease is no longer held';

CREATE FUNCTION kanthorq_ack(consumer text, lease bigint, ids text[]) RETURNS bigint
    AS 'MODULE_PATHNAME', 'kanthorq_ack_events' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_ack(text, bigint, text[]) IS
'completes these events of the lease and returns how many: ids that are not in it are skipped, an empty array completes nothing, a null one is an error; KQ001 if the lease is no longer held';

-- One function and not two, because error could then be the third argument as well. The server would
-- have to choose by the type of an argument that often has none, and it prefers text: an untyped
-- '{...}' of ids would be taken for an error that concerns all events. {*} is no event's id, so it can
-- say that ids was left out.
CREATE FUNCTION kanthorq_nack(consumer text, lease bigint, ids text[] DEFAULT '{*}',
                              error text DEFAULT NULL, retry_in interval DEFAULT NULL)
    RETURNS bigint
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_nack(text, bigint, text[], text, interval) IS
'refuses these events of the lease, or all that are left in it if ids is left out: they are retried after retry_in or attempt^4 seconds, or discarded after the last attempt; returns how many there were; an empty array refuses nothing, a null one is an error; KQ001 if the lease is no longer held';

CREATE FUNCTION kanthorq_extend(consumer text, lease bigint, by interval DEFAULT NULL)
    RETURNS timestamptz
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_extend(text, bigint, interval) IS
'makes the lease run out this long from now (null: the consumer''s visibility_timeout) and returns that time; KQ001 if the lease is no longer held';

CREATE FUNCTION kanthorq_cancel(consumer text, ids text[]) RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_cancel(text, text[]) IS
'takes these events away from the consumer, whether they are available, running or retryable; returns the ids whose state changed; ids null or empty: none';

CREATE FUNCTION kanthorq_resume(consumer text, ids text[]) RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_resume(text, text[]) IS
'makes cancelled and discarded events available again, if they still exist, with no attempts made; returns the ids whose state changed; ids null or empty: none';

CREATE FUNCTION kanthorq_task_state(consumer text, id text) RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_task_state(text, text) IS
'the state of the event for the consumer: available, running, completed (also if it never comes), retryable, discarded or cancelled; null if the event does not exist or is not for the consumer';

CREATE FUNCTION kanthorq_tasks(consumer text, state text DEFAULT NULL, size integer DEFAULT 100)
    RETURNS TABLE (event_id text, subject text, state text, attempt_count smallint,
                   schedule_at bigint, attempted_at bigint, attempted_error jsonb[],
                   finalized_at bigint)
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION kanthorq_tasks(text, text, integer) IS
'the consumer''s events that are retried, discarded, cancelled or delivered again, by id; times in milliseconds since the epoch';

CREATE PROCEDURE kanthorq_wait(consumer text, timeout interval DEFAULT '30 seconds')
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE kanthorq_wait(text, interval) IS
'waits until a pull has something to look at, at most for timeout; meanwhile it holds no snapshot and no transaction id; it commits, so call it on its own (otherwise 25001)';

CREATE FUNCTION kanthorq_horizon(stream text)
    RETURNS TABLE (pid integer, gid text, txid xid8, since timestamptz, application_name text,
                   query text)
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION kanthorq_horizon(text) IS
'the open and prepared transactions that hold a writer''s lock on the stream: those that publish, whose events are still to come, and those that remove events';

-- Maintenance

CREATE TABLE kanthorq_maintenance (
    stream_name varchar(128) COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL,
    finished_at bigint NOT NULL,
    duration_ms bigint NOT NULL,
    done bigint NOT NULL,
    said text,
    error text,
    PRIMARY KEY (stream_name, step)
);
COMMENT ON TABLE kanthorq_maintenance IS
'what kanthorq_maintain() did last, a row for each stream and step; a step that had nothing to do leaves its row as it is, unless the row shows trouble that is over; written by kanthorq_maintain() only';
COMMENT ON COLUMN kanthorq_maintenance.stream_name IS 'the name of the stream';
COMMENT ON COLUMN kanthorq_maintenance.step IS
'guards: puts back triggers and rows that are missing; partitions: makes partitions ahead of time; default: moves events out of the default partition; closing: closes partitions; leases: collects leases that ran out; retention: removes events that are older than they are kept, or retires their partitions; drop: drops partitions that nobody reads any more; history: removes task rows of discarded and cancelled events that are gone';
COMMENT ON COLUMN kanthorq_maintenance.finished_at IS
'when the step ended, in milliseconds since the epoch';
COMMENT ON COLUMN kanthorq_maintenance.duration_ms IS 'how long it took';
COMMENT ON COLUMN kanthorq_maintenance.done IS
'how much it did: partitions, or events; for retention both, and for history task rows';
COMMENT ON COLUMN kanthorq_maintenance.said IS
'what it left undone, and why; null if nothing';
COMMENT ON COLUMN kanthorq_maintenance.error IS
'the error that it had, after which the other steps and streams went on; null if none';
GRANT SELECT ON kanthorq_maintenance TO PUBLIC;

CREATE PROCEDURE kanthorq_maintain()
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE kanthorq_maintain() IS
'does the maintenance of each stream that the caller owns, for a superuser of all streams: kanthorq_maintenance shows its steps; may be called by many at once; commits after each step, so call it on its own (otherwise 25001)';

CREATE FUNCTION kanthorq_partition_close(stream text, partition regclass) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_partition_close(text, regclass) IS
'closes the partition of the stream now, and not some time after its end; an event that comes to it later opens it again; false if it is closed already; for the owner';

-- Views

CREATE FUNCTION kanthorq_stream_status(name text)
    RETURNS TABLE ("table" regclass, events bigint, bytes bigint, last_position bigint,
                   newest_id text, open_publishers integer)
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 1;
COMMENT ON FUNCTION kanthorq_stream_status(text) IS
'not for callers: what the view kanthorq_streams shows of a stream';

CREATE VIEW kanthorq_streams AS
SELECT r.name, s."table", r.created_at, s.events, s.bytes, s.last_position, s.newest_id,
       kanthorq_id_time(s.newest_id) AS newest_time, s.open_publishers,
       justify_hours(make_interval(secs => t.keep_ms / 1000.0)) AS keep,
       CASE WHEN t.keep_ms IS NOT NULL THEN t.on_lag END AS on_lag,
       justify_hours(make_interval(secs => t.partition_ms / 1000.0)) AS partition_interval
FROM kanthorq_stream_registry r CROSS JOIN LATERAL kanthorq_stream_status(r.name) s
     LEFT JOIN kanthorq_setting_of_stream t ON t.name = r.name;
COMMENT ON VIEW kanthorq_streams IS
'the streams; a stream whose table was altered or dropped by hand is left out';
COMMENT ON COLUMN kanthorq_streams.name IS 'the name of the stream';
COMMENT ON COLUMN kanthorq_streams."table" IS 'its table';
COMMENT ON COLUMN kanthorq_streams.created_at IS
'when the stream was created or adopted, in milliseconds since the epoch';
COMMENT ON COLUMN kanthorq_streams.events IS
'about how many events it has: an estimate from the statistics that the server keeps of the table, never more than last_position; null if there are no statistics';
COMMENT ON COLUMN kanthorq_streams.bytes IS
'the size of the table or of all its partitions, with their indexes and what is stored out of line';
COMMENT ON COLUMN kanthorq_streams.last_position IS
'the last position that was handed out, whether an event came of it or not: not a count of events';
COMMENT ON COLUMN kanthorq_streams.newest_id IS
'the greatest id; null if there is none, if the 300 greatest are of events that are not committed or were removed, and without SELECT on the table or pg_read_all_stats, or under row security';
COMMENT ON COLUMN kanthorq_streams.newest_time IS 'the time inside newest_id';
COMMENT ON COLUMN kanthorq_streams.open_publishers IS
'how many transactions kanthorq_horizon() shows';
COMMENT ON COLUMN kanthorq_streams.keep IS
'how long events are kept, by kanthorq_stream_retention(); null: for ever';
COMMENT ON COLUMN kanthorq_streams.on_lag IS
'what becomes of older events that a consumer has not finished: block keeps them, skip removes them; null if events are kept for ever';
COMMENT ON COLUMN kanthorq_streams.partition_interval IS
'how much time there is in the ids of one partition; null if the stream is not partitioned';
GRANT SELECT ON kanthorq_streams TO PUBLIC;

CREATE FUNCTION kanthorq_consumer_status(name text)
    RETURNS TABLE (cursor bigint, lag bigint, lag_time interval, running bigint, retryable bigint,
                   discarded bigint, cancelled bigint, oldest_lease timestamptz, skipped bigint)
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 1;
COMMENT ON FUNCTION kanthorq_consumer_status(text) IS
'not for callers: what the view kanthorq_consumers shows of a consumer';

CREATE VIEW kanthorq_consumers AS
SELECT r.name, r.stream_name AS stream, s.cursor, s.lag, s.lag_time, s.running, s.retryable,
       s.discarded, s.cancelled, s.oldest_lease, s.skipped,
       timestamptz 'epoch' + b.since * interval '1 millisecond' AS blocking_since,
       b.events AS blocking_events
FROM kanthorq_consumer_registry r CROSS JOIN LATERAL kanthorq_consumer_status(r.name) s
     LEFT JOIN kanthorq_retention_block b ON b.stream = r.stream_name AND b.consumer = r.name;
COMMENT ON VIEW kanthorq_consumers IS
'the consumers; a consumer is left out if its table or its stream''s was altered or dropped by hand';
COMMENT ON COLUMN kanthorq_consumers.name IS 'the name of the consumer';
COMMENT ON COLUMN kanthorq_consumers.stream IS 'the stream it consumes';
COMMENT ON COLUMN kanthorq_consumers.cursor IS 'the position up to which it has looked';
COMMENT ON COLUMN kanthorq_consumers.lag IS
'how many positions there are after the cursor up to the last one that was handed out: not a count of events, as some may be for other consumers, removed or rolled back';
COMMENT ON COLUMN kanthorq_consumers.lag_time IS
'the age, by created_at, of the first event after the cursor, whether it is for this consumer or not; null if there is none, if the next 300 positions are of events that are not committed or were removed, and without SELECT on the stream''s table or pg_read_all_stats, or under row security';
COMMENT ON COLUMN kanthorq_consumers.running IS 'how many events are in leases';
COMMENT ON COLUMN kanthorq_consumers.retryable IS
'how many events wait for a retry or were resumed';
COMMENT ON COLUMN kanthorq_consumers.discarded IS
'how many events failed in all their attempts';
COMMENT ON COLUMN kanthorq_consumers.cancelled IS 'how many events were cancelled';
COMMENT ON COLUMN kanthorq_consumers.oldest_lease IS 'when the oldest open lease was pulled';
COMMENT ON COLUMN kanthorq_consumers.skipped IS
'how many events left the stream before the consumer had finished them, because kanthorq_stream_retention() says so; never set back';
COMMENT ON COLUMN kanthorq_consumers.blocking_since IS
'since when the consumer keeps events that its stream would remove; null if it does not, as the last maintenance saw it';
COMMENT ON COLUMN kanthorq_consumers.blocking_events IS
'how many events it keeps, at most; of events that are removed row by row, only the next 10,000 are looked at';
GRANT SELECT ON kanthorq_consumers TO PUBLIC;

-- What stream tables refer to; not for callers

CREATE FUNCTION kanthorq_txid(stream text) RETURNS xid8
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_txid(text) IS
'not for callers: the default of the column txid of stream tables; assigns and returns the id of the current transaction';

CREATE FUNCTION kanthorq_stream_writer() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_writer() IS
'not for callers: the trigger function that makes a transaction known as a publisher before an INSERT or COPY takes its first position';

CREATE FUNCTION kanthorq_partition_closed() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_partition_closed() IS
'not for callers: the trigger function that notes that an event has come to a closed partition';

CREATE FUNCTION kanthorq_stream_append_only() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_append_only() IS
'not for callers: the trigger function by which stream tables refuse UPDATE, DELETE and TRUNCATE';
