-- The view "reference" has one row, docs/reference.md, made of what the catalog says about the extension.
-- scripts/reference writes the file; tests/pgtap/reference.sql compares the two on each version of the server. So only
-- what is the same on all of them is used, and no setting of the session shows, but for this one:
SET intervalstyle = 'postgres';

-- The sections, and what stands in them. The rest of the page needs no list: tables, types, settings and what is
-- not for callers.
CREATE TEMPORARY VIEW reference_section AS
SELECT number, title, about, names
FROM unnest(
    ARRAY['Streams', 'Publishing', 'Reading', 'Removing', 'Consumers', 'Workers', 'Tasks', 'Watching', 'Maintenance', 'Ids',
          'Validators'],
    ARRAY['Explained in [streams.md](streams.md).',
          'Explained in [publishing.md](publishing.md).',
          'Explained in [streams.md](streams.md#reading).',
          'Explained in [streams.md](streams.md#removing).',
          'Explained in [consumers.md](consumers.md).',
          'Explained in [consumers.md](consumers.md#a-workers-loop); [workers.md](workers.md) has whole workers.',
          'Explained in [consumers.md](consumers.md#states).',
          'Explained in [consumers.md](consumers.md#watching) and [operating.md](operating.md#what-to-watch).',
          'Explained in [partitions.md](partitions.md#maintenance).',
          'The forms of ids are explained in [streams.md](streams.md#ids).',
          'The rules are explained in [streams.md](streams.md#rules).'],
    ARRAY['stream_create stream_table stream_retention stream_trim stream_drop',
          'publish publish_text publish_json publish_many publish_many_text publish_many_json',
          'event_get events events_by_subject',
          'event_remove trim',
          'consumer_create consumer_alter consumer_table consumer_seek consumer_drop',
          'pull ack nack extend wait',
          'task_state tasks cancel resume',
          'streams consumers horizon',
          'maintain partition_close',
          'ulid ulid_floor uuidv7 id_time',
          'is_name is_subject is_subject_filter subject_matches is_ulid is_uuidv7 is_event_id']
) WITH ORDINALITY AS section (title, about, names, number);

CREATE TEMPORARY VIEW reference_member AS
SELECT classid, objid, obj_description(objid, classid::regclass::name) AS comment
FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid
WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass AND extname = 'kanthorq';

