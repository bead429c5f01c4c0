-- If no stream is left, DROP EXTENSION leaves nothing, and a fresh one can follow.

-- No test before this one has left anything, so that they may run in any order.
SELECT rolname FROM pg_roles WHERE rolname LIKE 'regress\_kanthorq\_%';
SELECT datname FROM pg_database WHERE datname LIKE 'kanthorq\_regression\_%';
SELECT nspname FROM pg_namespace WHERE nspname NOT IN ('public', 'test', 'information_schema') AND nspname NOT LIKE 'pg\_%';
SELECT object.type, object.identity
FROM (SELECT 'pg_class'::regclass AS catalog, oid FROM pg_class WHERE relnamespace = 'public'::regnamespace
      UNION ALL SELECT 'pg_proc', oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace
      UNION ALL SELECT 'pg_type', oid FROM pg_type WHERE typnamespace = 'public'::regnamespace
      UNION ALL SELECT 'pg_operator', oid FROM pg_operator WHERE oprnamespace = 'public'::regnamespace) AS found,
    pg_identify_object(catalog, oid, 0) AS object
WHERE object.identity NOT LIKE 'public.kanthorq\_%';
SELECT count(*) AS dropped_columns FROM pg_attribute
WHERE attisdropped AND attrelid::regclass::text IN (SELECT relname FROM pg_class WHERE relname LIKE 'kanthorq\_%');

SELECT name FROM kanthorq_stream_create('drop_extension');
SELECT kanthorq_stream_drop('drop_extension', confirm => 'drop_extension');
SELECT count(*) FROM kanthorq_stream_registry;

DROP EXTENSION kanthorq;

SELECT relname FROM pg_class WHERE relname LIKE '%kanthorq%';
SELECT proname FROM pg_proc WHERE proname LIKE '%kanthorq%';
SELECT typname FROM pg_type WHERE typname LIKE '%kanthorq%';
SELECT conname FROM pg_constraint WHERE conname LIKE '%kanthorq%';
SELECT tgname FROM pg_trigger WHERE tgname LIKE '%kanthorq%';

-- In the same session, with the library still loaded: again from the start.
CREATE EXTENSION kanthorq;
SELECT name FROM kanthorq_stream_create('drop_extension');
SELECT kanthorq_is_event_id(kanthorq_publish('drop_extension', 'a', 'x'));
SELECT kanthorq_stream_drop('drop_extension', confirm => 'drop_extension');
DROP EXTENSION kanthorq;
SELECT count(*) FROM pg_class WHERE relname LIKE '%kanthorq%';
