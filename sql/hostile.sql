-- A role that may create objects in the extension's schema can't make others run its code, take over
-- their streams, or have events removed: what it could prepare is refused or never called.

\set SHOW_CONTEXT never
CREATE ROLE regress_kanthorq_mallory;
CREATE ROLE regress_kanthorq_alice;
GRANT CREATE, USAGE ON SCHEMA public TO regress_kanthorq_mallory, regress_kanthorq_alice;
CREATE TABLE loot (who name, what text);
GRANT INSERT ON loot TO PUBLIC;

-- Overloads beside our functions, on the type of the columns: never the better match.
SET ROLE regress_kanthorq_mallory;
CREATE FUNCTION kanthorq_is_event_id(id varchar) RETURNS boolean LANGUAGE plpgsql AS
$$BEGIN INSERT INTO public.loot VALUES (current_user, 'is_event_id'); RETURN true; END$$;
CREATE FUNCTION kanthorq_is_subject(subject varchar) RETURNS boolean LANGUAGE plpgsql AS
$$BEGIN INSERT INTO public.loot VALUES (current_user, 'is_subject'); RETURN true; END$$;
CREATE FUNCTION kanthorq_subject_matches(subject varchar, filter text) RETURNS boolean LANGUAGE plpgsql AS
$$BEGIN INSERT INTO public.loot VALUES (current_user, 'matches'); RETURN true; END$$;
CREATE FUNCTION kanthorq_id_time(id varchar) RETURNS timestamptz LANGUAGE plpgsql AS
$$BEGIN INSERT INTO public.loot VALUES (current_user, 'id_time'); RETURN now(); END$$;
CREATE FUNCTION kanthorq_txid(stream varchar) RETURNS xid8 LANGUAGE plpgsql AS
$$BEGIN INSERT INTO public.loot VALUES (current_user, 'txid'); RETURN '1'; END$$;
RESET ROLE;
SELECT name FROM kanthorq_stream_create('hostile');
SELECT kanthorq_publish('hostile', 'order.created', 'x') IS NOT NULL AS published;
INSERT INTO kanthorq_stream_hostile (subject, body) VALUES ('order.created', 'y');
\set VERBOSITY terse
INSERT INTO kanthorq_stream_hostile (id, subject, body) VALUES ('no id', 'order.created', 'z');
INSERT INTO kanthorq_stream_hostile (subject, body) VALUES ('no subject !', 'z');
\set VERBOSITY default
SELECT subject FROM kanthorq_events('hostile', 'order.*', since => '2000-01-01');
SELECT subject FROM kanthorq_events_by_subject('hostile', '*.created');
SELECT * FROM loot;
DROP FUNCTION kanthorq_is_event_id(varchar), kanthorq_is_subject(varchar),
    kanthorq_subject_matches(varchar, text), kanthorq_id_time(varchar), kanthorq_txid(varchar);

-- A stream whose columns were changed is no stream any more: not for reading, not for publishing.
SET ROLE regress_kanthorq_mallory;
SELECT name FROM kanthorq_stream_create('changed');
SELECT kanthorq_publish('changed', 'a.b', 'hello', id => '01ARZ3NDEKTSV4RRFFQ69G5FAV');
ALTER TABLE kanthorq_stream_changed ALTER body TYPE bigint USING 4000000000;
RESET ROLE;
SELECT * FROM kanthorq_event_get('changed', '01ARZ3NDEKTSV4RRFFQ69G5FAV');
SELECT length(body) FROM kanthorq_events('changed');
SELECT kanthorq_publish('changed', 'a.b', 'hello');
SET ROLE regress_kanthorq_mallory;
ALTER TABLE kanthorq_stream_changed ALTER body TYPE bytea USING '';
RESET ROLE;
SELECT length(body) FROM kanthorq_events('changed');
SELECT kanthorq_stream_drop('changed', 'changed');

-- A table that somebody else prepared is not adopted, by a superuser neither.
SET ROLE regress_kanthorq_mallory;
SELECT name FROM kanthorq_stream_create('prepared');
CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO public.loot VALUES (current_user, 'trigger'); RETURN new; END$$;
CREATE TRIGGER steal BEFORE INSERT ON kanthorq_stream_prepared FOR EACH ROW EXECUTE FUNCTION steal();
RESET ROLE;
DELETE FROM kanthorq_stream_registry WHERE name = 'prepared';
SELECT kanthorq_stream_create('prepared');
SELECT kanthorq_publish('prepared', 'a.b', 'secret');
SET ROLE regress_kanthorq_mallory;
SELECT name FROM kanthorq_stream_create('prepared');
RESET ROLE;

