"""Consuming: batches, a drain, the size of the stream, a selective consumer."""

from figures import Goal, Section, Table, alternate, figure, rate_table, ratios
from plots import Curve, plot
from publishing import PGQ_100


def drain_rate(server, consumer, size, until, **options):
    """Events a second of a worker that starts at the first event."""
    server.seek(consumer, "first")
    return until / server.driver_value("seconds", "drain", consumer=consumer, size=size,
                                       until=until, **options)


# Settings of a session in which a pull's own commit waits for the disk.
DURABLE = "-c kanthorq.durable_pull=on"


def has_durable_pull(server):
    """Whether this version has that setting; a version without it always waits."""
    return server.sql("SELECT count(*) FROM pg_settings WHERE name = 'kanthorq.durable_pull'") == "1"


def consume(bench):
    return [consume_batches(bench), consume_together(bench)]


def consume_batches(bench):
    server = bench.server
    server.backlog(bench.events)
    pgq, some = "PgQ publishes 100 a transaction", min(bench.events, 60000 * bench.seconds)
    pulls = {"pull 100, ack": {"size": 100, "until": some},
             "pull 1,000, ack": {"size": 1000, "until": bench.events},
             "pull 100 with its rows sent to the client, ack":
                 {"size": 100, "until": some, "rows": "yes"},
             "pull 1,000 with its rows sent to the client, ack":
                 {"size": 1000, "until": some, "rows": "yes"}}
    if has_durable_pull(server):
        pulls["pull 100, ack, with `kanthorq.durable_pull = on`"] = {
            "size": 100, "until": some, "settings": DURABLE}
    sides = {pgq: lambda: server.pgbench(PGQ_100, 1, bench.seconds) * 100}
    for side, pull in pulls.items():
        sides[side] = lambda pull=pull: drain_rate(server, "backlog", **pull)
    samples = alternate(sides, bench.rounds, lambda: (server.queue(), server.checkpoint()))
    server.queue()
    hundred, thousand = list(samples)[1:3]
    return Section(
        "Consuming in batches",
        f"1 session, two transactions a batch, of a stream of {bench.events:,} events. The rows "
        "are counted in the server (`SELECT count(*), max(lease) FROM kanthorq_pull(...)`), except "
        "where it says that they are sent. Beside it PgQ's rate of publishing, 1 session, 100 "
        "events a transaction.",
        [rate_table("side", samples, {"PgQ publishing": (pgq, list(samples)[1:])})],
        [Goal("consume.100", "pull 100 + ack, to PgQ's publishing of 100 a transaction",
              ratios(samples[hundred], samples[pgq]), 3),
         Goal("consume.1000", "pull 1,000 + ack, to PgQ's publishing of 100 a transaction",
              ratios(samples[thousand], samples[pgq]), 6.7)])


def consume_together(bench):
    server = bench.server
    server.backlog(bench.events)
    ways = {"two transactions": "no",
            "one transaction, a statement each (`BEGIN`, ack, pull, `COMMIT`)": "statements",
            "one transaction in one round trip (libpq's pipeline)": "pipeline"}
    sides = {}
    for size, each_second in ((100, 40000), (1000, 150000)):
        until = min(bench.events, each_second * bench.seconds)
        for way, together in ways.items():
            sides[f"{size:,}: {way}"] = lambda size=size, until=until, together=together: (
                drain_rate(server, "backlog", size, until, together=together))
    samples = alternate(sides, bench.rounds, server.checkpoint)
    names = list(samples)
    return Section(
        "An ack and the next pull in one transaction",
        "1 session; the same events, counted in the server. One transaction acknowledges a batch "
        "and pulls the next one, so a batch takes one commit.",
        [rate_table("events a batch", samples, {
            "two transactions of 100": (names[0], names[1:3]),
            "two transactions of 1,000": (names[3], names[4:])})])


