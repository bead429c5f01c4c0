-- How long a stream keeps its events: kanthorq_stream_retention(), and what maintenance makes of it on a plain
-- stream. As a role that owns the streams of this test only, because maintenance looks after all of them.

CREATE ROLE regress_kanthorq_keep;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_keep;
SET ROLE regress_kanthorq_keep;

SELECT name FROM kanthorq_stream_create('keep');
SELECT keep, on_lag, partition_interval FROM kanthorq_streams WHERE name = 'keep';

-- What may be asked for.
SELECT test.refused_in_full($$SELECT kanthorq_stream_retention('keep', '1 day', 'drop')$$);
SELECT test.refused_in_full($$SELECT kanthorq_stream_retention('keep', '1 day', NULL)$$);
SELECT test.refused_in_full($$SELECT kanthorq_stream_retention('keep', '0')$$);
SELECT test.refused($$SELECT kanthorq_stream_retention('keep', '-1 day')$$);
SELECT test.refused($$SELECT kanthorq_stream_retention('keep', '102 years')$$);
SELECT test.refused($$SELECT kanthorq_stream_retention(NULL, '1 day')$$);
SELECT test.refused($$SELECT kanthorq_stream_retention('keep_', '1 day')$$);
SELECT test.refused($$SELECT kanthorq_stream_retention('nowhere', '1 day')$$);
SELECT test.refused($$UPDATE kanthorq_setting_of_stream SET keep_ms = 1$$);
SELECT kanthorq_stream_retention('keep', '30 days');
SELECT keep, on_lag FROM kanthorq_streams WHERE name = 'keep';
SELECT kanthorq_stream_retention('keep', '1 month 36 hours 0.5 seconds', 'skip');
SELECT keep, on_lag FROM kanthorq_streams WHERE name = 'keep';
SELECT kanthorq_stream_retention('keep', NULL);
SELECT keep, on_lag FROM kanthorq_streams WHERE name = 'keep';
-- Only the owner.
RESET ROLE;
CREATE ROLE regress_kanthorq_keep_other;
SET ROLE regress_kanthorq_keep_other;
SELECT test.refused($$SELECT kanthorq_stream_retention('keep', '1 day')$$);
RESET ROLE;
SET ROLE regress_kanthorq_keep;

