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
'may a stream be called this: letters, digits and single inner underscores, 1 to 128 characters';

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
'does the subject match the filter, by the rules of NATS; false where either is invalid';

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
'may an event be called this: a ULID in upper case, a UUIDv7 in lower case or <prefix>_<ulid> in lower case, at most 64 characters';

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
'the smallest ULID of that millisecond: the bound of a time range';

CREATE FUNCTION kanthorq_uuidv7() RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION kanthorq_uuidv7() IS
'a new UUIDv7, strictly increasing within the session, also when the clock steps back';

CREATE FUNCTION kanthorq_id_time(id text) RETURNS timestamptz
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_id_time(text) IS
'the time inside an event id, to the millisecond; an error for what is no event id';

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

CREATE FUNCTION kanthorq_stream_create(name text, subject_index boolean DEFAULT true)
    RETURNS kanthorq_stream_registry
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_create(text, boolean) IS
'creates the stream and its table, or returns the one that exists; adopts an unregistered table of that name with the shape of a stream; subject_index: also an index on (subject, id)';

CREATE FUNCTION kanthorq_stream_table(name text) RETURNS regclass
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kanthorq_stream_table(text) IS
'the table of the stream; an error where there is no such stream';

CREATE FUNCTION kanthorq_stream_drop(name text, confirm text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_drop(text, text) IS
'drops the stream with its table and all its events; confirm repeats the name; false where there is no such stream';

CREATE FUNCTION kanthorq_stream_trim(name text, before_id text, confirm text,
                                     force boolean DEFAULT false)
    RETURNS bigint
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_trim(text, text, text, boolean) IS
'removes the events whose id sorts before this one and returns how many; confirm repeats the name; force changes nothing until there are consumers';

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
'adds an event to the stream and returns its id; id null: a new ULID; created_at (milliseconds since the epoch) null: the time inside the id; on_duplicate: error, or skip to leave the stored event as it is';

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
'adds up to 1,000,000 events, one for each element of the arrays, all or none, and returns their ids in order; null arrays and null elements of the optional ones mean defaults';

CREATE FUNCTION kanthorq_event_get(stream text, id text) RETURNS SETOF kanthorq_event
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION kanthorq_event_get(text, text) IS 'the event with this id; no row where there is none';

CREATE FUNCTION kanthorq_events(stream text, filter text DEFAULT '>', after_id text DEFAULT NULL,
                                since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
                                size integer DEFAULT 100, metadata_contains jsonb DEFAULT '{}')
    RETURNS SETOF kanthorq_event
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION kanthorq_events(text, text, text, timestamptz, timestamptz, integer, jsonb) IS
'a page of 1 to 10,000 events by id, behind after_id; since (included) and until (excluded) limit the times inside the ids, in whole milliseconds';

CREATE FUNCTION kanthorq_events_by_subject(stream text, filter text DEFAULT '>',
                                           after_subject text DEFAULT NULL,
                                           after_id text DEFAULT NULL, size integer DEFAULT 100)
    RETURNS SETOF kanthorq_event
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION kanthorq_events_by_subject(text, text, text, text, integer) IS
'a page of 1 to 10,000 events by (subject, id), behind (after_subject, after_id), or behind all of after_subject where after_id is null';

CREATE FUNCTION kanthorq_event_remove(stream text, ids text[]) RETURNS bigint
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_event_remove(text, text[]) IS
'removes the events with these ids and returns how many there were';

-- What stream tables refer to; not for callers

CREATE FUNCTION kanthorq_txid(stream text) RETURNS xid8
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_txid(text) IS
'not for callers: the default of the column txid of stream tables; assigns and returns the id of the current transaction';

CREATE FUNCTION kanthorq_stream_append_only() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kanthorq_stream_append_only() IS
'not for callers: the trigger function by which stream tables refuse UPDATE, DELETE and TRUNCATE';
