"""What shows in time: waking a worker, and a foreign transaction that stays open."""

import math
import statistics
import subprocess

from consuming import DURABLE, has_durable_pull
from figures import Goal, Section, Table, figure, ratios
from plots import Curve, plot

QUANTILES = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))


def quantile(values, share):
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


# Waking

def wake(bench):
    server = bench.server
    few = min(2, bench.rounds)
    kinds = {"preloaded": measure_wakes(bench, bench.rounds)}
    if has_durable_pull(server):
        kinds["preloaded, with `kanthorq.durable_pull = on`"] = measure_wakes(
            bench, few, settings=DURABLE)
    server.restart(preloaded=False)
    try:
        kinds["not preloaded"] = measure_wakes(bench, few)
    finally:
        server.restart(preloaded=True)
    table = Table(["library", "from", *(f"{name} (ms)" for name, _ in QUANTILES), "events/s"])
    for kind, rounds in kinds.items():
        for column, start in ((0, "commit"), (1, "sending")):
            table.lines.append([kind, start, *(
                figure([quantile(latencies[column], share) for latencies, _ in rounds])
                for _, share in QUANTILES), figure([rate for _, rate in rounds])])
    plot(bench, "wake_up", "From commit to the pull's return", "time (ms)",
         "share of the events that took at most as long (%)",
         [Curve(kind.replace("`", ""), distribution(rounds)) for kind, rounds in kinds.items()],
         "set logscale x 10\nset key right bottom")
    goals = [Goal(f"wake.{name}", f"wake-up, library preloaded, {name}",
                  [quantile(latencies[0], share) for latencies, _ in kinds["preloaded"]],
                  goal, "at most", "ms")
             for (name, share), goal in zip(QUANTILES, (0.5, 3))]
    return Section(
        "Waking a worker",
        f"One session publishes {bench.wake_rate:,} events a second, paced by the clock, one a "
        "transaction; another is in `kanthorq_pull(..., 100, wait => '10 s')` and acknowledges. "
        "\"Commit\" is the moment at which the publishing statement has returned to the client, "
        "\"sending\" the one before it was sent; both end when the pull that brought the event "
        f"has returned. Rounds of {bench.wake_seconds} s, {few} for what has no goal; goals are about "
        "the time from commit.",
        [table], goals, [("wake_up", "the distribution of wake-ups")])


def measure_wakes(bench, rounds, **options):
    """For each round the latencies in milliseconds from commit and from sending, and the rate."""
    server, measured = bench.server, []
    for number in range(rounds + 1):
        server.stream("woken", consumer_start="new")
        server.checkpoint()
        printed = server.driver("wake", stream="woken", consumer="woken", rate=bench.wake_rate,
                                seconds=bench.wake_seconds if number > 0 else 1, **options)
        latencies = [words[1:] for words in printed if words[0] == "latency"]
        rate = next(float(words[1]) for words in printed if words[0] == "rate")
        columns = tuple([int(one[i]) / 1000 for one in latencies] for i in (0, 1))
        if number > 0:
            measured.append((columns, rate))
    server.drop_stream("woken")
    return measured


def distribution(rounds):
    """Percentages by time, over all rounds; the pull can return before the publisher has heard
    of the commit, which a logarithmic axis can't show."""
    ordered = sorted(max(0.01, one) for latencies, _ in rounds for one in latencies[0])
    shares = [i / 200 for i in range(1, 200)] + [0.999, 1.0]
    return [(quantile_of_sorted(ordered, share), [100 * share]) for share in shares]


def quantile_of_sorted(ordered, share):
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


# A foreign transaction

