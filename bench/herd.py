"""Many sessions that wait on one consumer."""

from figures import Goal, Section, Table, figure, ratios
from over_time import quantile

WAYS = {"pull": "`kanthorq_pull(..., wait => '1 minute')`", "wait": "`kanthorq_wait`"}


def herd(bench):
    measured = {(way, sessions): [] for way in WAYS for sessions in (1, bench.herd_sessions)}
    for _ in range(bench.herd_rounds):
        for way, sessions in measured:
            measured[way, sessions].append(measure(bench, way, sessions))
    table = Table(["sessions wait in", "sessions", "idle, % of a processor", "p50 (ms)", "p99 (ms)",
                   "µs of processor time an event"])
    for (way, sessions), rounds in measured.items():
        table.lines.append([WAYS[way], f"{sessions:,}", *(
            figure([one[name] for one in rounds]) for name in ("idle", "p50", "p99", "time"))])
    goals = []
    for way, words in WAYS.items():
        many, one = measured[way, bench.herd_sessions], measured[way, 1]
        what = f"{bench.herd_sessions} sessions wait in {words}"

        def to_one(name, many=many, one=one):
            return ratios([of[name] for of in many], [of[name] for of in one])
        goals += [
            Goal(f"herd.{way}.idle", f"{what}: processor time while nothing happens",
                 [of["idle"] for of in many], 5, "at most", "% of a processor"),
            Goal(f"herd.{way}.p50", f"{what}: p50 of delivery, to one session", to_one("p50"), 1.5,
                 "at most"),
            Goal(f"herd.{way}.time", f"{what}: processor time of an event, to one session",
                 to_one("time"), 2, "at most")]
    return Section(
        "Many sessions wait on one consumer",
        f"For {bench.herd_idle} s nothing happens; then one session publishes "
        f"{bench.herd_rate} events a second for {bench.herd_seconds} s, one a transaction. "
        "Whoever gets events acknowledges them and waits again. Delivery is from the commit's "
        "return to the return of the pull that brought the event. Processor time is that of the "
        "server's processes of all these sessions (`/proc/<pid>/schedstat`). That of an event has "
        "the publisher's in it, and not what the waiting sessions take while nothing happens. "
        f"{bench.herd_rounds} rounds.",
        [table], goals)


def measure(bench, way, sessions):
    server = bench.server
    server.stream("herd", consumer_start="new")
    server.checkpoint()
    printed = server.driver("herd", stream="herd", consumer="herd", sessions=sessions, way=way,
                            idle=bench.herd_idle, rate=bench.herd_rate,
                            seconds=bench.herd_seconds)
    values = {words[0]: float(words[1]) for words in printed}
    if values["missing"] > 0:
        raise RuntimeError(f"{values['missing']:.0f} events were not delivered")
    latencies = [float(words[1]) / 1000 for words in printed if words[0] == "latency"]
    server.drop_stream("herd")
    return {"idle": 100 * values["idle"], "p50": quantile(latencies, 0.5),
            "p99": quantile(latencies, 0.99),
            "time": (values["busy"] - values["idle"] * values["seconds"]) * 1e6 / len(latencies)}
