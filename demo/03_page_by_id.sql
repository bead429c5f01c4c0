\echo == 3. Read the stream in pages by id. A page starts after the last id of the page before.
\pset expanded off
\set ECHO queries
SELECT id, left(encode(body, 'escape'), 68) AS body FROM kanthorq_events('package_log', size => 2);
\set ECHO none
SELECT max(id) AS last_id FROM kanthorq_events('package_log', size => 2) \gset
\set ECHO queries
SELECT id, left(encode(body, 'escape'), 68) AS body
FROM kanthorq_events('package_log', size => 2, after_id => :'last_id');
\set ECHO none
\pset expanded on

SELECT demo.verified(
    count(*) = :lines
    AND sha256(string_agg(body, '\x0a' ORDER BY ordinal)) = :'lines_sum',
    format('page by page (%s of up to 500) come all %s events, in the order of the lines',
           max(page), count(*)))
FROM demo.read_by_id(500) WITH ORDINALITY AS event (page, id, body, ordinal);
