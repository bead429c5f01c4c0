"""Random operations against a server and against a model of it in memory, which predicts each answer.

    run.py [--steps N] [--seed N] CONNINFO

The database has the extension, and max_prepared_transactions is 5 at least. One step after the other, over
several sessions with open transactions, so that everything is decided by the seed: retries are due at once or
never, and leases run out within a millisecond or never. Prints the seed, and where an answer differs, what
was done before. Exit status 0: all answers were as predicted.

    world.py, consumers.py       the model
    publishing.py, consuming.py  the operations
"""

import argparse
import os
import random
import sys
import time
import traceback

import consuming
import publishing
from session import Session, expect_same
from world import Stream, World

OPERATIONS = [
    (publishing.publish, 30), (publishing.transact, 20), (publishing.finish_prepared, 2), (publishing.read, 6),
    (publishing.wrong, 2), (consuming.pull, 25), (consuming.settle, 20), (consuming.extend, 3),
    (consuming.change, 8), (consuming.ask_state, 8), (consuming.ask_tasks, 4), (consuming.create, 4),
    (consuming.alter, 2), (consuming.seek, 2), (consuming.drop, 1), (consuming.remove, 5),
    (consuming.start_over, 2),
]


class Test:
    def __init__(self, conninfo, seed):
        self.random = random.Random(seed)
        self.world = World()
        self.publishers = [Session(f"publisher {i}", conninfo) for i in range(3)]
        self.workers = [Session(f"worker {i}", conninfo) for i in range(2)]
        self.sessions = self.publishers + self.workers
        self.prepared = {}  # transactions by gid
        self.consumer_names = ["invoices", "Mailer", "in_order", "c" * 100]
        self.old_ids = []  # of events that were removed
        self.changed = set()  # names of consumers, since they were last compared
        self.history = []
        self.step = 0
        self.run = os.getpid()
        self.workers[0].run(
            "CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'")
        for name in ("orders", "Users_2"):
            stream = self.world.streams[name] = Stream(name, name == "Users_2")
            self.create_stream(self.workers[0], stream)

    def create_stream(self, session, stream):
        stream.table = '"kanthorq_stream_' + stream.name + '"'
        session.run("SELECT kanthorq_stream_create(%s)", (stream.name,))
        if stream.has_trigger:
            session.run(f"CREATE TRIGGER own BEFORE INSERT ON {stream.table} FOR EACH ROW EXECUTE FUNCTION pass_on()")

    def log(self, session, what):
        self.history = self.history[-60:] + [f"{self.step:6} {session.name}: {what}"]

    def any_stream(self):
        return self.world.streams[self.random.choice(sorted(self.world.streams))]

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

    def push_level(self, transaction):
        transaction.levels.append(type(transaction.level)())

    def end_all(self):
        for session in self.sessions:
            if session.transaction:
                session.run("COMMIT")
                self.world.end(session.transaction, True)
                session.transaction = None
        while self.prepared:
            publishing.finish_prepared(self)

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
        rows = session.run(f"SELECT {publishing.COLUMNS}, position FROM {stream.table} ORDER BY position")
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
        for name in sorted(self.world.consumers if everything else self.changed & self.world.consumers.keys()):
            for session in self.random.sample(self.workers, 2):
                if self.may_touch(session, name):
                    self.compare_consumer(session, self.world.consumers[name])
                    break
        self.changed.clear()
        if everything:
            for stream in self.world.streams.values():
                self.compare_stream(self.random.choice(self.workers), stream)

    def print_state(self):
        for consumer in self.world.consumers.values():
            print({**consumer.__dict__, "tasks": len(consumer.tasks), "ended_leases": len(consumer.ended_leases)})
        for stream in self.world.streams.values():
            writers = [transaction.serial for transaction in self.world.writers(stream)]
            print(f"{stream.name}: last position {stream.last_position}, writers {writers}")

    def run_step(self):
        operations, weights = zip(*OPERATIONS)
        self.random.choices(operations, weights)[0](self)
        if self.step % 4 == 0:
            self.compare(self.step % 100 == 0)

    def drain(self):
        """In the end each event that is wanted and not finished comes, once."""
        self.end_all()
        for name in list(self.world.consumers):
            left = -1
            while left:
                consumer = self.world.consumers[name]
                stream = self.world.streams[consumer.stream]
                left = stream.last_position - consumer.cursor + len(consumer.owed)
                left += sum(task.due for task in consumer.tasks.values())
                left += sum(lease.expired for lease in consumer.leases())
                self.random.choice([consuming.pull, consuming.settle])(self)
                self.compare(True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("conninfo")
    options = parser.parse_args()
    print(f"# seed {options.seed}, {options.steps} steps", flush=True)
    test, started = Test(options.conninfo, options.seed), time.time()
    try:
        for test.step in range(1, options.steps + 1):
            test.run_step()
        test.drain()
    except Exception:
        print("\n".join(test.history))
        test.print_state()
        traceback.print_exc(file=sys.stdout)
        print(f"not as predicted in step {test.step} of seed {options.seed}")
        sys.exit(1)
    print(f"# {time.time() - started:.1f} s")


if __name__ == "__main__":
    main()
