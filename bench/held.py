"""A snapshot that is held in the same database, while producers and a consumer work."""


from figures import Goal, Section, Table, figure
from sessions import Session

WAYS = {"kanthorq": "KanthorQ", "pgq": "PgQ"}
MEASURES = ("published", "publish", "consumed", "consume")


def held(bench):
    windows = {way: [] for way in WAYS}
    server = bench.server
    server.sql("ALTER SYSTEM SET autovacuum = on")
    server.sql("SELECT pg_reload_conf()")
    for _ in range(bench.held_windows):
        for way, found in windows.items():
            found.append(window(bench, way))
    server.sql("ALTER SYSTEM RESET autovacuum")
    server.sql("SELECT pg_reload_conf()")
    server.drop_stream("held")
    server.queue()
    words = {"published": "events published a second", "publish": "a publishing call (ms)",
             "consumed": "events consumed a second", "consume": "a batch of the consumer (ms)"}
    table = Table(["", "of", "first slice", "last slice", "x the first"])
    for measure, text in words.items():
        for way, name in WAYS.items():
            slices = [column(one, measure) for one in windows[way]]
            table.lines.append([text, name, figure([one[0] for one in slices]),
                                figure([one[-1] for one in slices]),
                                "" if measure.endswith("ed") else figure(growth(slices))])
    by_slice = Table(["slice", *(f"{name}: {what} (ms)" for name in WAYS.values()
                                 for what in ("a publishing call", "a batch"))])
    for number in range(len(windows["kanthorq"][0])):
        by_slice.lines.append([f"{number + 1}", *(
            figure([column(one, measure)[number] for one in windows[way]])
            for way in WAYS for measure in ("publish", "consume"))])

    def goal(measure, what):
        return Goal(f"held.{measure}", f"{what} under a held snapshot, last slice to the first",
                    growth([column(one, measure) for one in windows["kanthorq"]]), 1.2, "at most")
    return Section(
        "A held snapshot in the same database",
        f"{bench.held_windows} windows of {bench.held_seconds} s each, in slices of "
        f"{bench.held_seconds // bench.held_slices} s, KanthorQ and PgQ alternating. A `REPEATABLE "
        "READ` transaction that has read holds its snapshot for the whole window, in the same "
        "database, and autovacuum is on. 4 sessions publish one event a transaction at full speed; "
        "one consumer fetches the rows. Its batch is a pull of up to 1,000 and the ack, or "
        "`next_batch`, `get_batch_events` and `finish_batch`, without the time in which there is "
        "nothing. `pgq.ticker()` is called every 100 ms.",
        [table, by_slice],
        [goal("publish", "time of a publishing call"), goal("consume", "time of a pull and ack")])


def window(bench, way):
    """A line of MEASURES for each slice."""
    server = bench.server
    if way == "kanthorq":
        server.stream("held", consumer_start="new")
    else:
        server.queue()
        server.sql("SELECT pgq.register_consumer('orders', 'reader')")
    server.checkpoint()
    with Session() as holder:
        holder.ask("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        printed = server.driver(
            "held", way=way, name="held" if way == "kanthorq" else "orders", producers=4,
            seconds=bench.held_seconds, slice=bench.held_seconds // bench.held_slices)
    return [[float(word) for word in words[1:]] for words in printed]


def column(slices, measure):
    return [one[MEASURES.index(measure)] for one in slices]


def growth(windows):
    return [one[-1] / one[0] for one in windows]
