\echo == 8. What would spoil a stream is refused.
SELECT statement, error, detail FROM demo.refused(
    $$SELECT kanthorq_publish_text('package_log', 'dpkg..installed', 'two dots')$$, '22023');
SELECT statement, error, detail FROM demo.refused(
    $$SELECT kanthorq_publish_text('package_log', 'demo.note', '', id => gen_random_uuid()::text)$$,
    '22023');
SELECT statement, error, detail FROM demo.refused(
    $$UPDATE kanthorq_stream_package_log SET subject = 'demo.note'$$, '55000');
SELECT statement, error, hint
FROM demo.refused($$DELETE FROM kanthorq_stream_package_log$$, '55000');

SELECT demo.verified(count(*) = :lines
                     AND sha256(string_agg(body, '\x0a' ORDER BY id)) = :'lines_sum',
                     'the stream is what it was')
FROM kanthorq_stream_package_log;
