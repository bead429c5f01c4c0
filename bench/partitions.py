"""A partitioned stream beside a plain one with the same events: publishing, pulls at its head, a
replay, a page."""

import re

from consuming import drain_rate
from figures import Goal, Section, Table, alternate, figure, ratios
from publishing import ARRAYS, EVENT

# Maintenance makes and closes partitions as time goes by. Here those of the last days are made at once.
PAST = """DO $$
DECLARE
    parent regclass := kanthorq_stream_table('{name}');
    leaf text;
    low bigint;
    high bigint;
BEGIN
    FOR day IN REVERSE {days}..1 LOOP
        leaf := format('kanthorq_stream_{name}__past%s', day);
        EXECUTE format('CREATE TABLE %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', leaf, parent,
            kanthorq_ulid_floor(date_trunc('day', now(), 'UTC') - day * interval '1 day'),
            kanthorq_ulid_floor(date_trunc('day', now(), 'UTC') - (day - 1) * interval '1 day'));
        INSERT INTO kanthorq_partition VALUES (parent, leaf::regclass, 0, 9223372036854775807);
    END LOOP;
END $$"""

# {events} for each of the last days, and {today} of today.
EVENTS = """INSERT INTO kanthorq_stream_{name} (id, subject, body, metadata)
SELECT kanthorq_ulid(date_trunc('day', now(), 'UTC') - day * interval '1 day' + n * interval '1 ms'),
    'order.created', repeat('x', 200)::bytea, '{{"trace": "4bf92f3577b34da6a3ce929d0e0e4736", "v": 2}}'
FROM generate_series({days}, 0, -1) AS day,
    LATERAL generate_series(1, CASE day WHEN 0 THEN {today} ELSE {events} END) AS n"""

CLOSE = """DO $$
DECLARE
    leaf regclass;
    low bigint;
    high bigint;
BEGIN
    FOR leaf IN SELECT partition FROM kanthorq_partition
        WHERE stream = kanthorq_stream_table('{name}') AND partition::text LIKE '%\\_\\_past%' LOOP
        EXECUTE format('SELECT min(position), max(position) FROM %s', leaf) INTO low, high;
        UPDATE kanthorq_partition SET first_position = low, last_position = high
        WHERE partition = leaf;
    END LOOP;
END $$"""


def make(server, name, days, events, today):
    """The streams `name` with so many closed partitions, and `name`_plain, which has none; with a
    consumer each. Returns how many events each of them has."""
    for stream in (name, f"{name}_plain"):
        server.drop_stream(stream)
        interval = "NULL" if stream.endswith("_plain") else "'1 day'"
        server.sql(f"SELECT kanthorq_stream_create('{stream}', partition_interval => {interval})")
        server.sql(f"SELECT kanthorq_consumer_create('{stream}', '{stream}')")
        if stream == name:
            server.sql(PAST.format(name=name, days=days))
        server.sql(EVENTS.format(name=stream, days=days, events=events, today=today))
        if stream == name:
            server.sql(CLOSE.format(name=name))
        server.sql(f"VACUUM ANALYZE kanthorq_stream_{stream}")
    server.sql("VACUUM ANALYZE kanthorq_partition")
    return days * events + today


def drop(server, name):
    for stream in (name, f"{name}_plain"):
        server.drop_stream(stream)


def partitions(bench):
    return [into_the_last(bench), at_the_head(bench), in_a_new_session(bench), replay(bench)]


def into_the_last(bench):
    server, streams = bench.server, ("published", "published_plain")
    make(server, "published", days=395, events=1, today=1)
    calls = {"one event a transaction": f"kanthorq_publish('{{}}', {EVENT})",
             "100 events a call": f"kanthorq_publish_many('{{}}', {ARRAYS})"}
    scripts = {(what, stream): "SELECT " + call.replace("{}", stream) + ";"
               for what, call in calls.items() for stream in streams}
    samples = alternate({side: lambda script=script: server.pgbench(script, 1, bench.seconds)
                         for side, script in scripts.items()}, bench.rounds, server.checkpoint)
    drop(server, "published")
    table = Table(["what", "a second", "a second into a plain stream", "ratio"])
    goals = []
    for what, key in zip(calls, ("publish", "publish_many")):
        sides = [samples[what, stream] for stream in streams]
        table.lines.append([what, *(figure(side) for side in sides), figure(ratios(*sides))])
        goals.append(Goal(f"partitions.{key}", f"{what}, into a stream with 400 partitions, to a "
                          "plain one", ratios(*sides), 0.93))
    return Section(
        "Publishing into a partitioned stream",
        "1 session, calls a second, `pgbench -M prepared`. All events go to the partition of today, "
        "of a stream with 395 closed partitions and 6 open ones.", [table], goals)


