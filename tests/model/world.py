"""What KanthorQ is expected to do, in memory: streams, their events, and the transactions that add and
remove them. consumers.py has the other half.

Nothing here talks to a server, and nothing knows how the library does it: positions are handed out one by
one and never given back, an event is there when its transaction has committed, and that is all.
"""

import copy
import re


class Refused(Exception):
    """What the server is expected to refuse, with this SQLSTATE. `positions` are handed out all the same."""

    def __init__(self, sqlstate, positions=0):
        super().__init__(sqlstate)
        self.sqlstate = sqlstate
        self.positions = positions


def matches(subject, pattern):
    """NATS: `*` is one token, a last `>` is one or more."""
    tokens, wanted = subject.split("."), pattern.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[: len(wanted)]
    return len(tokens) == len(wanted) and all(w in ("*", t) for t, w in zip(tokens, wanted))


def contains(whole, part):
    """jsonb's @> for objects, arrays and scalars."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and contains(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(contains(w, p) for w in whole) for p in part)
    return type(whole) is type(part) and whole == part


ULID_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def id_time(event_id):
    """The milliseconds inside an event id."""
    if re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", event_id):
        return int(event_id.replace("-", "")[:12], 16)
    time = 0
    for digit in event_id.rpartition("_")[2].upper()[:10]:
        time = 32 * time + ULID_DIGITS.index(digit)
    return time


class Event:
    def __init__(self, position, event_id, subject, body, metadata, created_at, transaction):
        self.position = position
        self.id = event_id
        self.subject = subject
        self.body = body
        self.metadata = metadata
        self.created_at = created_at
        self.bytes = None  # of body and metadata, as the server told it
        self.transaction = transaction  # that added it, while it is open
        self.committed = None  # the number of that transaction's commit
        self.removed_by = None  # an open transaction

    def fields(self):
        return (self.id, self.subject, self.body, self.metadata, self.created_at)


class Stream:
    def __init__(self, name, has_trigger, is_partitioned):
        self.name = name
        self.is_partitioned = is_partitioned  # which changes nothing here
        self.table = "kanthorq_stream_" + name
        self.has_trigger = has_trigger  # so that publishing goes through the executor
        self.events = {}  # by position, ascending
        self.last_position = 0

    def seen_by(self, transaction):
        """What a new snapshot of this transaction shows, by position."""
        return [
            event
            for event in self.events.values()
            if event.transaction in (None, transaction)
            and not (transaction and event.removed_by is transaction)
        ]

    def stored_for(self, transaction):
        """The same, and what others have added and not committed yet."""
        return [e for e in self.events.values() if not (transaction and e.removed_by is transaction)]

    def find(self, event_id, transaction):
        for event in self.seen_by(transaction):
            if event.id == event_id:
                return event
        return None

    def event_at(self, position, transaction):
        event = self.events.get(position)
        if event is None or event.transaction not in (None, transaction):
            return None
        return None if transaction and event.removed_by is transaction else event

    def duplicate(self, event_id, transaction):
        """Why this id can't be published by the transaction: "there", "unseen" (there, but not in its
        snapshot), "undecided" (another open transaction publishes or removes it), or None."""
        for event in self.events.values():
            if event.id != event_id or (transaction and event.removed_by is transaction):
                continue
            if event.transaction not in (None, transaction) or event.removed_by is not None:
                return "undecided"
            unseen = (
                transaction is not None
                and transaction.snapshot is not None
                and event.transaction is None
                and event.committed > transaction.snapshot
            )
            return "unseen" if unseen else "there"
        return None


class Level:
    """What a savepoint, or the transaction itself, has done since it began."""

    def __init__(self):
        self.added = []  # (stream, event)
        self.removed = []  # (stream, event)
        self.writes = set()  # the streams on which it holds a writer's lock
        self.consumers = {}  # name: as it was before


class Transaction:
    def __init__(self, repeatable, serial):
        self.levels = [Level()]
        self.serial = serial
        self.repeatable = repeatable
        self.reads = set()  # consumers whose tables it has read, and so keeps from being dropped
        self.snapshot = None  # in REPEATABLE READ: the number of the last commit that it sees

    @property
    def level(self):
        return self.levels[-1]

    def writes_to(self, stream):
        return any(stream in level.writes for level in self.levels)

    def touched(self):
        return {name for level in self.levels for name in level.consumers}


class World:
    def __init__(self):
        self.streams = {}
        self.consumers = {}
        self.open = []  # transactions, prepared ones included
        self.begun = 0
        self.commits = 0

    # Transactions

    def begin(self, repeatable=False):
        self.begun += 1
        transaction = Transaction(repeatable, self.begun)
        self.open.append(transaction)
        return transaction

    def take_snapshot(self, transaction):
        if transaction and transaction.repeatable and transaction.snapshot is None:
            transaction.snapshot = self.commits

    def touch(self, transaction, name):
        """Before a consumer is changed by the transaction."""
        if transaction and name not in transaction.level.consumers:
            transaction.level.consumers[name] = copy.deepcopy(self.consumers.get(name))

    def undo(self, level):
        for _, event in level.removed:
            event.removed_by = None
        for stream, event in level.added:
            stream.events.pop(event.position, None)
        for name, before in level.consumers.items():
            if before is None:
                self.consumers.pop(name, None)
            else:
                self.consumers[name] = before

    def release(self, transaction):
        done = transaction.levels.pop()
        into = transaction.level
        into.added += done.added
        into.removed += done.removed
        into.writes |= done.writes
        for name, before in done.consumers.items():
            into.consumers.setdefault(name, before)

    def roll_back_to(self, transaction, depth):
        """To the savepoint that began as level `depth`, which goes on."""
        while len(transaction.levels) > depth:
            self.undo(transaction.levels.pop())
        transaction.levels.append(Level())

    def end(self, transaction, commit):
        self.open.remove(transaction)
        if not commit:
            while transaction.levels:
                self.undo(transaction.levels.pop())
            return
        while len(transaction.levels) > 1:
            self.release(transaction)
        self.commits += 1
        for _, event in transaction.level.added:
            event.transaction = None
            event.committed = self.commits
        for stream, event in transaction.level.removed:
            stream.events.pop(event.position, None)

    def writers(self, stream):
        return [transaction for transaction in self.open if transaction.writes_to(stream)]

    # Events

    def publish(self, transaction, stream, events, skip, way):
        """Adds the events (id, subject, body, metadata, created_at), and returns those that were stored.

        What decides how many positions a refused statement takes: the library and COPY take those of a
        batch at once, a plain INSERT takes them row by row, and with "skip" the library asks first.
        """
        own = transaction or self.begin()
        try:
            stored = self._store(own, stream, events, skip, way)
        except Refused as refusal:
            stream.last_position += refusal.positions
            if not transaction:
                self.end(own, False)
            raise
        own.level.writes.add(stream)
        if not transaction:
            self.end(own, True)
        return stored

    def _store(self, own, stream, events, skip, way):
        through_executor = way == "insert" or (stream.has_trigger and way != "copy")
        # With a BEFORE trigger COPY stores row by row.
        row_by_row = through_executor or (way == "copy" and stream.has_trigger)
        taken, accepted, ids = 0, [], set()
        for event in events:
            why = None  # without an id the server makes a new one
            if event[0]:
                why = "there" if event[0] in ids else stream.duplicate(event[0], own)
            if skip and not through_executor:
                if why in ("undecided", "unseen"):
                    raise Refused("55P03" if why == "undecided" else "40001", taken)
                taken += why is None
            else:
                taken += 1
                if why and not (skip and why == "there"):
                    sqlstate = "55P03" if why == "undecided" else "40001" if skip else "23505"
                    raise Refused(sqlstate, taken if row_by_row else len(events))
            if why is None:
                ids.add(event[0])
                accepted.append((taken, event))
        stored = []
        for number, fields in accepted:
            event = Event(stream.last_position + number, *fields, own)
            stream.events[event.position] = event
            own.level.added.append((stream, event))
            stored.append(event)
        stream.last_position += taken
        return stored

    def remove(self, transaction, stream, chosen):
        """Removes these events, which the transaction sees."""
        own = transaction or self.begin()
        own.level.writes.add(stream)
        for event in chosen:
            event.removed_by = own
            own.level.removed.append((stream, event))
        if not transaction:
            self.end(own, True)
