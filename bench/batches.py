"""Rates by the size of the batch: plots, without goals."""

from figures import Section, Table, alternate, figure
from plots import Curve, plot
from consuming import drain_rate
from publishing import INDEXED, PGQ_EVENT, drop_streams, fresh
from server import FIVE_COLUMNS


def batches(bench):
    return [publish_batches(bench), consume_batches(bench)]


def publish_batches(bench):
    server = bench.server
    ways = {
        "kanthorq_publish_many": ("arrays", "SELECT kanthorq_publish_many('indexed', $1, $2, $3)"),
        "INSERT ... SELECT unnest(...)": (
            "arrays", "INSERT INTO kanthorq_stream_indexed (subject, body, metadata) "
                      "SELECT * FROM unnest($1::text[], $2::bytea[], $3::jsonb[])"),
        "COPY": ("copy", f"COPY kanthorq_stream_indexed {FIVE_COLUMNS}"),
        "PgQ insert_event": ("plain", None),
    }

    def rate(way, sql, size):
        many = sql or f"SELECT count({PGQ_EVENT}) FROM generate_series(1, {size})"
        return server.driver_value("rate", "batch", way=way, sql=many, rows=size,
                                   seconds=bench.batch_seconds)
    sides = {(name, size): lambda way=way, sql=sql, size=size: rate(way, sql, size)
             for size in bench.batch_sizes for name, (way, sql) in ways.items()}
    samples = alternate(sides, bench.batch_rounds, lambda: fresh(server))
    drop_streams(server)
    plot_sizes(bench, "publish_by_batch", "Publishing by the size of the batch", samples)
    return Section(
        "Publishing by the size of the batch",
        f"1 session, {INDEXED}, from a client as described above: binary arrays and buffers, one "
        "statement and transaction a batch; PgQ's events are constants in the server. Events a "
        f"second, {bench.batch_rounds} rounds of {bench.batch_seconds} s.",
        [table_of(samples)], plots=[("publish_by_batch", "publishing by the size of the batch")])


def consume_batches(bench):
    server = bench.server
    server.backlog(bench.events)

    def until(size):
        # About a second's worth at the rate that the batch's two commits allow.
        return min(bench.events, max(1000, 1000 * size))
    sides = {}
    for size in bench.batch_sizes:
        for name, rows in (("counted in the server", "no"), ("rows sent to the client", "yes")):
            sides[name, size] = lambda size=size, rows=rows: drain_rate(
                server, "backlog", size, until(size), rows=rows)
    samples = alternate(sides, bench.batch_rounds)
    plot_sizes(bench, "consume_by_batch", "Pull and ack by the size of the batch", samples)
    return Section(
        "Consuming by the size of the batch",
        "1 session, pull and ack, two transactions a batch. Events a second, "
        f"{bench.batch_rounds} rounds of a second or so.",
        [table_of(samples)], plots=[("consume_by_batch", "consuming by the size of the batch")])


def names_of(samples):
    return list(dict.fromkeys(name for name, _ in samples))


def sizes_of(samples):
    return list(dict.fromkeys(size for _, size in samples))


def table_of(samples):
    table = Table(["events a batch", *names_of(samples)])
    for size in sizes_of(samples):
        table.lines.append([f"{size:,}",
                            *(figure(samples[name, size]) for name in names_of(samples))])
    return table


def plot_sizes(bench, file, title, samples):
    curves = [Curve(name, [(size, samples[name, size]) for size in sizes_of(samples)])
              for name in names_of(samples)]
    plot(bench, file, title, "events a batch", "events/s", curves,
         "set logscale xy 10\nset xrange [0.7:14000]\nset key left top")