def at_the_head(bench):
    server, today = bench.server, 50000
    make(server, "parted", days=395, events=200, today=today)
    scripts = {}
    for stream in ("parted", "parted_plain"):
        first = server.sql(f"SELECT id FROM kanthorq_stream_{stream} ORDER BY position DESC "
                           f"OFFSET {today // 2} LIMIT 1")
        server.seek(stream, first)
        pull = "BEGIN;\nSELECT count(*) FROM kanthorq_pull('{}', {});\nROLLBACK;"
        scripts["pull of 100", stream] = pull.format(stream, 100)
        scripts["pull of 1", stream] = pull.format(stream, 1)
        page = "SELECT count(*) FROM kanthorq_events('{}'{});"
        scripts["first page of 100 by id", stream] = page.format(stream, "")
        scripts["page of 100 by id", stream] = page.format(stream, f", after_id => '{first}'")
    samples = alternate({side: lambda script=script: 1e6 / server.pgbench(script, 1, bench.seconds)
                         for side, script in scripts.items()}, bench.rounds, server.checkpoint)
    drop(server, "parted")
    table = Table(["what", "µs", "µs of a plain stream", "ratio"])
    goals = []
    for what, key, goal in (("pull of 100", "pull_100", 1.1), ("pull of 1", "pull_1", 1.3),
                            ("first page of 100 by id", "first_page", 2),
                            ("page of 100 by id", "page", 2)):
        sides = samples[what, "parted"], samples[what, "parted_plain"]
        table.lines.append([what, *(figure(side) for side in sides), figure(ratios(*sides))])
        goals.append(Goal(f"partitions.{key}", f"{what}, of a stream with 400 partitions, to a "
                          "plain one", ratios(*sides), goal, "at most"))
    return Section(
        "Reading a partitioned stream",
        "1 session, `pgbench -M prepared`. A stream with 395 closed partitions and 6 open ones, "
        "beside a plain one with the same events. The pulls are among the last 25,000 events, in "
        "a transaction that is rolled back.", [table], goals)


def first_call(server, call):
    """The milliseconds that a call takes as the first one of a session."""
    printed = server.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "postgres"],
                         f"SELECT kanthorq_ulid();\nBEGIN;\n\\timing on\n{call}\n")
    return float(re.search(r"^Time: ([0-9.]+) ms", printed, re.M).group(1))


def in_a_new_session(bench):
    server, sessions = bench.server, 10
    make(server, "looked_at", days=395, events=1, today=1000)
    for stream in ("looked_at", "looked_at_plain"):
        server.seek(stream, server.sql(
            f"SELECT id FROM kanthorq_stream_{stream} ORDER BY position DESC OFFSET 499 LIMIT 1"))
    calls = {"publish": "SELECT kanthorq_publish('{}', 'order.created', '');",
             "pull of 100": "SELECT count(*) FROM kanthorq_pull('{}', 100);"}
    samples = alternate(
        {(what, stream): lambda call=call, stream=stream: min(
            first_call(server, call.format(stream)) for _ in range(sessions))
         for what, call in calls.items() for stream in ("looked_at", "looked_at_plain")},
        bench.rounds, server.checkpoint)
    drop(server, "looked_at")
    table = Table(["what", "ms", "ms of a plain stream", "ratio"])
    goals = []
    for what, key, goal in (("publish", "first_publish", 3), ("pull of 100", "first_pull", 2)):
        sides = samples[what, "looked_at"], samples[what, "looked_at_plain"]
        table.lines.append([f"first {what}", *(figure(side) for side in sides), figure(ratios(*sides))])
        goals.append(Goal(f"partitions.{key}", f"the first {what} in a new session, of a stream "
                          "with 400 partitions, to a plain one", ratios(*sides), goal, "at most"))
    return Section(
        "A partitioned stream in a new session",
        f"The first call of a session, in a transaction that is rolled back; the least of {sessions} "
        "sessions in each round. A stream with 395 closed partitions and 6 open ones; the pull is among "
        "its last 500 events.", [table], goals)


def replay(bench):
    server = bench.server
    events = make(server, "replayed", days=100, events=bench.events // 100, today=1000)
    samples = alternate({stream: lambda stream=stream: events / drain_rate(
        server, stream, 1000, events) for stream in ("replayed", "replayed_plain")},
        bench.rounds, server.checkpoint)
    drop(server, "replayed")
    sides = samples["replayed"], samples["replayed_plain"]
    table = Table(["s", "s of a plain stream", "ratio"],
                  [[*(figure(side) for side in sides), figure(ratios(*sides))]])
    return Section(
        "Replaying closed partitions",
        f"1 session, pull 1,000 and ack, two transactions a batch, from the first of {events:,} "
        "events in 100 closed partitions, beside a plain stream with the same events.", [table],
        [Goal("partitions.replay", "the time of a replay over 100 closed partitions, to a plain "
              "stream", ratios(*sides), 1.25, "at most")])