def drain(bench):
    server = bench.server
    server.backlog(bench.events)
    batch = pgq_batch(server, bench.pgq_events)
    read = f"SELECT count(*) FROM pgq.get_batch_events({batch});"
    pgq = f"PgQ, one batch of {bench.pgq_events:,}"
    ours = "pull 10,000, ack"
    samples = alternate({
        pgq: lambda: server.pgbench(read, transactions=1) * bench.pgq_events,
        ours: lambda: drain_rate(server, "backlog", 10000, bench.events)},
        bench.rounds, server.checkpoint)
    server.queue()
    return Section(
        "Draining, counted in the server",
        f"1 session. PgQ: `SELECT count(*) FROM pgq.get_batch_events(...)` over one batch. "
        f"KanthorQ: `SELECT count(*), max(lease) FROM kanthorq_pull(..., 10000)` and "
        f"`kanthorq_ack` until {bench.events:,} events are consumed, two transactions a batch.",
        [rate_table("side", samples, {"PgQ": (pgq, [ours])})],
        [Goal("drain", "drain counted in the server, pull 10,000, to PgQ's batch read",
              ratios(samples[ours], samples[pgq]), 3)])


def pgq_batch(server, events):
    """Puts that many events into one PgQ batch and returns the batch's number."""
    server.queue()
    server.sql("SELECT pgq.register_consumer('orders', 'reader')")
    server.pgbench(PGQ_100, 1, transactions=events // 100)
    server.sql("VACUUM ANALYZE")
    server.sql("SELECT pgq.force_tick('orders')")
    server.sql("SELECT pgq.ticker('orders')")
    batch = server.sql("SELECT pgq.next_batch('orders', 'reader')")
    found = server.sql(f"SELECT count(*) FROM pgq.get_batch_events({batch})")
    if int(found) != events:
        raise RuntimeError(f"PgQ's batch has {found} events, not {events}")
    return batch


def size(bench):
    server = bench.server
    streams = {f"stream_of_{events}": events for events in bench.sizes}
    sides = {}
    for stream, events in streams.items():
        server.stream(stream, consumer_start="new")
        server.fill(stream, events)
        # Near the end of each stream: the last 50,000 events.
        last = min(50000, events)
        server.seek(stream, server.sql(
            f"SELECT id FROM kanthorq_stream_{stream} ORDER BY position DESC "
            f"OFFSET {last - 1} LIMIT 1"))
        script = (f"BEGIN;\nSELECT count(*) FROM kanthorq_pull('{stream}', 100);\nROLLBACK;")
        sides[stream] = lambda script=script: 1e6 / server.pgbench(script, 1, bench.seconds)
    samples = alternate(sides, bench.rounds, server.checkpoint)
    for stream in streams:
        server.drop_stream(stream)
    small, large = "stream_of_100000", list(streams)[-1]
    table = Table(["events in the stream", "µs a pull", "x the time at 100,000"])
    curve = []
    for stream, events in streams.items():
        table.lines.append([f"{events:,}", figure(samples[stream]),
                            figure(ratios(samples[stream], samples[small]))])
        curve.append((events, samples[stream]))
    plot(bench, "pull_by_stream_size", "A pull of 100 against the size of the stream",
         "events in the stream", "time of a pull (µs)", [Curve("", curve)], "set logscale x 10\nset xrange [70000:14000000]")
    return Section(
        "Pulling from large streams",
        "1 session, a pull of 100 in a transaction that is rolled back, so that each one finds "
        "the same events, among the last 50,000 of the stream; `pgbench -M prepared`.",
        [table],
        [Goal("size", f"time of a pull of 100 at {streams[large]:,} events, to 100,000",
              ratios(samples[large], samples[small]), 1.15, "at most")],
        [("pull_by_stream_size", "the time of a pull by the size of the stream")])


def selective(bench):
    server = bench.server
    events, rare = 1000000, 10000
    server.stream("mixed")
    server.fill("mixed", events, rare)
    server.sql("SELECT kanthorq_consumer_create('picky', 'mixed', includes => '{order.settled}')")

    def look():
        server.seek("picky", "first")
        seconds = server.driver_value("seconds", "drain", consumer="picky", size=100,
                                      until=events // rare)
        return events / seconds
    samples = alternate({"looked at": look}, bench.rounds, server.checkpoint)["looked at"]
    server.drop_stream("mixed")
    return Section(
        "A selective consumer",
        f"1 session, pull 100 + ack, a filter that matches 1 event in {rare:,}, from the first of "
        f"{events:,} events until the last, which matches. Counted are the events looked at.",
        [Table(["", "events looked at a second"], [["pull 100, ack", figure(samples)]])],
        [Goal("selective", "a selective consumer's events looked at a second", samples, 1.5e6,
              unit="events/s")])
