"""Old events leave while others are published: a partition that is dropped, and rows of a plain stream."""

import glob
import os
import subprocess
import time

from figures import Goal, Section, Table, figure
from over_time import quantile

OLD = "now() - interval '40 days'"
PUBLISH = "SELECT kanthorq_publish('{stream}', 'order.created', '\\x00');"


def retiring(bench):
    return [dropped(bench), removed(bench)]


class Publishers:
    """pgbench publishing in 8 sessions, one event a transaction, until it is told to end."""

    def __init__(self, server, stream):
        self.prefix = f"{server.work}/tmp/publishers"
        for path in glob.glob(self.prefix + ".*"):
            os.unlink(path)
        script = f"{server.work}/tmp/publish.sql"
        with open(script, "w", encoding="utf-8") as file:
            file.write(PUBLISH.format(stream=stream) + "\n")
        self.process = subprocess.Popen(
            ["pgbench", "-n", "-M", "prepared", "-c", "8", "-j", "2", "-T", "600", "--log",
             "--log-prefix", self.prefix, "-f", script, "postgres"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end(self):
        """The time that each transaction took, in milliseconds, and when it ended."""
        self.process.terminate()
        self.process.wait()
        times = []
        for path in glob.glob(self.prefix + ".*"):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    words = line.split()
                    if len(words) >= 6:  # the last one may be cut
                        times.append((float(words[2]) / 1000,
                                      float(words[4]) + float(words[5]) / 1e6))
        return times


def maintain_beside(server, publishers):
    """The publishers' times before maintenance, and those while it ran. Returns its seconds, too."""
    time.sleep(3)
    begun = time.time()
    server.sql("CALL kanthorq_maintain()")
    ended = time.time()
    time.sleep(1)
    times = publishers.end()
    quiet = [took for took, at in times if at < begun]
    busy = [took for took, at in times if begun <= at <= ended + 1]
    return quiet, busy, ended - begun


def table_of(rounds, what, extra):
    table = Table(["", "p99 (ms)", "longest (ms)"])
    table.lines.append(["a publisher's transaction before", *(
        figure([quantile(one["quiet"], share) for one in rounds]) for share in (0.99, 1.0))])
    table.lines.append([f"the same while {what}", *(
        figure([quantile(one["busy"], share) for one in rounds]) for share in (0.99, 1.0))])
    table.lines += extra
    return table


def dropped(bench):
    server, rounds = bench.server, []
    for _ in range(bench.cliff_rounds):
        server.drop_stream("retired")
        server.sql("SELECT kanthorq_stream_create('retired', partition_interval => '1 day')")
        server.sql(f"SELECT kanthorq_publish('retired', 'order.created', '', id => kanthorq_ulid({OLD}))")
        server.sql("CALL kanthorq_maintain()")  # the day gets its partition
        server.sql("INSERT INTO kanthorq_stream_retired (id, subject, body) "
                   f"SELECT kanthorq_ulid({OLD}), 'order.created', repeat('x', 200)::bytea "
                   f"FROM generate_series(1, {bench.events})")
        server.sql("CALL kanthorq_maintain()")  # and is closed
        server.sql("SELECT kanthorq_stream_retention('retired', '30 days')")
        server.checkpoint()
        quiet, busy, seconds = maintain_beside(server, Publishers(server, "retired"))
        left = int(server.sql("SELECT count(*) FROM kanthorq_partition WHERE stream = "
                              "kanthorq_stream_table('retired') AND last_position < 0"))
        while left > 0:  # a lock was not to be had in time
            server.sql("CALL kanthorq_maintain()")
            left = int(server.sql("SELECT count(*) FROM kanthorq_partition WHERE stream = "
                                  "kanthorq_stream_table('retired') AND last_position < 0"))
        old = server.sql(f"SELECT count(*) FROM kanthorq_events('retired', until => {OLD} + interval '1 day')")
        if old != "0":
            raise RuntimeError(f"{old} old events are still there")
        rounds.append({"quiet": quiet, "busy": busy, "seconds": seconds})
    server.drop_stream("retired")
    return Section(
        "Dropping a partition while events are published",
        f"8 sessions publish; after 3 s `CALL kanthorq_maintain()` drops a partition of "
        f"{bench.events:,} events. `kanthorq.maintain_lock_timeout` is 100 ms.",
        [table_of(rounds, "the partition is dropped", [])],
        [Goal("retiring.drop", "the longest transaction of a publisher while a partition is dropped",
              [quantile(one["busy"], 1.0) for one in rounds], 200, "at most", "ms")])


def removed(bench):
    server, events, rounds = bench.server, 5 * bench.events, []
    for _ in range(1):
        server.backlog(bench.events)
        server.stream("expiring")
        server.sql("INSERT INTO kanthorq_stream_expiring (id, subject, body) "
                   f"SELECT kanthorq_ulid({OLD}), 'order.created', repeat('x', 200)::bytea "
                   f"FROM generate_series(1, {events})")
        server.sql("SELECT kanthorq_consumer_create('in_order', 'expiring', start_at => 'new', "
                   "ordered => true)")
        server.sql("SELECT kanthorq_stream_retention('expiring', '30 days')")
        server.checkpoint()
        follower = subprocess.Popen(
            server.driver_command("window", stream="expiring", follower="in_order",
                                  backlog="backlog", sessions=1, seconds=3600),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        quiet, busy, seconds = maintain_beside(server, Publishers(server, "expiring"))
        follower.terminate()
        printed, _ = follower.communicate()
        lags = [float(line.split()[5]) for line in printed.splitlines() if line.startswith("second")]
        left = int(server.sql("SELECT count(*) FROM kanthorq_events('expiring', size => 10000, "
                              f"until => {OLD} + interval '1 day')"))
        if left != 0:
            raise RuntimeError(f"{left} old events are still there")
        rounds.append({"quiet": quiet, "busy": busy, "seconds": seconds, "lag": max(lags)})
    server.drop_stream("expiring")
    longest = [one["lag"] for one in rounds]
    return Section(
        "Removing old rows of a plain stream",
        f"`CALL kanthorq_maintain()` removes {events:,} events in batches of 10,000, a transaction "
        "each, while 9 sessions publish, an ordered consumer follows, and another "
        "consumer drains another stream. It took "
        f"{figure([one['seconds'] for one in rounds])} s.",
        [table_of(rounds, "rows are removed",
                  [["an ordered consumer: the greatest age of an event when it is delivered", "",
                    figure(longest)]])],
        [Goal("retiring.ordered", "an ordered consumer's greatest lag while old rows are removed",
              longest, 1000, "at most", "ms")])
