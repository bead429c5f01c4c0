-- Makes an event of each line of the log. scripts/demo sets :lines, their number, and writes them
-- to lines.hex in hexadecimal, so that no byte can trip COPY. A line that is not dpkg's gets the
-- subject dpkg.unknown, and the time of the line before it. The times are local ones: they are
-- read, as later shown, in the server's time zone, which is the machine's.
--
-- Sorted by time, because the order of the ids is that of the times, and a clock may have stepped
-- back. Within a second the ids, and so the events, keep the order of the lines.

CREATE TEMPORARY TABLE raw (n bigint GENERATED ALWAYS AS IDENTITY, hex text NOT NULL);
\copy raw (hex) FROM 'lines.hex'

CREATE TEMPORARY TABLE line AS
WITH split AS (
    SELECT n, body, demo.line_time(escaped) AS at, string_to_array(substr(escaped, 21), ' ') AS word
    FROM raw, decode(hex, 'hex') AS body, encode(body, 'escape') AS escaped
), counted AS (
    SELECT *, count(at) OVER (ORDER BY n) AS times_so_far FROM split
), described AS (
    SELECT n, body,
           coalesce(first_value(at) OVER (PARTITION BY times_so_far ORDER BY n),
                    min(at) OVER (), now()) AS at,
           CASE
               WHEN at IS NULL THEN NULL
               WHEN word[1] = 'startup' THEN concat_ws('.', 'dpkg.startup', word[2], word[3])
               WHEN word[1] = 'status' THEN 'dpkg.status.' || word[2]
               ELSE 'dpkg.' || word[1]
           END AS subject,
           CASE
               WHEN at IS NULL THEN '{}'
               WHEN word[1] = 'startup' THEN
                   jsonb_build_object('action', word[1], 'type', word[2], 'command', word[3])
               WHEN word[1] = 'conffile' THEN
                   jsonb_build_object('action', word[1], 'file', word[2], 'decision', word[3])
               WHEN word[1] = 'status' THEN
                   jsonb_build_object('action', word[1], 'state', word[2],
                       'package', split_part(word[3], ':', 1),
                       'architecture', nullif(split_part(word[3], ':', 2), ''),
                       'version', nullif(word[4], '<none>'))
               ELSE
                   jsonb_build_object('action', word[1],
                       'package', split_part(word[2], ':', 1),
                       'architecture', nullif(split_part(word[2], ':', 2), ''),
                       'from', nullif(word[3], '<none>'), 'to', nullif(word[4], '<none>'))
           END AS metadata
    FROM counted
)
SELECT n, body, at, jsonb_strip_nulls(metadata) AS metadata,
       CASE WHEN kanthorq_is_subject(subject) THEN subject ELSE 'dpkg.unknown' END AS subject
FROM described;

\echo == 2. Publish every line as an event. Its id is a ULID made for the time of the line.
\set ECHO queries
SELECT cardinality(kanthorq_publish_many('package_log', array_agg(subject), array_agg(body),
           array_agg(metadata), array_agg(kanthorq_ulid(at)))) AS published
FROM (SELECT * FROM line ORDER BY at, n) AS in_time_order;
\set ECHO none

-- The later steps compare the stream with this.
SELECT sha256(string_agg(body, '\x0a' ORDER BY at, n)) AS lines_sum FROM line \gset
SELECT demo.verified(count(*) = :lines
                     AND sha256(string_agg(body, '\x0a' ORDER BY id)) = :'lines_sum',
                     'one event a line; in the order of the ids, the bodies are the lines')
FROM kanthorq_stream_package_log;
SELECT demo.verified(
    NOT EXISTS (
        SELECT subject, body, metadata, extract(epoch FROM at) * 1000 FROM line
        EXCEPT ALL
        SELECT subject, body, metadata, created_at FROM kanthorq_stream_package_log),
    'each event has the subject, the metadata and the time of its line');