-- Each form of id has its time, and the same number of events of today and of long ago. The time in the id counts,
-- and not created_at.
CREATE FUNCTION pg_temp.id(form text, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT CASE form
        WHEN 'ulid' THEN kanthorq_ulid(at)
        WHEN 'uuidv7' THEN regexp_replace(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'),
            '(.{8})(.{4})', '\1-\2-7000-8000-') || substr(md5(random()::text), 1, 12)
        ELSE form || '_' || lower(kanthorq_ulid(at)) END
$$;
CREATE FUNCTION pg_temp.publish_aged(stream text, VARIADIC ages interval[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kanthorq_publish(stream, 'age', '', jsonb_build_object('age', age),
        id => pg_temp.id(form, now() - age), created_at => 0))
    FROM unnest(ages) AS age, unnest('{ulid,uuidv7,order,a_b}'::text[]) AS form
$$;
SELECT pg_temp.publish_aged('keep', '0', '1 day', '10 days', '1 year', '12 years', '30 years');
CREATE FUNCTION pg_temp.ages() RETURNS TABLE (age text, forms bigint) LANGUAGE sql AS $$
    SELECT metadata ->> 'age', count(*) FROM kanthorq_stream_keep GROUP BY 1 ORDER BY min(position)
$$;
SELECT * FROM pg_temp.ages();
-- Nothing leaves that is not asked for.
CALL kanthorq_maintain();
SELECT sum(forms) FROM pg_temp.ages();
SELECT kanthorq_stream_retention('keep', '11 years');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.ages();
SELECT kanthorq_stream_retention('keep', '3 days');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.ages();
SELECT done, said, error FROM kanthorq_maintenance WHERE stream_name = 'keep' AND step = 'retention';
SELECT kanthorq_stream_drop('keep', confirm => 'keep');

-- Consumers: what one has not finished stays, and it is shown who keeps how much.
SELECT name FROM kanthorq_stream_create('keep');
SELECT name FROM kanthorq_consumer_create('keep_busy', 'keep', includes => '{event.*}', attempt_max => 1);
SELECT name FROM kanthorq_consumer_create('keep_idle', 'keep', includes => '{event.7}');
SELECT test.publish('keep', '12345678');
SELECT kanthorq_stream_retention('keep', '1 day');
-- 1 and 2 are done, 3 was discarded, 4 is cancelled, 5 in a lease; 6 and more are still to come.
SELECT lease FROM test.pull('keep_busy', 5) \gset
SELECT kanthorq_ack('keep_busy', :lease, test.ids('12')), kanthorq_nack('keep_busy', :lease, test.ids('3'));
SELECT kanthorq_cancel('keep_busy', test.ids('4'));
CALL kanthorq_maintain();
SELECT string_agg(right(id, 1), '' ORDER BY id) FROM kanthorq_stream_keep;
SELECT regexp_replace(said, 'since .*?\.(?= Consumer|$)', 'since ...', 'g') AS said, done, error
    FROM kanthorq_maintenance WHERE stream_name = 'keep' AND step = 'retention';
SELECT name, skipped, blocking_since BETWEEN now() - interval '1 hour' AND clock_timestamp() AS blocks, blocking_events
    FROM kanthorq_consumers WHERE stream = 'keep' ORDER BY name;
-- It goes on blocking since then.
SELECT string_agg(since::text, ' ' ORDER BY consumer) AS since FROM kanthorq_retention_block \gset
CALL kanthorq_maintain();
SELECT string_agg(since::text, ' ' ORDER BY consumer) = :'since' FROM kanthorq_retention_block;
SELECT kanthorq_ack('keep_busy', :lease);
SELECT lease, events FROM test.pull('keep_busy') \gset
SELECT :'events', kanthorq_ack('keep_busy', :lease);
CALL kanthorq_maintain();
SELECT string_agg(right(id, 1), '' ORDER BY id) FROM kanthorq_stream_keep;
SELECT name, blocking_since IS NOT NULL AS blocks, blocking_events
    FROM kanthorq_consumers WHERE stream = 'keep' ORDER BY name;
-- 7 is retried now, which is not finished either.
SELECT count(kanthorq_nack('keep_idle', lease, retry_in => '1 hour')) FROM kanthorq_pull('keep_idle');
CALL kanthorq_maintain();
SELECT string_agg(right(id, 1), '' ORDER BY id) FROM kanthorq_stream_keep;
-- Skip: it goes, and is counted for the consumer that has not finished it, and for no other.
SELECT kanthorq_stream_retention('keep', '1 day', 'skip');
CALL kanthorq_maintain();
SELECT count(*) FROM kanthorq_stream_keep;
SELECT name, skipped, blocking_since, blocking_events FROM kanthorq_consumers WHERE stream = 'keep' ORDER BY name;
SELECT regexp_replace(said, 'since .*?\.(?= Consumer|$)', 'since ...', 'g') AS said, done, error
    FROM kanthorq_maintenance WHERE stream_name = 'keep' AND step = 'retention';
-- An event that is still to come, one in a lease, and one that the consumer does not select. The lease can be
-- acknowledged as before.
SELECT test.publish('keep', '6789');
SELECT lease FROM test.pull('keep_busy', 2) \gset
CALL kanthorq_maintain();
SELECT name, skipped FROM kanthorq_consumers WHERE stream = 'keep' ORDER BY name;
SELECT kanthorq_ack('keep_busy', :lease);
SELECT events FROM test.pull('keep_busy');
-- A cancelled event that was still to come is no loss.
SELECT test.publish('keep', '789');
SELECT kanthorq_cancel('keep_busy', test.ids('89'));
CALL kanthorq_maintain();
SELECT name, skipped, retryable, cancelled FROM kanthorq_consumers WHERE stream = 'keep' ORDER BY name;
-- A seek takes nothing back.
SELECT kanthorq_consumer_seek('keep_busy', 'first', 'keep_busy') >= 0;
SELECT skipped FROM kanthorq_consumers WHERE name = 'keep_busy';
SELECT kanthorq_stream_drop('keep', confirm => 'keep');
SELECT count(*) FROM kanthorq_setting_of_stream WHERE name = 'keep';
SELECT count(*) FROM kanthorq_retention_block WHERE stream = 'keep';

-- More than a batch: each is a transaction of its own, and all of it goes.
SELECT name FROM kanthorq_stream_create('keep');
SELECT cardinality(kanthorq_publish_many('keep', array_agg('a'::text), array_agg(''::bytea),
    ids => array_agg(kanthorq_ulid('2020-01-01')))) FROM generate_series(1, 25000);
SELECT test.publish('keep', '1') + (SELECT count(kanthorq_publish('keep', 'a', '')) FROM generate_series(1, 3));
SELECT kanthorq_stream_retention('keep', '1 day');
CALL kanthorq_maintain();
SELECT count(*) FROM kanthorq_stream_keep;
SELECT done, said, error FROM kanthorq_maintenance WHERE stream_name = 'keep' AND step = 'retention';
SELECT kanthorq_stream_drop('keep', confirm => 'keep');

-- What a trigger of the owner keeps is not lost, and is not counted again by each maintenance.
SELECT name FROM kanthorq_stream_create('keep');
SELECT name FROM kanthorq_consumer_create('keep_idle', 'keep');
SELECT test.publish('keep', '123');
SELECT kanthorq_stream_retention('keep', '1 day', 'skip');
CREATE FUNCTION regress_kanthorq_keep_second() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.id LIKE '%2' THEN RETURN NULL; END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER keep_second BEFORE DELETE ON kanthorq_stream_keep
    FOR EACH ROW EXECUTE FUNCTION regress_kanthorq_keep_second();
CALL kanthorq_maintain();
CALL kanthorq_maintain();
SELECT skipped FROM kanthorq_consumers WHERE name = 'keep_idle';
SELECT events FROM test.pull('keep_idle');
SELECT kanthorq_stream_drop('keep', confirm => 'keep');

RESET ROLE;
DROP OWNED BY regress_kanthorq_keep;
DROP ROLE regress_kanthorq_keep, regress_kanthorq_keep_other;
