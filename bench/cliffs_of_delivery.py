"""Cliffs of delivery: leases, cancelled events, and writers that end late."""

from pairs import Amount, Pair, alternating, some
from server import QUICK
from sessions import Cost, Session, median


def leases_run_out(bench):
    server, events = bench.server, some(bench, 4000)

    def pulls_after(leases):
        """The costs of the pulls that deliver all events again after their leases ran out."""
        server.stream("leased", consumer_start="first")
        server.fill("leased", events)
        server.pgbench(f"SELECT count(*) FROM kanthorq_pull('leased', {events // leases});",
                       transactions=leases, settings=QUICK)
        server.sql("SELECT count(kanthorq_extend('leased', lease, '1 ms')) FROM (SELECT lease FROM "
                   "kanthorq_delivery_lease WHERE consumer = 'leased' AND lease > 0) AS open")
        server.sql("VACUUM kanthorq_delivery_lease")
        pulls = []
        with Session() as session:
            while sum(pull.rows for pull in pulls) < events:
                pulls.append(session.explain("SELECT * FROM kanthorq_pull('leased', 100)"))
                if len(pulls) > events:
                    raise RuntimeError("not all events come again")
        return max(pulls, key=lambda pull: pull.ms), sum(pulls, Cost(0))
    many, one = alternating(bench, lambda: pulls_after(events), lambda: pulls_after(1))
    server.drop_stream("leased")
    what, beside = f"{events:,} leases of 1 event run out together", f"one lease of {events:,}"
    return [Pair("leases.longest", f"{what}: the longest pull of 100", beside,
                 *([longest for longest, _ in side] for side in (many, one))),
            Pair("leases.all", f"{what}: all pulls until every event came again", beside,
                 *([total for _, total in side] for side in (many, one)))]


def free_slots(bench):
    server, leases = bench.server, some(bench, 10000)
    server.stream("freed", consumer_start="first")
    server.sql("SELECT kanthorq_consumer_create('never_leased', 'freed')")
    server.fill("freed", leases)
    server.pgbench("SELECT count(*) FROM kanthorq_pull('freed', 1);", transactions=leases,
                   settings=QUICK)
    for consumer in ("freed", "never_leased"):
        server.sql(f"SELECT count(*) FROM kanthorq_pull('{consumer}', 10000)")
        server.sql(f"SELECT sum(kanthorq_ack('{consumer}', lease)) FROM (SELECT lease FROM "
                   f"kanthorq_delivery_lease WHERE consumer = '{consumer}' AND lease > 0) AS open")
    server.sql("VACUUM ANALYZE kanthorq_delivery_lease")
    with Session() as session:
        def empty_pull(consumer):
            return lambda: median([session.explain(
                f"SELECT * FROM kanthorq_pull('{consumer}', 100)") for _ in range(50)])
        found = alternating(bench, empty_pull("freed"), empty_pull("never_leased"))
    server.drop_stream("freed")
    return [Pair("slots", f"an empty pull after {leases:,} leases were open at once", "after one",
                 *found)]


def ids_of(server, stream, condition):
    """The ids of events as an array's text; n counts the events by position."""
    return "{" + server.sql(
        f"SELECT string_agg(id, ',') FROM (SELECT id, row_number() OVER (ORDER BY position) AS n "
        f"FROM kanthorq_stream_{stream}) AS event WHERE {condition}") + "}"


def cancel(bench):
    server, leases, few = bench.server, some(bench, 1000), some(bench, 200)
    server.stream("cancelled", consumer_start="first")
    server.sql("SELECT kanthorq_consumer_create('no_leases', 'cancelled')")
    server.fill("cancelled", leases * 100)
    server.pgbench("SELECT count(*) FROM kanthorq_pull('cancelled', 100);", transactions=leases,
                   settings=QUICK)
    server.sql("VACUUM ANALYZE kanthorq_delivery_lease")
    spread = ids_of(server, "cancelled", "n % 100 = 50")
    spread_few = ids_of(server, "cancelled", f"n % 100 = 50 AND n <= {few * 100}")
    with Session() as session:
        def undone(consumer, ids):
            return lambda: session.explain_undone(f"SELECT kanthorq_cancel('{consumer}', '{ids}')")
        found = alternating(bench, undone("cancelled", spread), undone("no_leases", spread_few))
    server.drop_stream("cancelled")
    return [Pair("cancel", f"cancel of {leases:,} ids in {leases:,} open leases of 100",
                 f"of {few:,} ids without leases, {leases // few} times", *found, leases / few)]


def cancelled_ahead(bench):
    server, ahead = bench.server, some(bench, 100000)
    server.stream("ahead", consumer_start="first")
    server.sql("SELECT kanthorq_consumer_create('nothing_cancelled', 'ahead')")
    server.fill("ahead", 10000 + ahead)
    piece = ahead // 10
    for first in range(10000, 10000 + ahead, piece):
        ids = ids_of(server, "ahead", f"n > {first} AND n <= {first + piece}")
        server.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "postgres"],
                   f"SELECT cardinality(kanthorq_cancel('ahead', '{ids}'));", QUICK)
    server.sql("VACUUM ANALYZE")
    with Session() as session:
        def pull(consumer):
            return lambda: session.explain_undone(
                f"SELECT * FROM kanthorq_pull('{consumer}', 100)", 10)
        found = alternating(bench, pull("ahead"), pull("nothing_cancelled"))
    server.drop_stream("ahead")
    return [Pair("ahead", f"a pull of 100 with {ahead:,} cancelled events ahead", "none", *found)]


def writer_ends(bench):
    """A writer is open while many events pass, and leaves without one."""
    server, passed = bench.server, bench.events
    server.stream("owed", consumer_start="first")
    server.fill("owed", passed)

    def new_event():
        """What it takes until a new event comes."""
        server.sql("SELECT kanthorq_publish('owed', 'order.created', 'x')")
        pulls = []
        with Session() as session:
            while not pulls or pulls[-1].rows == 0:
                pulls.append(session.explain("SELECT * FROM kanthorq_pull('owed', 100)"))
                if len(pulls) > 1000:
                    raise RuntimeError("the new event does not come")
        return len(pulls), sum(pulls, Cost(0))

    def after_writer():
        with Session() as writer:
            writer.ask("BEGIN; SELECT kanthorq_publish('owed', 'order.created', 'x')")
            server.seek("owed", "first")
            server.driver("drain", consumer="owed", size=10000, until=passed)
            writer.ask("ROLLBACK")
        return new_event()
    ended, none = alternating(bench, after_writer, new_event)
    server.drop_stream("owed")
    what = f"a writer was open while {passed:,} events passed and ends without one"
    return [Pair("writer", f"{what}: until a new event comes", "no such writer",
                 *([cost for _, cost in side] for side in (ended, none))),
            Amount("writer.pulls", f"{what}: pulls until a new event comes",
                   [count for count, _ in ended], f"{none[-1][0]} without such a writer", 2,
                   unit="pulls")]