-- If an owner dropped the table by hand, the name is not handed to whoever takes it.
SET ROLE regress_kanthorq_alice;
SELECT name FROM kanthorq_stream_create('taken');
DROP TABLE kanthorq_stream_taken;
SET ROLE regress_kanthorq_mallory;
CREATE VIEW kanthorq_stream_taken AS SELECT * FROM kanthorq_stream_prepared;
GRANT ALL ON kanthorq_stream_taken TO PUBLIC;
SET ROLE regress_kanthorq_alice;
SELECT kanthorq_stream_create('taken');
SELECT kanthorq_publish('taken', 'a.b', 'secret');
SELECT * FROM kanthorq_events('taken');
SET ROLE regress_kanthorq_mallory;
DROP VIEW kanthorq_stream_taken;
ALTER TABLE kanthorq_stream_prepared RENAME TO kanthorq_stream_taken;
GRANT ALL ON kanthorq_stream_taken TO PUBLIC;
SET ROLE regress_kanthorq_alice;
SELECT kanthorq_stream_create('taken');
SELECT kanthorq_publish('taken', 'a.b', 'secret');
RESET ROLE;
ALTER TABLE kanthorq_stream_taken RENAME TO kanthorq_stream_prepared;
SELECT name FROM kanthorq_stream_create('taken');
SELECT * FROM loot;

-- While the owner removes one event, nobody's trigger removes more.
SET ROLE regress_kanthorq_alice;
SELECT name FROM kanthorq_stream_create('wiped');
SELECT count(kanthorq_publish('wiped', 'a.b', 'x')) FROM generate_series(1, 10);
GRANT SELECT, DELETE, REFERENCES ON kanthorq_stream_wiped TO regress_kanthorq_mallory;
SET ROLE regress_kanthorq_mallory;
CREATE TABLE reference (id varchar(64) REFERENCES kanthorq_stream_wiped ON DELETE CASCADE);
CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN DELETE FROM kanthorq_stream_wiped WHERE id <> old.id; RETURN old; END$$;
CREATE TRIGGER wipe BEFORE DELETE ON reference FOR EACH ROW EXECUTE FUNCTION wipe();
INSERT INTO reference SELECT min(id COLLATE "C") FROM kanthorq_stream_wiped;
SET ROLE regress_kanthorq_alice;
SELECT kanthorq_event_remove('wiped', ARRAY(SELECT min(id COLLATE "C") FROM kanthorq_stream_wiped));
SELECT count(*) FROM kanthorq_stream_wiped;
SET ROLE regress_kanthorq_mallory;
DROP TRIGGER wipe ON reference;
SET ROLE regress_kanthorq_alice;
SELECT kanthorq_event_remove('wiped', ARRAY(SELECT min(id COLLATE "C") FROM kanthorq_stream_wiped));
SELECT count(*) FROM kanthorq_stream_wiped;
RESET ROLE;

-- Publishing again is safe with more than one unique index on the id.
CREATE UNIQUE INDEX ON kanthorq_stream_hostile (id);
SELECT kanthorq_publish('hostile', 'a.b', 'x', id => '01ARZ3NDEKTSV4RRFFQ69G5FAV', on_duplicate => 'skip');
SELECT kanthorq_publish('hostile', 'a.b', 'x', id => '01ARZ3NDEKTSV4RRFFQ69G5FAV', on_duplicate => 'skip');

-- A name that is longer than any stream's, with the hash of which there is a table.
SET ROLE regress_kanthorq_mallory;
CREATE TABLE kanthorq_stream_aaaaaaaaaaaaaaaaaaaaaaaaaaaaa__24c638d05c2865e5 ();
SELECT * FROM kanthorq_stream_status(repeat('a', 1000000));
DROP TABLE kanthorq_stream_aaaaaaaaaaaaaaaaaaaaaaaaaaaaa__24c638d05c2865e5;
RESET ROLE;

DROP TABLE reference;
SELECT kanthorq_stream_drop(name, name) FROM kanthorq_stream_registry ORDER BY name;
DROP FUNCTION steal(), wipe();
DROP TABLE loot;
REVOKE ALL ON SCHEMA public FROM regress_kanthorq_mallory, regress_kanthorq_alice;
DROP ROLE regress_kanthorq_mallory, regress_kanthorq_alice;
