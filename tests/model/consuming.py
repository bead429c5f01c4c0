"""The rules that a consumer's workers follow: they pull, settle, and ask."""

import time

from hypothesis import strategies as st

from rules import rule
from session import expect_same
from values import NUMBERS, SIZES, SOME_IDS
from world import Refused

IDS = st.lists(SOME_IDS, max_size=3)
# Which of a lease's events, by bits, and some others; None for null
CHOSEN = st.none() | st.tuples(st.integers(0, 255), IDS) | st.tuples(st.integers(0, 255), st.just([]))
ERRORS = st.sampled_from([None, "", "no paper", "é" * 3])
RETRIES = st.sampled_from(["0", "0", "1 day"])
LEASES = st.integers(0, 20)
ALL_LEFT = "all that is left"  # what a call without ids is about
MAX_BYTES = st.sampled_from([None, None, None, 1, 40, 60, 120])  # an event has 12 to about 100
STATES = st.sampled_from([None, "available", "running", "completed", "retryable", "discarded", "cancelled"])

def is_there(machine):
    """Whether there is a consumer."""
    return machine.world.consumers


class Consuming:
    def in_use(self, session, consumer):
        """(session, consumer) of some consumer that no other open transaction has touched; None where there
        is none."""
        session = self.pick(self.workers, session)
        names = [name for name in self.world.consumers if self.may_touch(session, name)]
        if not names:
            return None
        consumer = self.world.consumers[self.pick(names, consumer)]
        self.note_read(session, consumer.name)
        self.changed.add(consumer.name)
        return session, consumer

    def begin_change(self, session, consumer, what):
        self.log(session, f"{consumer.name}: {what}")
        self.world.touch(session.transaction, consumer.name)
        return self.world.streams[consumer.stream]

    # Leases

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, size=SIZES, max_bytes=MAX_BYTES, visibility=st.sampled_from([None, "1 hour"]))
    def pull(self, session, consumer, size, max_bytes, visibility):
        self.pull_by(self.in_use(session, consumer), size, max_bytes, "0", visibility)

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, size=SIZES, wait=st.sampled_from(["0"] * 2 + ["3 ms"]))
    def pull_and_wait(self, session, consumer, size, wait):
        self.pull_by(self.in_use(session, consumer), size, wait=wait)

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, size=st.sampled_from([1, 2, 5]))
    def pull_few(self, session, consumer, size):
        self.pull_by(self.in_use(session, consumer), size)

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, size=st.sampled_from([1, 2, 5]))
    def pull_few_that_expire(self, session, consumer, size):
        self.pull_by(self.in_use(session, consumer), size, visibility="1 ms")

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, size=SIZES, max_bytes=MAX_BYTES)
    def pull_what_expires(self, session, consumer, size, max_bytes):
        self.pull_by(self.in_use(session, consumer), size, max_bytes, visibility="1 ms")

    pull_too, pull_what_expires_too = pull, pull_what_expires  # twice as often

    def pull_by(self, found, size, max_bytes=None, wait="0", visibility=None):
        if not found:
            return
        session, consumer = found
        expires = visibility == "1 ms"
        stream = self.begin_change(
            session, consumer, f"pull {size}, {max_bytes or 'any'} bytes{' that expires' * expires}, wait {wait}")
        rows = session.run(
            "SELECT * FROM kanthorq_pull(%s, %s, %s, %s, %s)", (consumer.name, size, wait, visibility, max_bytes))
        if expires:
            time.sleep(0.003)
        observed = self.task_rows(session, consumer)
        least, most = consumer.limit_of_new(self.world, stream)
        cursor = self.cursor_of(session, consumer)
        limit = min(max(cursor, least), most)
        delivered = [row[2] for row in rows]
        expected = consumer.pull(
            self.world, stream, size, max_bytes, session.transaction, limit,
            lambda c, room: due_tasks(c, stream, room, delivered, observed))
        check_pull(stream, expected, rows)
        if rows:
            number = rows[0][0]
            lease = consumer.lease(0)
            lease.number = number
            if expires:
                consumer.run_out(lease)
            if number in consumer.ended_leases:
                expect_same("a lease number that was never there before", None, number)

    def some_lease(self, consumer, number):
        """Mostly one that is open."""
        numbers = [lease.number for lease in consumer.leases()]
        if numbers and number < 17:
            return self.pick(numbers, number)
        return self.pick((consumer.ended_leases or [0, 7, -1])[::-1], number)

    def ids_of(self, consumer, stream, number, chosen):
        lease = consumer.lease(number)
        positions = lease.fresh + lease.again if lease else []
        kept = [p for bit, p in enumerate(positions) if p in stream.events and chosen[0] >> bit % 8 & 1]
        return [self.id_of(drawn, stream) for drawn in chosen[1]] + [stream.events[p].id for p in reversed(kept)]

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, lease=LEASES, chosen=CHOSEN)
    def ack(self, session, consumer, lease, chosen):
        self.settle(self.in_use(session, consumer), lease, chosen)

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, lease=LEASES)
    def ack_all(self, session, consumer, lease):
        self.settle(self.in_use(session, consumer), lease, ALL_LEFT)

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, lease=LEASES, chosen=CHOSEN, error=ERRORS)
    def nack(self, session, consumer, lease, chosen, error):
        self.settle(self.in_use(session, consumer), lease, chosen, (error, "0"))

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, lease=LEASES, chosen=CHOSEN, error=ERRORS, retry_in=RETRIES)
    def nack_until(self, session, consumer, lease, chosen, error, retry_in):
        self.settle(self.in_use(session, consumer), lease, chosen, (error, retry_in))

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, lease=LEASES, error=ERRORS, retry_in=RETRIES)
    def nack_all(self, session, consumer, lease, error, retry_in):
        self.settle(self.in_use(session, consumer), lease, ALL_LEFT, (error, retry_in))

    ack_too, nack_too = ack, nack  # twice as often

    def settle(self, found, lease, chosen, nack=None):
        if not found:
            return
        session, consumer = found
        stream, number = self.world.streams[consumer.stream], self.some_lease(consumer, lease)
        ids = self.ids_of(consumer, stream, number, chosen) if isinstance(chosen, tuple) else chosen
        self.begin_change(session, consumer, f"{'nack' if nack else 'ack'} {number} {ids} {nack or ''}")
        try:
            if ids is None:
                raise Refused("22004")
            positions = positions_of(stream, ids, session.transaction)
            if nack:
                expected = consumer.nack(
                    stream, session.transaction, number, positions, nack[0], nack[1] == "0")
            else:
                expected = consumer.ack(number, positions)
            refused = None
        except Refused as refusal:
            expected, refused = None, refusal.sqlstate
        named, values = ("", ()) if ids == ALL_LEFT else (", ids => %s::text[]", (ids,))
        if nack:
            rows, sqlstate = session.answer(
                f"SELECT kanthorq_nack(%s, %s{named}, error => %s, retry_in => %s)",
                (consumer.name, number, *values, *nack))
        else:
            rows, sqlstate = session.answer(f"SELECT kanthorq_ack(%s, %s{named})", (consumer.name, number, *values))
        expect_same("settling", (expected, refused), (rows and rows[0][0], sqlstate))

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, lease=LEASES, by=st.sampled_from(["1 ms", "1 hour", None, "0"]))
    def extend(self, session, consumer, lease, by):
        found = self.in_use(session, consumer)
        if not found:
            return
        session, consumer = found
        number = self.some_lease(consumer, lease)
        self.begin_change(session, consumer, f"extend {number} by {by}")
        lease = consumer.lease(number)
        refused = "22023" if by == "0" else None if lease else "KQ001"
        rows, sqlstate = session.answer("SELECT kanthorq_extend(%s, %s, %s) > now()", (consumer.name, number, by))
        expect_same("extending", (not refused or None, refused), (rows and rows[0][0], sqlstate))
        if not refused:
            if by == "1 ms":
                time.sleep(0.003)
                consumer.run_out(lease)
            else:
                lease.ran_out = None

    # Single events

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, ids=st.none() | st.lists(SOME_IDS, max_size=6))
    def cancel(self, session, consumer, ids):
        self.change(self.in_use(session, consumer), "kanthorq_cancel", ids)

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, ids=st.none() | IDS, ended=st.lists(NUMBERS, max_size=3))
    def resume(self, session, consumer, ids, ended):
        """Those that can be resumed are rare: `ended` chooses among them."""
        self.change(self.in_use(session, consumer), "kanthorq_resume", ids, ended)

    cancel_too, resume_too = cancel, resume  # twice as often

    def change(self, found, function, drawn, ended=()):
        if not found:
            return
        session, consumer = found
        stream = self.world.streams[consumer.stream]
        ids = [self.id_of(one, stream) for one in drawn or []]
        there = [t.event_id for t in consumer.tasks.values() if t.state in ("discarded", "cancelled")]
        for number in ended:
            if there:
                ids.append(there.pop(number % len(there)))
        given = None if drawn is None and not ids else ids  # a null list is an empty one
        self.begin_change(session, consumer, f"{function} {given}")
        expected = []
        for event_id in ids:
            event = stream.find(event_id, session.transaction)
            if (consumer.cancel if function == "kanthorq_cancel" else consumer.resume)(event):
                expected.append(event_id)
        rows = session.run(f"SELECT {function}(%s, %s::text[])", (consumer.name, given))
        expect_same(function, expected, rows[0][0])

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, event=SOME_IDS)
    def ask_state(self, session, consumer, event):
        found = self.in_use(session, consumer)
        if not found:
            return
        session, consumer = found
        stream = self.world.streams[consumer.stream]
        event_id = self.id_of(event, stream)
        self.log(session, f"{consumer.name}: state of {event_id}")
        expected = consumer.state_of(stream.find(event_id, session.transaction))
        rows = session.run("SELECT kanthorq_task_state(%s, %s)", (consumer.name, event_id))
        expect_same("state", expected, rows[0][0])

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, state=STATES, size=st.sampled_from([1, 100, 10_000]))
    def ask_tasks(self, session, consumer, state, size):
        found = self.in_use(session, consumer)
        if not found:
            return
        session, consumer = found
        self.log(session, f"{consumer.name}: tasks {state or 'in any state'} {size}")
        rows = session.run("SELECT * FROM kanthorq_tasks(%s, %s, %s)", (consumer.name, state, size))
        expected = sorted(t.shown() for t in consumer.tasks.values() if state in (None, t.state))
        if size >= len(expected):
            expect_same("tasks", expected, sorted(self.shown(row) for row in rows))
        expect_same("order of tasks", [task[0] for task in expected][:size], [row[0] for row in rows])


def due_tasks(consumer, stream, room, delivered, observed):
    """The first `room` tasks that are due; which of those with one time comes first is not said, so it is
    taken from what happened. Of those that did not come, the largest may have been the first."""
    due = [position for position, task in consumer.tasks.items() if task.due]
    schedule = {p: consumer.tasks[p].schedule or float("inf") for p in due}
    order = {position: number for number, position in enumerate(delivered)}

    def was_chosen(position):
        return position not in observed or observed[position][2] not in ("available", "retryable")

    def size(position):
        event = stream.events.get(position)
        return event.bytes if event else 0

    due.sort(key=lambda p: (schedule[p], not was_chosen(p), order.get(p, -1), -size(p)))
    return due[:room]


def check_pull(stream, expected, rows):
    expect_same("attempts and positions of a pull", expected, [(row[1], row[2]) for row in rows])
    expect_same("leases of a pull", 1 if rows else 0, len({row[0] for row in rows}))
    for row in rows:
        expect_same("the delivered event", stream.events[row[2]].fields(), row[3:])


def positions_of(stream, ids, transaction):
    if ids == ALL_LEFT:
        return None
    return {e.position for e in stream.seen_by(transaction) if e.id in set(ids)}
