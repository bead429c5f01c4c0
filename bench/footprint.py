"""What is written and kept: WAL, and the memory of a session."""

from figures import Goal, Section, Table, alternate, figure, number, ratios
from publishing import INDEXED, PLAIN, drop_streams, fresh
from server import FIVE_COLUMNS


def wal_of(server, work, events):
    """Bytes of WAL for each of the events that the work is about."""
    before = server.wal_position()
    work()
    return (server.wal_position() - before) / events


def wal(bench):
    return [wal_of_consuming(bench), wal_of_publishing(bench)]


def wal_of_consuming(bench):
    server = bench.server
    server.backlog(bench.events)
    server.checkpoint()
    events = min(bench.events, 200000)

    def consume():
        server.seek("backlog", "first")
        return wal_of(server, lambda: server.driver("drain", consumer="backlog", size=100,
                                                    until=events), events)
    samples = alternate({"consumed": consume}, bench.rounds)["consumed"]
    return Section(
        "WAL of a consumed event",
        f"1 session, pull 100 + ack, {events:,} events a round: what `pg_current_wal_insert_lsn()` "
        "moved on. After a checkpoint the first round, which does not count, writes the images of "
        "full pages.",
        [Table(["", "bytes an event"], [["pull 100, ack", figure(samples)]])],
        [Goal("wal.consumed", "WAL of a consumed event, batches of 100", samples, 10, "at most",
              "bytes")])


def wal_of_publishing(bench):
    server = bench.server
    fresh(server)
    rows = 100000

    def side(table):
        return lambda: wal_of(server, lambda: server.driver(
            "batch", way="copy", rows=rows, transactions=1,
            sql=f"COPY {table} {FIVE_COLUMNS}"), rows)
    indexed, plain = f"a stream {INDEXED}", f"a stream {PLAIN}"
    samples = alternate({"bare": side("bare"), indexed: side("kanthorq_stream_indexed"),
                         plain: side("kanthorq_stream_plain")}, bench.rounds)
    drop_streams(server)
    table = Table(["`COPY` into", "bytes an event", "x bare"])
    for name, values in samples.items():
        table.lines.append([name, figure(values), figure(ratios(values, samples["bare"]))])
    return Section(
        "WAL of a published event",
        f"1 session, `COPY (FORMAT binary)` of {rows:,} rows a round with all five columns, "
        "measured the same way; the pages it fills are new, and new pages have no full images.",
        [table],
        [Goal("wal.published.indexed", f"WAL of an event published by `COPY` {INDEXED}, to bare",
              ratios(samples[indexed], samples["bare"]), 1.55, "at most"),
         Goal("wal.published.plain", f"WAL of an event published by `COPY` {PLAIN}, to bare",
              ratios(samples[plain], samples["bare"]), 1.22, "at most")])


def memory(bench):
    server = bench.server
    server.stream("published")
    server.backlog(bench.events)
    # The commits need not wait for the disk here: nothing is timed.
    quick = "-c synchronous_commit=off"
    most = {"publish": bench.memory_publishes, "pull": min(bench.memory_pulls, bench.events // 10)}
    found = {}
    for of, name in (("publish", "published"), ("pull", "backlog")):
        at = [1000, *(count for count in (10000, 100000) if count < most[of]), most[of]]
        found[of] = [(int(count), float(kilobytes)) for count, kilobytes in server.driver(
            "memory", settings=quick, of=of, name=name, samples=",".join(map(str, at)))]
    server.drop_stream("published")
    words = {"publish": "single publishes, a transaction each",
             "pull": "pulls of 10 with their acks, two transactions each"}
    table = Table(["in one session", "`RssAnon`"])
    goals = []
    for of, values in found.items():
        table.lines.append([words[of], ", ".join(
            f"{number(kilobytes)} kB after {count:,}" for count, kilobytes in values)])
        goals.append(Goal(f"memory.{of}", f"resident size after {values[-1][0]:,} {words[of]}, "
                          "to that after 1,000", [values[-1][1] / values[0][1]], 1.05, "at most"))
    return Section(
        "Memory",
        "The resident private memory (`RssAnon` in `/proc/<pid>/status`) of one server process, "
        "once, as it hardly varies; `synchronous_commit = off` in this session, as nothing is "
        "timed. \"Flat\" is read as 5 % at most.",
        [table], goals)
