-- DROP EXTENSION leaves nothing behind where no stream is left, and a fresh one can follow.

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