-- The name of a type as one writes it, without a schema if it is one of ours.
CREATE FUNCTION pg_temp.type_name(type oid, modifier integer DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
    SELECT coalesce((SELECT typname::text FROM pg_type JOIN reference_member ON objid = oid WHERE oid = type
                     AND (typrelid = 0 OR typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c'))),
                    (SELECT relname::text FROM pg_class JOIN reference_member ON objid = oid WHERE reltype = type),
                    replace(replace(replace(format_type(type, modifier),
                        'character varying', 'varchar'),
                        'timestamp with time zone', 'timestamptz'),
                        'timestamp without time zone', 'timestamp'))
$$;

-- A comment as a sentence of Markdown. Comments are phrases: they begin in lower case and have no full stop.
CREATE FUNCTION pg_temp.sentence(comment text) RETURNS text
LANGUAGE sql AS $$
    SELECT upper(left(words, 1)) || substr(words, 2) || '.'
    FROM regexp_replace(regexp_replace(comment, '([*<|])', '\\\1', 'g'), '(kanthorq_\w+(\(\))?)', '`\1`', 'g') AS words
$$;

-- What COMMENT ON a column says, of all columns of a table, view or composite type.
CREATE FUNCTION pg_temp.columns(relation oid) RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(format('| `%s` | %s |', attname, type || CASE WHEN words <> '' THEN ' | ' || words ELSE '' END),
                      E'\n' ORDER BY attnum)
    FROM pg_attribute,
         pg_temp.type_name(atttypid, atttypmod) AS type,
         coalesce(pg_temp.sentence(col_description(attrelid, attnum)), '') AS words
    WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
$$;

CREATE FUNCTION pg_temp.one_per_line(parts text[]) RETURNS text
LANGUAGE sql AS $$ SELECT E'(\n    ' || array_to_string(parts, E',\n    ') || E'\n)' $$;

CREATE TEMPORARY VIEW reference_function AS
WITH argument AS (
    SELECT p.oid, number, coalesce(mode, 'i') AS mode, name || ' ' || pg_temp.type_name(type) AS declared,
           -- 'first'::kanthorq_start is 'first'
           ' DEFAULT ' || regexp_replace(pg_get_function_arg_default(p.oid, number::integer), '::[^'']+$', '')
               AS default_value
    FROM pg_proc p JOIN reference_member ON objid = p.oid AND classid = 'pg_proc'::regclass,
         unnest(coalesce(proallargtypes, proargtypes::oid[]), proargmodes, proargnames)
             WITH ORDINALITY AS argument (type, mode, name, number)
), described AS (
    SELECT p.oid, proname::text AS name, pronargs, comment,
           CASE WHEN prokind = 'p' THEN 'CALL ' ELSE '' END || proname AS head,
           ARRAY(SELECT declared || coalesce(default_value, '') FROM argument
                 WHERE argument.oid = p.oid AND mode <> 't' ORDER BY number) AS arguments,
           CASE WHEN prokind = 'p' THEN ''
                WHEN 't' = ANY (proargmodes) THEN ' RETURNS TABLE'
                ELSE ' RETURNS ' || CASE WHEN proretset THEN 'SETOF ' ELSE '' END || pg_temp.type_name(prorettype)
           END AS result,
           ARRAY(SELECT declared FROM argument WHERE argument.oid = p.oid AND mode = 't' ORDER BY number) AS columns
    FROM pg_proc p JOIN reference_member ON objid = p.oid AND classid = 'pg_proc'::regclass
)
SELECT name, pronargs, comment, call,
       CASE WHEN length(one_line) <= 110 THEN one_line
            ELSE head || pg_temp.one_per_line(arguments) || result
                 || CASE WHEN columns <> '{}' THEN ' ' || pg_temp.one_per_line(columns) ELSE '' END
       END AS signature
FROM described,
     concat(head, '(', array_to_string(arguments, ', '), ')') AS call,
     concat(call, result, ' (' || array_to_string(nullif(columns, '{}'), ', ') || ')') AS one_line;

-- What stands under one heading: a function in all its forms, a view, a table, or a type.
CREATE TEMPORARY VIEW reference_entry AS
SELECT 'function' AS kind, name,
       string_agg(format(E'```\n%s\n```\n\n%s', signature, pg_temp.sentence(comment)),
                  E'\n\n' ORDER BY pronargs, signature COLLATE "C") AS words
FROM reference_function WHERE comment NOT LIKE 'not for callers: %' GROUP BY name
UNION ALL
SELECT CASE relkind WHEN 'v' THEN 'view' ELSE 'table' END, relname::text,
       concat(CASE relkind WHEN 'v' THEN 'View. ' END, pg_temp.sentence(comment),
              E'\n\n| column | type | what it is |\n|---|---|---|\n', pg_temp.columns(pg_class.oid))
FROM pg_class JOIN reference_member ON objid = pg_class.oid AND classid = 'pg_class'::regclass
WHERE relkind IN ('r', 'v')
UNION ALL
SELECT 'type', typname::text,
       concat(pg_temp.sentence(comment),
              CASE WHEN typrelid <> 0 THEN E'\n\n| field | type |\n|---|---|\n' || pg_temp.columns(typrelid) END,
              E'\n\n| cast | when | what it is |\n|---|---|---|\n' ||
              (SELECT string_agg(format('| %s to %s | %s | %s |', source, target,
                                        CASE castcontext WHEN 'i' THEN 'by itself' WHEN 'a' THEN 'in assignments'
                                                         ELSE 'if asked for' END,
                                        pg_temp.sentence(described.comment)),
                                 E'\n' ORDER BY source COLLATE "C", target COLLATE "C")
               FROM pg_cast JOIN reference_member AS described
                    ON objid = pg_cast.oid AND classid = 'pg_cast'::regclass,
                    pg_temp.type_name(castsource) AS source, pg_temp.type_name(casttarget) AS target
               WHERE pg_type.oid IN (castsource, casttarget)))
FROM pg_type JOIN reference_member ON objid = pg_type.oid AND classid = 'pg_type'::regclass
WHERE typcategory <> 'A' AND comment IS NOT NULL;

CREATE TEMPORARY VIEW reference AS
WITH entry AS (
    SELECT kind, entry.name, words, number AS section, place
    FROM reference_entry AS entry LEFT JOIN (
        SELECT number, 'kanthorq_' || name AS name, place
        FROM reference_section, regexp_split_to_table(names, ' ') WITH ORDINALITY AS listed (name, place)
    ) AS listed ON listed.name = entry.name AND kind IN ('function', 'view')
), part (number, title, about, words) AS (
    SELECT number, title, about,
           (SELECT string_agg(format(E'### %s\n\n%s', name, words), E'\n\n' ORDER BY place)
            FROM entry WHERE section = number)
    FROM reference_section
    UNION ALL
    SELECT 50, 'Others', 'These stand in no section of `scripts/reference.sql` yet.',
           string_agg(format(E'### %s\n\n%s', name, words), E'\n\n' ORDER BY name COLLATE "C")
    FROM entry WHERE section IS NULL AND kind IN ('function', 'view')
    UNION ALL
    SELECT 60, 'Types', 'What functions take and return.',
           string_agg(format(E'### %s\n\n%s', name, words), E'\n\n' ORDER BY name COLLATE "C")
    FROM entry WHERE kind = 'type'
    UNION ALL
    SELECT 70, 'Tables', 'The tables of the extension itself. Read the registries as you like; write none of them.',
           string_agg(format(E'### %s\n\n%s', name, words), E'\n\n' ORDER BY name COLLATE "C")
    FROM entry WHERE kind = 'table'
    UNION ALL
    -- They are there once the library is loaded, which the first call of one of its functions does.
    SELECT 80, 'Settings',
           E'Anybody may change them, for a transaction, a session, or all sessions of a role or database. A session has them'
           || E' once it has\nloaded the library. `shared_preload_libraries` is a choice ([README](../README.md#preload-the-library)).'
           || E' `kanthorq.databases` and\n`kanthorq.maintain_interval` are for the server as a whole, and follow a reload.',
           E'| setting | default | what it is |\n|---|---|---|\n' ||
           string_agg(format('| `%s` | `%s` | %s |', name, current_setting(name), pg_temp.sentence(short_desc)),
                      E'\n' ORDER BY name COLLATE "C")
    FROM pg_settings, kanthorq_is_name('loaded') AS loaded WHERE loaded AND name LIKE 'kanthorq.%'
    UNION ALL
    SELECT 90, 'Not for callers', 'Tables, views and types need these; nobody calls them.',
           E'| function | what it is |\n|---|---|\n' ||
           string_agg(format('| `%s` | %s |', call,
                             pg_temp.sentence(substr(comment, length('not for callers: ') + 1))),
                      E'\n' ORDER BY call COLLATE "C")
    FROM reference_function WHERE comment LIKE 'not for callers: %'
)
SELECT concat(
    E'# Reference\n\n',
    E'Every function, view, type and table of the extension, with what its comment in the database says: `\\df+ kanthorq_*`\n',
    E'and `\\d+ kanthorq_*` show the same. `scripts/reference` makes this page; do not edit it. Which SQLSTATE means what is in\n',
    E'[errors.md](errors.md), what each function needs to be granted in [security.md](security.md#what-to-grant).\n\n',
    string_agg(format(E'## %s\n\n', title) || coalesce(about || E'\n\n', '') || words, E'\n\n' ORDER BY number)) AS page
FROM part WHERE words IS NOT NULL;
