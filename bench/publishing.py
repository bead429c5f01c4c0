"""Publishing: single events, batches, COPY, and what idle consumers cost publishers."""

import subprocess

from figures import Goal, Section, alternate, rate_table, ratios
from server import BODY, FIVE_COLUMNS, METADATA

EVENT = f"'order.created', '{BODY}', '{METADATA}'"
ARRAYS = (f"array_fill('order.created'::text, array[100]), array_fill('{BODY}'::bytea, array[100]),"
          f" array_fill('{METADATA}'::jsonb, array[100])")
PGQ_EVENT = f"pgq.insert_event('orders', 'order.created', '{BODY}{METADATA}')"
PGQ_100 = f"SELECT count({PGQ_EVENT}) FROM generate_series(1, 100);"

INDEXED = "with the subject index"
PLAIN = "without the subject index"


def make_streams(server):
    server.stream("indexed")
    server.stream("plain", subject_index=False)


def drop_streams(server):
    for name in ("indexed", "plain"):
        server.drop_stream(name)
    server.sql("DROP TABLE IF EXISTS bare")
    server.queue()


def fresh(server):
    """New, empty tables, so that all sides start alike and what was written before is not being
    brought to the disk while they run."""
    make_streams(server)
    server.bare()
    server.queue()
    server.checkpoint()


def publish(bench):
    server = bench.server
    scripts = {
        "PgQ `insert_event`": f"SELECT {PGQ_EVENT};",
        "bare `INSERT`": "INSERT INTO bare (id, subject, body, metadata) "
                         f"VALUES (kanthorq_ulid(), {EVENT});",
    }
    for stream, words in (("indexed", INDEXED), ("plain", PLAIN)):
        scripts[f"`INSERT` into a stream {words}"] = (
            f"INSERT INTO kanthorq_stream_{stream} (subject, body, metadata) VALUES ({EVENT});")
        scripts[f"`kanthorq_publish`, {words}"] = f"SELECT kanthorq_publish('{stream}', {EVENT});"
    samples = alternate({side: lambda script=script: server.pgbench(script, 8, bench.seconds)
                         for side, script in scripts.items()}, bench.rounds, lambda: fresh(server))
    drop_streams(server)
    pgq, bare, _, indexed, _, plain = samples
    return Section(
        "Publishing one event a transaction",
        "8 sessions, one event a transaction, `pgbench -M prepared`. \"Bare\" is a table of the "
        "five columns with its primary key alone, its ids made by `kanthorq_ulid()`.",
        [rate_table("side", samples, {"bare": (bare, list(samples)[2:]),
                                      "PgQ": (pgq, list(samples)[1:])})],
        [Goal("publish.indexed.bare", f"publish, 1 a transaction, {INDEXED}, to bare `INSERT`",
              ratios(samples[indexed], samples[bare]), 0.9),
         Goal("publish.plain.bare", f"publish, 1 a transaction, {PLAIN}, to bare `INSERT`",
              ratios(samples[plain], samples[bare]), 0.95),
         Goal("publish.indexed.pgq", f"publish, 1 a transaction, {INDEXED}, to PgQ",
              ratios(samples[indexed], samples[pgq]), 1.05)])


def publish_many(bench):
    server = bench.server
    scripts = {"PgQ `insert_event`": PGQ_100}
    for stream, words in (("indexed", INDEXED), ("plain", PLAIN)):
        scripts[f"`INSERT ... SELECT unnest(...)`, {words}"] = (
            f"INSERT INTO kanthorq_stream_{stream} (subject, body, metadata) "
            f"SELECT * FROM unnest({ARRAYS});")
        scripts[f"`kanthorq_publish_many`, {words}"] = (
            f"SELECT kanthorq_publish_many('{stream}', {ARRAYS});")
    samples = alternate({side: lambda script=script: server.pgbench(script, 1, bench.seconds)
                         for side, script in scripts.items()}, bench.rounds, lambda: fresh(server))
    drop_streams(server)
    pgq, unnest, many, unnest_plain, many_plain = samples
    hundreds = dict.fromkeys(samples, 100)
    section = Section(
        "Publishing 100 events a transaction",
        "1 session, 100 events a transaction, `pgbench -M prepared`. The arrays of both sides are "
        "the same expressions (`array_fill` of subject, body and metadata), evaluated in the "
        "server; PgQ's events are constants there, too: `SELECT count(pgq.insert_event(...)) FROM "
        "generate_series(1, 100)`.",
        [rate_table("side", samples, {
            "PgQ": (pgq, list(samples)[1:]),
            "`unnest` into the same stream, indexed": (unnest, [many]),
            "the same, not indexed": (unnest_plain, [many_plain])}, hundreds)],
        [Goal("publish_many.indexed.pgq", f"`publish_many` of 100, {INDEXED}, to PgQ",
              ratios(samples[many], samples[pgq]), 1.9),
         Goal("publish_many.indexed.pgq.dear",
              "the same, also where a system call costs more than 1 µs at best",
              ratios(samples[many], samples[pgq]), 1.6),
         Goal("publish_many.plain.pgq", f"`publish_many` of 100, {PLAIN}, to PgQ",
              ratios(samples[many_plain], samples[pgq]), 2.2),
         Goal("publish_many.indexed.unnest",
              f"`publish_many` of 100, {INDEXED}, to `INSERT ... SELECT unnest(...)`",
              ratios(samples[many], samples[unnest]), 1.25),
         Goal("publish_many.plain.unnest",
              f"`publish_many` of 100, {PLAIN}, to `INSERT ... SELECT unnest(...)`",
              ratios(samples[many_plain], samples[unnest_plain]), 1.25)])
    return [section, thousand(bench)]


