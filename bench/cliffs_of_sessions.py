"""Cliffs of sessions: large results, memory given back, and a commit of another session's."""

import re
import shutil
import signal
import statistics
import subprocess
import time

from pairs import Amount, some
from publishing import ARRAYS
from sessions import Session


def large_bodies(bench):
    server, events = bench.server, max(20, some(bench, 80))
    server.stream("large", consumer_start="first")
    for _ in range(events // 10):
        server.sql("SELECT count(kanthorq_publish('large', 'order.created', repeat('x', 8388608)"
                   "::bytea)) FROM generate_series(1, 10)")
    results = []
    with Session() as session:
        while sum(count for _, count in results) < events:
            size, count = session.ask(
                "SELECT coalesce(sum(octet_length(body)), 0), count(*) "
                "FROM kanthorq_pull('large', 100)").split("|")
            results.append((int(size) / 2**20, int(count)))
            if len(results) > events:
                raise RuntimeError("not all large events come")
    server.drop_stream("large")
    return [Amount("large", f"the largest result of a pull of 100, of {events} events of 8 MiB",
                   [max(size for size, _ in results)],
                   f"all of them in {len(results)}", 64, unit="MiB")]


SYSTEM_CALLS = "`brk`, `mmap`, `munmap` and `madvise`"


class Calls:
    """A session that publishes 100 events a call, as often as it is told, and its page faults."""

    # Before it counts, the session has looked at all of the server's buffers, as its first look at
    # each page of shared memory is a page fault as well. The rows are not made in FROM: that takes
    # large pieces of memory, and giving back one of these makes malloc keep more from then on.
    FIRST = ("CREATE TABLE scratch (filler text); INSERT INTO scratch SELECT repeat('x', "
             "1000 + 0 * generate_series(1, 200000)); DROP TABLE scratch")

    def __init__(self, server, way, sql):
        command = server.driver_command("calls", way=way, sql=sql, first=self.FIRST)
        self.driver = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True)
        self.process_id = self.answer("process")
        self.trace = f"{server.work}/tmp/calls.strace"

    def answer(self, name):
        words = self.driver.stdout.readline().split()
        if not words or words[0] != name:
            raise RuntimeError("the driver's calls failed")
        return int(words[1])

    def faults(self, calls):
        self.driver.stdin.write(f"{calls}\n")
        self.driver.stdin.flush()
        return self.answer("faults")

    def traced(self, calls):
        """The system calls for memory, or None if nobody can count them here."""
        if not shutil.which("strace"):
            return None
        command = ["strace", "-c", "-q", "-e", "trace=brk,mmap,munmap,madvise", "-o", self.trace,
                   "-p", str(self.process_id)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as strace:
            while strace.poll() is None and not self.is_traced():
                time.sleep(0.01)
            self.faults(calls)
            strace.send_signal(signal.SIGINT)
        if strace.returncode == 1:
            return None
        with open(self.trace, encoding="utf-8") as file:
            lines = re.findall(r"^\s*[0-9.]+\s+[0-9.]+\s+\d+\s+(\d+)\s.*\b(?:brk|mmap|munmap|madvise)$",
                               file.read(), re.M)
        return sum(map(int, lines))

    def is_traced(self):
        with open(f"/proc/{self.process_id}/status", encoding="utf-8") as file:
            return "TracerPid:\t0\n" not in file.read()

    def end(self):
        self.driver.communicate()


def page_faults(bench):
    server, calls = bench.server, some(bench, 1000)
    found = []
    for way, arrays, words in (("plain", ARRAYS, "arrays made in the server"),
                               ("arrays", "$1, $2, $3", "arrays of a client")):
        typed = arrays if way == "plain" else "$1::text[], $2::bytea[], $3::jsonb[]"
        many = memory_of(server, way, calls, f"SELECT kanthorq_publish_many('called', {arrays})")
        unnest = memory_of(
            server, way, calls, "INSERT INTO kanthorq_stream_called (subject, body, metadata) "
            f"SELECT * FROM unnest({typed})")
        # A few buffers are met for the first time all the same.
        for i, (key, what, goal) in enumerate((("faults", "page faults", 0.2),
                                               ("memory_calls", SYSTEM_CALLS, 0.1))):
            if many[i] is not None:
                found.append(Amount(
                    f"{key}.{way}", f"{what} of a call of `kanthorq_publish_many` of 100, {words}, "
                    "after the first ten", [many[i]],
                    f"{unnest[i]:.2f} by `INSERT ... SELECT unnest(...)`", goal, unit="a call"))
    server.drop_stream("called")
    return found


def memory_of(server, way, calls, sql):
    """Page faults and system calls for memory of a call, after the first ten."""
    server.stream("called")
    session = Calls(server, way, sql)
    session.faults(10)
    faults = session.faults(calls) / calls
    system_calls = session.traced(calls)
    session.end()
    return faults, None if system_calls is None else system_calls / calls


def commit_prepared(bench):
    """Milliseconds until a waiting pull has returned, from when the commit is sent."""
    server, rounds = bench.server, max(3, some(bench, 20))
    server.stream("prepared", consumer_start="new")
    with Session() as worker, Session() as publisher:
        waits = ("count(*) = 1 FROM pg_stat_activity "
                 f"WHERE pid = {worker.process_id} AND wait_event_type = 'Extension'")

        def once(before, commit):
            worker.send("SELECT kanthorq_ack('prepared', lease) "
                        "FROM kanthorq_pull('prepared', 100, wait => '10 s')")
            server.wait_until(waits)
            publisher.ask("BEGIN; SELECT kanthorq_publish('prepared', 'order.created', 'x')")
            if before:
                publisher.ask(before)
            start = time.monotonic()
            publisher.ask(commit)
            worker.receive()
            return (time.monotonic() - start) * 1000
        prepared = [once("PREPARE TRANSACTION 'prepared'", "COMMIT PREPARED 'prepared'")
                    for _ in range(rounds)]
        plain = [once(None, "COMMIT") for _ in range(rounds)]
    server.drop_stream("prepared")
    return [Amount("prepared", "from `COMMIT PREPARED` until a waiting pull has returned", prepared,
                   f"{statistics.median(plain):.1f} ms from `COMMIT`", 50, unit="ms")]
