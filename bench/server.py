"""The server under measurement: statements, pgbench, the driver, streams of a size, its facts.

Clients find the server through the environment, which scripts/bench prepares; `work` is its work
directory, in which the server's data are."""

import os
import re
import subprocess
import time

BODY = "x" * 200
METADATA = '{"trace": "4bf92f3577b34da6a3ce929d0e0e4736", "v": 2}'
FIVE_COLUMNS = "(id, subject, body, metadata, created_at) FROM STDIN (FORMAT binary)"

# Settings of a session whose commits need not wait for the disk, because they are not timed.
QUICK = "-c synchronous_commit=off"

BARE = """CREATE TABLE bare (
    id varchar(64) COLLATE "C" PRIMARY KEY, subject varchar(128) COLLATE "C" NOT NULL,
    body bytea NOT NULL, metadata jsonb NOT NULL,
    created_at bigint NOT NULL DEFAULT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000)"""


class Server:
    def __init__(self, work):
        self.work = work
        self.driver_path = f"{work}/src/bench/driver/driver"
        self.backlogs = {}
        self.sql("CREATE EXTENSION kanthorq; CREATE EXTENSION pgq")

    # Commands

    def run(self, command, text=None, settings=""):
        """Runs a command and returns what it printed; what it says when it fails is the error."""
        environment = dict(os.environ, PGOPTIONS=settings)
        done = subprocess.run(command, input=text, text=True, capture_output=True, env=environment,
                              stdin=subprocess.DEVNULL if text is None else None, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{done.stderr or done.stdout}")
        return done.stdout

    def sql(self, statement, database="postgres"):
        """Runs statements and returns what they print, trimmed."""
        return self.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-c",
                         "SET client_min_messages = warning", "-c", statement]).strip()

    def pgbench(self, script, sessions=1, seconds=None, transactions=None, settings=""):
        """Transactions a second of a prepared script."""
        path = f"{self.work}/tmp/script.sql"
        with open(path, "w", encoding="utf-8") as file:
            file.write(script + "\n")
        much = ["-T", str(seconds)] if seconds else ["-t", str(transactions)]
        printed = self.run(["pgbench", "-n", "-M", "prepared", "-c", str(sessions), "-j",
                            str(min(2, sessions)), *much, "-f", path, "postgres"],
                           settings=settings)
        return float(re.search(r"^tps = ([0-9.]+)", printed, re.M).group(1))

    def driver_command(self, command, **options):
        return [self.driver_path, command, *(f"{name}={value}" for name, value in options.items())]

    def driver(self, command, settings="", **options):
        """The lines that the driver prints, split into words."""
        printed = self.run(self.driver_command(command, **options), settings=settings)
        return [line.split() for line in printed.splitlines()]

    def driver_value(self, name, command, **options):
        return next(float(words[1]) for words in self.driver(command, **options)
                    if words[0] == name)

    def restart(self, preloaded):
        libraries = "kanthorq" if preloaded else ""
        self.run(["pg_ctl", "-D", f"{self.work}/data", "-l", f"{self.work}/log/server.log",
                  "-m", "fast", "-w", "-o", f"-c shared_preload_libraries={libraries}", "restart"])

    def checkpoint(self):
        """So that none falls into what is measured next, which finds WAL files to write over, as
        a server does that has been running for a while."""
        self.sql("CHECKPOINT")

    def wal_position(self):
        return int(self.sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))

    # What is in the database

    def stream(self, name, consumer_start=None, subject_index=True):
        """A new, empty stream, in place of one with that name, and where wanted its consumer."""
        self.drop_stream(name)
        self.sql(f"SELECT kanthorq_stream_create('{name}', {subject_index})")
        if consumer_start:
            self.sql(f"SELECT kanthorq_consumer_create('{name}', '{name}', "
                     f"start_at => '{consumer_start}')")

    def drop_stream(self, name):
        self.sql(f"SELECT kanthorq_stream_drop('{name}', '{name}')")

    def bare(self):
        self.sql("DROP TABLE IF EXISTS bare")
        self.sql(BARE)

    def queue(self):
        """A new PgQ queue with the name "orders"."""
        if self.sql("SELECT count(*) FROM pgq.queue") != "0":
            self.sql("SELECT pgq.drop_queue('orders', true)")
        self.sql("SELECT pgq.create_queue('orders')")

    def fill(self, stream, events, rare=0):
        """Adds events by COPY; every `rare`-th has the subject order.settled."""
        rows = min(events, 100000)
        self.driver("batch", way="copy", sql=f"COPY kanthorq_stream_{stream} {FIVE_COLUMNS}",
                    rows=rows, transactions=events // rows, rare=rare)
        self.sql(f"VACUUM ANALYZE kanthorq_stream_{stream}")

    def backlog(self, events, name="backlog"):
        """A filled stream with a consumer of its name, made once and kept."""
        if self.backlogs.get(name) != events:
            self.stream(name, consumer_start="first")
            self.fill(name, events)
            self.backlogs[name] = events
        self.seek(name, "first")

    def seek(self, consumer, place):
        self.sql(f"SELECT kanthorq_consumer_seek('{consumer}', '{place}', '{consumer}')")

    def wait_until(self, condition, seconds=60):
        """Waits until a query answers true."""
        end = time.monotonic() + seconds
        while self.sql(f"SELECT {condition}") != "t":
            if time.monotonic() > end:
                raise RuntimeError(f"never true: {condition}")
            time.sleep(0.1)

    # Facts

    def facts(self):
        """What was measured on what, as pairs."""
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            cpu = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
        with open("/proc/meminfo", encoding="utf-8") as file:
            memory = int(re.search(r"^MemTotal:\s*(\d+)", file.read()).group(1)) / 1048576
        names = ("fsync synchronous_commit full_page_writes wal_level wal_compression max_wal_size "
                 "min_wal_size checkpoint_timeout shared_buffers autovacuum max_connections jit "
                 "shared_preload_libraries").split()
        settings = ", ".join(f"`{name} = {self.sql(f'SHOW {name}')}`" for name in names)
        return [
            ("date", self.sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')")),
            ("processor", f"{cpu.group(1) if cpu else os.uname().machine}, "
                          f"{os.cpu_count()} cores"),
            ("memory", f"{memory:.0f} GiB"),
            ("disk", self.disk()),
            ("least cost", f"a system call {self.driver_value('call', 'machine') / 1000:.2f} µs, "
                           f"a page fault {self.driver_value('fault', 'machine') / 1000:.2f} µs"),
            ("kernel", f"{os.uname().sysname} {os.uname().release}"),
            ("server", "PostgreSQL " + self.sql("SHOW server_version")),
            ("settings", settings),
        ]

    def disk(self):
        """What pg_test_fsync says of fdatasync, which is what the server commits with."""
        command = ["pg_test_fsync", "-s", "1", "-f", f"{self.work}/tmp/fsync"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as test:
            said = "pg_test_fsync does not tell"
            for line in test.stdout:
                found = re.match(r"\s*fdatasync\s+([0-9.]+) ops/sec\s+([0-9.]+) usecs/op", line)
                if found:
                    said = (f"fdatasync {float(found.group(1)):,.0f} a second, "
                            f"{found.group(2)} µs each (`pg_test_fsync`)")
                    break
            test.terminate()
        return said
