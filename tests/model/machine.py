"""The state machine that Hypothesis runs: a world in memory and the same on a server, and what must agree.

A run begins with a world without events, and ends with a drain: each event that is wanted and not finished comes,
once. Steps that failed are run again to make them fewer, so that nothing may depend on chance or on the clock:
retries are due at once or never, and leases run out within a millisecond or never.
"""

import os
import sys

from hypothesis import reject
from hypothesis.errors import HypothesisException
from hypothesis.stateful import RuleBasedStateMachine, invariant

from consuming import ALL_LEFT, Consuming
from defining import Defining
from maintaining import Maintaining
from publishing import COLUMNS, Publishing
from reading import Reading
from session import Session, expect_same
from transactions import Transactions
from values import Gone, New, Recent
from world import Stream, World

FEWEST = 10  # steps of a run that counts


class Server:
    """The sessions, which all runs share."""

    def __init__(self, conninfo):
        self.publishers = [Session(f"publisher {i}", conninfo) for i in range(3)]
        self.workers = [Session(f"worker {i}", conninfo) for i in range(2)]
        self.sessions = self.publishers + self.workers
        self.run = os.getpid()  # part of the names of prepared transactions
        self.workers[0].run("""CREATE OR REPLACE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN RETURN new; END'""")

    def clear(self):
        """Leaves no transaction, no stream and no consumer."""
        for session in self.sessions:
            session.abandon()
        worker = self.workers[0]
        for (gid,) in worker.run("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
            worker.run(f"ROLLBACK PREPARED '{gid}'")
        for (name,) in worker.run("SELECT name FROM kanthorq_streams"):
            worker.run("SELECT kanthorq_stream_drop(%s, %s)", (name, name))


class Machine(Publishing, Reading, Transactions, Consuming, Defining, Maintaining, RuleBasedStateMachine):
    server = None  # set before the first run
    record = None  # a Record, in which each run leaves what became of it

    def __init__(self):
        self.record.begin_run()
        super().__init__()
        self.world = World()
        self.publishers, self.workers = self.server.publishers, self.server.workers
        self.sessions = self.server.sessions
        self.prepared = {}  # transactions by gid
        self.changed = set()  # names of consumers, since they were last compared
        self.gone = []  # ids of events that were removed
        self.steps = []  # (rule, what it was called with)
        self.history = []
        self.step = self.new_ids = 0
        self.server.clear()
        for name in ("orders", "Users_2"):
            stream = self.world.streams[name] = Stream(name, name == "Users_2", name == "orders")
            self.create_stream(self.workers[0], stream)

    def create_stream(self, session, stream):
        stream.table = '"kanthorq_stream_' + stream.name + '"'
        session.run(
            "SELECT kanthorq_stream_create(%s, partition_interval => %s)",
            (stream.name, "1 hour" if stream.is_partitioned else None))
        if stream.has_trigger:
            session.run(f"CREATE TRIGGER own BEFORE INSERT ON {stream.table} FOR EACH ROW EXECUTE FUNCTION pass_on()")

    def log(self, session, what):
        what = what.replace("c" * 100, "c...")  # the name of a consumer
        self.history.append(f"{self.step:6} {session.name}: {what}")

    def state(self):
        """What the model has, in lines."""
        for consumer in self.world.consumers.values():
            lists = {"tasks": len(consumer.tasks), "ended_leases": len(consumer.ended_leases)}
            yield str({**consumer.__dict__, **lists})
        for stream in self.world.streams.values():
            writers = [transaction.serial for transaction in self.world.writers(stream)]
            yield f"{stream.name}: last position {stream.last_position}, writers {writers}"

    # What the drawn values stand for

    def pick(self, among, number):
        return among[number % len(among)]

    def id_of(self, drawn, stream):
        if isinstance(drawn, Recent):
            known = [event.id for event in stream.events.values()]
            if known:
                return known[-1 - drawn.back % len(known)]
            drawn = New("ulid", drawn.back)
        if isinstance(drawn, Gone):
            drawn = self.gone[-1 - drawn.back % len(self.gone)] if self.gone else New("evt", drawn.back)
        if isinstance(drawn, New):
            self.new_ids += 1
            return drawn.make(self.new_ids, self.step)
        return drawn

    # Who may do what without waiting for another transaction

    def touched_by_others(self, session):
        return set().union(*(s.transaction.touched() for s in self.workers if s is not session and s.transaction))

    def may_touch(self, session, name):
        return name not in self.touched_by_others(session)

    def note_read(self, session, name):
        if session.transaction:
            session.transaction.reads.add(name)

    def may_drop(self, session, name):
        others = [s.transaction for s in self.workers if s is not session and s.transaction]
        return self.may_touch(session, name) and not any(name in t.reads for t in others)

    # Comparing

    def shown(self, row):
        """A row of kanthorq_tasks() as Task.shown() has it."""
        errors = tuple((entry["attempt"], entry["error"]) for entry in row[6])
        return (*row[:4], row[4] is not None, row[5] is not None, errors, row[7] is not None)

    def task_rows(self, session, consumer):
        """By position."""
        self.note_read(session, consumer.name)
        table = session.run("SELECT kanthorq_consumer_table(%s)::text", (consumer.name,))[0][0]
        rows = session.run(
            "SELECT position, event_id, subject, state, attempt_count, schedule_at, attempted_at,"
            f" attempted_error, finalized_at FROM {table}")
        return {row[0]: row[1:] for row in rows}

    def cursor_of(self, session, consumer):
        return session.run("SELECT cursor FROM kanthorq_consumers WHERE name = %s", (consumer.name,))[0][0]

    def compare_consumer(self, session, consumer):
        """Its tasks, and its row in the view; takes over when they are to be retried."""
        rows = self.task_rows(session, consumer)
        expected = {position: task.shown() for position, task in consumer.tasks.items()}
        expect_same("task rows", expected, {position: self.shown(row) for position, row in rows.items()})
        for position, task in consumer.tasks.items():
            task.schedule = rows[position][4]
        stream = self.world.streams[consumer.stream]
        behind = [e for e in stream.seen_by(session.transaction) if e.position > consumer.cursor]
        row = session.run(
            "SELECT stream, cursor, lag, lag_time IS NULL, running, retryable, discarded, cancelled,"
            " extract(epoch FROM oldest_lease) * 1000000 FROM kanthorq_consumers WHERE name = %s",
            (consumer.name,))[0]
        lag = stream.last_position - consumer.cursor
        oldest = min((lease.number for lease in consumer.leases()), default=None)
        expected = (stream.name, consumer.cursor, lag, not behind, *consumer.counts(), oldest)
        expect_same("the view kanthorq_consumers", expected, row)

    def compare_stream(self, session, stream):
        seen = stream.seen_by(session.transaction)
        rows = session.run(f"SELECT {COLUMNS}, position FROM {stream.table} ORDER BY position")
        expect_same("the stream", [(*e.fields(), e.position) for e in seen], rows)
        row = session.run(
            "SELECT last_position, newest_id, open_publishers FROM kanthorq_streams WHERE name = %s",
            (stream.name,))[0]
        expected = (stream.last_position, max((e.id for e in seen), default=None), len(self.world.writers(stream)))
        # A worker that removed nothing holds the lock, and has no transaction id.
        if any(worker.transaction for worker in self.workers):
            row, expected = row[:2], expected[:2]
        expect_same("the view kanthorq_streams", expected, row)

    def compare(self, everything):
        """What was changed since the last time, or everything there is."""
        workers = self.workers[self.step // 4 % 2 :] + self.workers
        for name in sorted(self.world.consumers if everything else self.changed & self.world.consumers.keys()):
            for session in workers[:2]:
                if self.may_touch(session, name):
                    self.compare_consumer(session, self.world.consumers[name])
                    break
        self.changed.clear()
        if everything:
            for number, stream in enumerate(self.world.streams.values()):
                self.compare_stream(workers[number], stream)

    @invariant()
    def agrees(self):
        """Comparing takes longer than a step, so that not each step ends with it; the last one does."""
        self.step += 1
        self.record.steps += 1
        if self.step % 4 == 0:
            self.compare(self.step % 100 == 0)
        if self.step == FEWEST and len({function for function, _ in self.steps}) < FEWEST // 2:
            self.count_for_nothing()

    # The end

    def drain(self):
        """In the end each event that is wanted and not finished comes, once."""
        self.end_all()
        for name in list(self.world.consumers):
            consumer, left = self.world.consumers[name], -1
            while left:
                stream = self.world.streams[consumer.stream]
                left = stream.last_position - consumer.cursor + len(consumer.owed)
                left += sum(task.due for task in consumer.tasks.values())
                left += sum(lease.expired for lease in consumer.leases())
                self.pull_by((self.workers[0], consumer), 20)
                self.settle((self.workers[0], consumer), 0, ALL_LEFT, (None, "1 day"))
                self.pull_by((self.workers[1], consumer), 10_000)
                self.settle((self.workers[1], consumer), 0, ALL_LEFT)
                self.compare_consumer(self.workers[0], consumer)
        self.compare(True)

    def finish(self):
        self.log(self.workers[0], "compare everything, and drain")
        self.compare(True)
        self.drain()

    def teardown(self):
        error = sys.exc_info()[1]
        if error is None:
            try:
                self.finish()
            except Exception as late:
                error = late
        if isinstance(error, Exception) and not isinstance(error, HypothesisException):
            self.record.failed(self, error)
        if error is None and self.step < FEWEST:
            self.count_for_nothing()

    def count_for_nothing(self):
        """Hypothesis begins with the simplest runs that there are, and goes on to others when these don't count."""
        if self.record.failure is None:
            reject()
