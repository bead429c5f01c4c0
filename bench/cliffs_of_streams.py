"""Cliffs of streams: trimming, and what the views look at."""

import contextlib

from pairs import Pair, alternating, some
from server import QUICK
from sessions import Session


def open_publishers(stack, stream, count):
    """Sessions that have published to the stream and stay open until the stack ends."""
    for _ in range(count):
        session = stack.enter_context(Session())
        session.ask(f"BEGIN; SELECT kanthorq_publish('{stream}', 'order.created', 'x')")


def trim(bench):
    server, passed = bench.server, some(bench, 300000)
    server.stream("trimmed", consumer_start="first")
    server.fill("trimmed", passed)

    def trim_all(publishers):
        with contextlib.ExitStack() as stack:
            open_publishers(stack, "trimmed", publishers)
            server.seek("trimmed", "first")
            server.driver("drain", consumer="trimmed", size=10000, until=passed)
            server.sql("VACUUM ANALYZE kanthorq_stream_trimmed")
            session = stack.enter_context(Session())
            return session.explain_undone(
                "SELECT kanthorq_stream_trim('trimmed', kanthorq_ulid(), 'trimmed')")
    trim_all(0)
    found = alternating(bench, lambda: trim_all(20), lambda: trim_all(0))
    server.drop_stream("trimmed")
    return [Pair("trim", f"trim of {passed:,} events that passed 20 open publishers",
                 "no open publisher", *found)]


VIEWS = ("kanthorq_streams", "kanthorq_consumers")


def uncommitted(bench):
    server, rows = bench.server, some(bench, 300000)
    server.stream("unseen", consumer_start="new")
    server.sql("SELECT kanthorq_publish('unseen', 'order.created', 'x')")
    server.sql("SELECT kanthorq_ack('unseen', lease) FROM kanthorq_pull('unseen')")
    found = {}
    with Session() as session, Session() as publisher:
        def look(view):
            return lambda: session.explain_undone(f"SELECT * FROM {view} WHERE name = 'unseen'", 20)
        for view in VIEWS:
            look(view)()
        controls = {view: [look(view)() for _ in range(bench.cliff_rounds)] for view in VIEWS}
        publisher.ask("BEGIN; INSERT INTO kanthorq_stream_unseen (subject, body) "
                      f"SELECT 'order.created', 'x' FROM generate_series(1, {rows})")
        for view in VIEWS:
            found[view] = [look(view)() for _ in range(bench.cliff_rounds)]
        publisher.ask("ROLLBACK")
    server.drop_stream("unseen")
    return [Pair(f"uncommitted.{view.removeprefix('kanthorq_')}",
                 f"a row of `{view}` while a publisher has {rows:,} uncommitted events", "none",
                 found[view], controls[view]) for view in VIEWS]


def first_query(bench):
    """Of views that show many streams and consumers, which are in a database of their own."""
    server, many = bench.server, some(bench, 2000)
    server.sql("CREATE DATABASE many_streams")
    try:
        server.sql("CREATE EXTENSION kanthorq", "many_streams")
        server.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "many_streams", "-o",
                    "/dev/null"],
                   f"SELECT format('SELECT kanthorq_stream_create(%1$L); "
                   f"SELECT kanthorq_consumer_create(%1$L, %1$L)', 's' || i) "
                   f"FROM generate_series(1, {many}) AS i \\gexec", QUICK)
        server.sql("VACUUM ANALYZE", "many_streams")

        def look(view, before):
            with Session("many_streams") as session:
                for _ in range(before):
                    session.explain(f"SELECT * FROM {view}")
                return session.explain(f"SELECT * FROM {view}")
        found = {}
        for view in VIEWS:
            look(view, 0)
            found[view] = alternating(bench, lambda view=view: look(view, 0),
                                      lambda view=view: look(view, 1))
    finally:
        server.sql("DROP DATABASE many_streams WITH (FORCE)")
    return [Pair(f"first.{view.removeprefix('kanthorq_')}",
                 f"a session's first query of `{view}` with {many:,} streams and consumers",
                 "its second", *found[view]) for view in VIEWS]
