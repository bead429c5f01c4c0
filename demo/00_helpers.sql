-- What the steps share: how psql prints, a line for each value of a row, and a schema of helpers.
-- The steps run in one session, in the order of their numbers. A line that starts with == is a
-- heading.

\pset pager off
\pset footer off
\pset border 0
\pset expanded on
\pset tuples_only on
SET client_min_messages = warning;
SET datestyle = 'ISO, YMD';

CREATE SCHEMA demo;

-- Ends the demo if something is not so; null is not so either.
CREATE FUNCTION demo.verified(ok boolean, what text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    IF ok IS NOT TRUE THEN
        RAISE EXCEPTION 'not what the demo expects: %', what;
    END IF;
    RETURN what;
END
$$;

-- Runs a statement that must be refused with this SQLSTATE, and shows what the server said.
CREATE FUNCTION demo.refused(INOUT statement text, expected_state text,
                             OUT error text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
DECLARE
    state text;
    message text;
BEGIN
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        IF state <> expected_state THEN
            RAISE;
        END IF;
    END;
    IF state IS NULL THEN
        RAISE EXCEPTION 'not what the demo expects: the server accepted %', statement;
    END IF;
    error := state || ' ' || message;
END
$$;

-- The whole stream, read as a client reads it: page after page, each after the last event of the
-- one before.
CREATE FUNCTION demo.read_by_id(page_size integer)
RETURNS TABLE (page integer, id text, body bytea)
LANGUAGE plpgsql AS $$
DECLARE
    last_id text;
BEGIN
    page := 0;
    LOOP
        page := page + 1;
        FOR id, body IN
            SELECT event.id, event.body
            FROM kanthorq_events('package_log', after_id => last_id, size => page_size) AS event
        LOOP
            last_id := id;
            RETURN NEXT;
        END LOOP;
        EXIT WHEN NOT FOUND;
    END LOOP;
END
$$;

CREATE FUNCTION demo.read_by_subject(page_size integer)
RETURNS TABLE (page integer, subject text, id text)
LANGUAGE plpgsql AS $$
DECLARE
    last_subject text;
    last_id text;
BEGIN
    page := 0;
    LOOP
        page := page + 1;
        FOR subject, id IN
            SELECT event.subject, event.id
            FROM kanthorq_events_by_subject('package_log', after_subject => last_subject,
                                            after_id => last_id, size => page_size) AS event
        LOOP
            last_subject := subject;
            last_id := id;
            RETURN NEXT;
        END LOOP;
        EXIT WHEN NOT FOUND;
    END LOOP;
END
$$;

-- The local time that a line of dpkg's log starts with; null if it starts with something else.
CREATE FUNCTION demo.line_time(line text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN substring(line FROM '^2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d(?= |$)')::timestamptz;
EXCEPTION WHEN datetime_field_overflow THEN
    RETURN NULL;
END
$$;

-- A worker that can't read what is about a certain thing, or reads everything if that is null.
CREATE FUNCTION demo.handle(body bytea, unreadable text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN strpos(encode(body, 'escape'), unreadable) > 0 THEN 'failed' ELSE 'done' END
$$;