def thousand(bench):
    server = bench.server

    def side(way, sql):
        return lambda: server.driver_value("rate", "batch", way=way, sql=sql, rows=1000,
                                           seconds=bench.seconds)
    copy, many, many_ids = "`COPY`, five columns", "`kanthorq_publish_many`", (
        "`kanthorq_publish_many` with the ids given")
    samples = alternate({
        copy: side("copy", f"COPY kanthorq_stream_indexed {FIVE_COLUMNS}"),
        many: side("arrays", "SELECT kanthorq_publish_many('indexed', $1, $2, $3)"),
        many_ids: side("arrays_ids", "SELECT kanthorq_publish_many('indexed', $1, $2, $3, $4)"),
    }, bench.rounds, lambda: fresh(server))
    drop_streams(server)
    return Section(
        "Publishing 1,000 events a transaction from a client",
        f"1 session, 1,000 events a transaction, {INDEXED}. A client with libpq sends binary "
        "buffers that it made once, `COPY (FORMAT binary)` with new ids written into them off the "
        "clock, or binary arrays as parameters of a prepared statement. Each batch is one "
        "statement and its own transaction.",
        [rate_table("side", samples, {"`COPY`": (copy, [many, many_ids])})],
        [Goal("publish_many.copy", "`publish_many` of 1,000 to `COPY` of 1,000",
              ratios(samples[many], samples[copy]), 1.0)])


def copy(bench):
    server = bench.server
    rows = bench.copy_rows

    def side(table):
        return lambda: server.driver_value("rate", "batch", way="copy", rows=rows, transactions=1,
                                           sql=f"COPY {table} {FIVE_COLUMNS}")
    indexed, plain = f"a stream {INDEXED}", f"a stream {PLAIN}"
    samples = alternate({
        "bare": side("bare"), indexed: side("kanthorq_stream_indexed"),
        plain: side("kanthorq_stream_plain")}, bench.rounds, lambda: fresh(server))
    drop_streams(server)
    return Section(
        "COPY",
        f"1 session, `COPY (FORMAT binary)` of {rows:,} rows with all five columns, one "
        "transaction, the buffer made before.",
        [rate_table("into", samples, {"bare": ("bare", [indexed, plain])})],
        [Goal("copy.indexed", f"`COPY` into a stream {INDEXED}, to bare",
              ratios(samples[indexed], samples["bare"]), 0.47),
         Goal("copy.plain", f"`COPY` into a stream {PLAIN}, to bare",
              ratios(samples[plain], samples["bare"]), 0.65)])


class WaitingSessions:
    """While it is open, a session for each of the consumers waits for events."""

    def __init__(self, server, consumers):
        self.server = server
        self.consumers = consumers

    def __enter__(self):
        command = self.server.driver_command("waiting", consumers=",".join(self.consumers))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        if not self.process.stdout.readline().startswith("ready"):
            raise RuntimeError("the waiting sessions did not start")
        self.server.wait_until(
            f"count(*) = {len(self.consumers)} FROM pg_stat_activity WHERE state = 'active' "
            "AND wait_event IS NOT NULL AND query LIKE '%wait => %' AND pid <> pg_backend_pid()")

    def __exit__(self, *error):
        self.process.stdin.close()
        if self.process.wait() != 0 and error[0] is None:
            raise RuntimeError("the waiting sessions failed")


IDLE = (("crowded", 100, "{>}"), ("elsewhere", 100, "{>}"), ("filtered", 20, "{nothing.like.it}"))


def fresh_with_consumers(server):
    for stream, count, includes in IDLE:
        server.stream(stream)
        server.sql(f"SELECT count(kanthorq_consumer_create('{stream}_' || i, '{stream}', "
                   f"includes => '{includes}')) FROM generate_series(1, {count}) AS i")
    fresh(server)


def idle(bench):
    server = bench.server

    def publish_to(stream):
        return server.pgbench(f"SELECT kanthorq_publish('{stream}', {EVENT});", 8, bench.seconds)

    def publish_beside(stream, waiting, count):
        with WaitingSessions(server, [f"{waiting}_{i}" for i in range(1, count + 1)]):
            return publish_to(stream)
    none = "no consumer"
    crowded = "100 consumers of the stream that nobody pulls from"
    elsewhere = "100 sessions that wait for another stream"
    filtered = "20 sessions that wait for this stream, whose filter matches nothing"
    samples = alternate({
        none: lambda: publish_to("indexed"),
        crowded: lambda: publish_to("crowded"),
        elsewhere: lambda: publish_beside("indexed", "elsewhere", 100),
        filtered: lambda: publish_beside("filtered", "filtered", 20),
    }, bench.rounds, lambda: fresh_with_consumers(server))
    for stream, _, _ in IDLE:
        server.drop_stream(stream)
    drop_streams(server)
    return Section(
        "Publishing beside idle consumers",
        f"8 sessions, one event a transaction, `kanthorq_publish`, `pgbench -M prepared`, "
        f"{INDEXED}. The sessions wait in `kanthorq_pull(..., wait => '1 minute')`. The last line "
        "has no goal: those workers wake up and look at what was published.",
        [rate_table("beside", samples, {"none": (none, list(samples)[1:])})],
        [Goal("idle.consumers", "publish with 100 consumers that nobody pulls from, to none",
              ratios(samples[crowded], samples[none]), 0.97),
         Goal("idle.sessions", "publish beside 100 sessions that wait for another stream, to none",
              ratios(samples[elsewhere], samples[none]), 0.97)])