class ForeignTransaction:
    """While it is open, a transaction in another database holds a snapshot and an id."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.process = subprocess.Popen(["psql", "-XqAt", "-d", "foreign_database"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(
            "BEGIN ISOLATION LEVEL REPEATABLE READ;\nINSERT INTO notes VALUES (1);\n"
            "SELECT 'open since ' || pg_current_xact_id();\n")
        self.process.stdin.flush()
        if not self.process.stdout.readline().startswith("open since"):
            raise RuntimeError("the foreign transaction did not start")

    def __exit__(self, *error):
        self.process.communicate("ROLLBACK;\n")


def foreign(bench):
    server = bench.server
    server.sql("CREATE DATABASE foreign_database")
    server.sql("CREATE TABLE notes (id integer)", "foreign_database")
    server.backlog(bench.events)
    server.stream("followed", consumer_start="new")
    server.checkpoint()
    server.sql("ALTER SYSTEM SET autovacuum = on")
    server.sql("SELECT pg_reload_conf()")
    measure_window(bench, bench.warm_up)
    windows = {"without": [], "with": []}
    for _ in range(bench.windows):
        windows["without"].append(measure_window(bench, bench.window_seconds))
        with ForeignTransaction(server):
            windows["with"].append(measure_window(bench, bench.window_seconds))
    server.sql("ALTER SYSTEM RESET autovacuum")
    server.sql("SELECT pg_reload_conf()")
    server.drop_stream("followed")
    server.sql("DROP DATABASE foreign_database")
    plot_windows(bench, windows)
    return foreign_section(bench, windows)


MEASURES = ("published", "followed", "drained", "lag", "greatest lag")


def measure_window(bench, seconds):
    """A line of MEASURES for each second."""
    return [[float(word) for word in words[1:]] for words in bench.server.driver(
        "window", stream="followed", follower="followed", backlog="backlog", sessions=4,
        seconds=seconds)]


def means(windows, measure):
    column = MEASURES.index(measure)
    return [statistics.fmean(second[column] for second in window) for window in windows]


def foreign_section(bench, windows):
    samples = {measure: {kind: means(found, measure) for kind, found in windows.items()}
               for measure in MEASURES}
    against = {measure: ratios(kinds["with"], kinds["without"])
               for measure, kinds in samples.items()}
    words = {"published": "events published a second, 4 sessions",
             "followed": "events a second consumed by the worker that follows, pull 1,000 + ack",
             "drained": "events a second consumed from a backlog, pull 100 + ack",
             "lag": "age of the oldest event of a batch that is delivered (ms)",
             "greatest lag": "greatest such age within a second (ms)"}
    table = Table(["", "without", "while it is open", "x without"])
    for measure, kinds in samples.items():
        table.lines.append([words[measure], figure(kinds["without"]), figure(kinds["with"]),
                            figure(against[measure])])
    what = "while a foreign transaction is open, to without"
    return Section(
        "A foreign transaction",
        "A `REPEATABLE READ` transaction in another database of the server, which has written, "
        f"stays open: {bench.windows} windows of {bench.window_seconds} s without and as many "
        "with it, alternating. All at once: 4 sessions publish one event a transaction, a worker "
        "follows them, another drains a backlog again and again. Autovacuum is on here. "
        "\"Unchanged\" is read as 1.1 x at most.",
        [table],
        [Goal("foreign.publish", f"publish rate {what}", against["published"], 0.95),
         Goal("foreign.consume", f"consume rate {what}", against["drained"], 0.95),
         Goal("foreign.lag", f"delivery lag {what}", against["lag"], 1.1, "at most")],
        [("foreign", "rates while a foreign transaction is open")])


def plot_windows(bench, windows):
    curves, bands, second = {"published": [], "consumed from a backlog": []}, [], 0
    for without, held in zip(windows["without"], windows["with"]):
        for window in (without, held):
            if window is held:
                bands.append((second, second + len(window)))
            for published, _, drained, _, _ in window:
                second += 1
                curves["published"].append((second, [published]))
                curves["consumed from a backlog"].append((second, [drained]))
    shades = "\n".join(
        f"set object rectangle from {start}, graph 0 to {end}, graph 1 behind fillcolor "
        '"#eeeeee" fillstyle solid noborder' for start, end in bands)
    plot(bench, "foreign", "Rates; grey: a transaction in another database is open", "time (s)",
         "events/s", [Curve(name, points) for name, points in curves.items()],
         f"{shades}\nset logscale y 10\nset yrange [100:]\nset key right bottom")
