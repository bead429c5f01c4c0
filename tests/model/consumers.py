"""What KanthorQ is expected to do for a consumer, in memory.

An event is ahead of the consumer until a pull has looked at it: because it lies behind the cursor, or
because its transaction was open when the cursor passed it (it is owed then). This is all there is to exact
delivery; the list of late writers, which the library keeps instead, is its own business.
"""

from pulling import Lease, Pulling, Task
from world import contains, id_time, matches, Refused


class Consumer(Pulling):
    def __init__(self, name, world, stream, definition, start, transaction):
        self.name = name
        self.stream = stream.name
        self.definition = dict(definition)
        self.slots = []  # leases, None where a slot is free
        self.tasks = {}  # by position
        self.ended_leases = []  # numbers
        self.start(world, stream, start, transaction)

    def start(self, world, stream, start, transaction):
        self.cursor = cursor_at(stream, start, transaction)
        self.owed = set()
        # What an ordered consumer must have noticed: the last position at its last pull or start, and for
        # each writer that it saw the last position before.
        self.noticed = self.cursor
        self.writers = {}
        self.notice(world, stream)

    def __deepcopy__(self, memo):
        """By hand, because a transaction is copied with each savepoint of a worker."""
        other = object.__new__(Consumer)
        other.__dict__.update(self.__dict__)
        other.definition = dict(self.definition)
        other.slots = [s and Lease(s.number, list(s.fresh), list(s.again), s.ran_out) for s in self.slots]
        other.tasks = {p: Task(**{**t.__dict__, "errors": list(t.errors)}) for p, t in self.tasks.items()}
        other.ended_leases = list(self.ended_leases)
        other.owed = set(self.owed)
        other.writers = dict(self.writers)
        return other

    # Asking

    def wants(self, event):
        d = self.definition
        return (
            any(matches(event.subject, f) for f in d["includes"])
            and not any(matches(event.subject, f) for f in d["excludes"])
            and contains(event.metadata, d["metadata_contains"])
        )

    def is_ahead(self, position):
        return position > self.cursor or position in self.owed

    def leases(self):
        return [lease for lease in self.slots if lease]

    def expired_leases(self):
        return [lease for lease in self.leases() if lease.expired]

    def lease(self, number):
        for lease in self.leases():
            if lease.number == number:
                return lease
        return None

    def lease_of(self, position):
        for lease in self.leases():
            if position in lease.fresh or position in lease.again:
                return lease
        return None

    def state_of(self, event):
        if event is None or not self.wants(event):
            return None
        if event.position in self.tasks:
            return self.tasks[event.position].state
        if self.lease_of(event.position):
            return "running"
        return "available" if self.is_ahead(event.position) else "completed"

    def counts(self):
        states = [task.state for task in self.tasks.values()]
        return (
            sum(len(lease.fresh) + len(lease.again) for lease in self.leases()),
            sum(state in ("available", "retryable") for state in states),
            states.count("discarded"),
            states.count("cancelled"),
        )

    def has_unfinished(self, stream, before_id, transaction):
        """Is there something before this id that a trim must not take away?"""
        pending = ("available", "retryable", "running")
        if any(t.event_id < before_id and t.state in pending for t in self.tasks.values()):
            return True
        for event in stream.seen_by(transaction):
            if event.id >= before_id or event.position in self.tasks:
                continue
            if self.lease_of(event.position) or (self.is_ahead(event.position) and self.wants(event)):
                return True
        return False

    # Leases

    def open_lease(self, lease):
        for slot, other in enumerate(self.slots):
            if other is None:
                self.slots[slot] = lease
                return
        self.slots.append(lease)

    def run_out(self, lease):
        """Later than all others, also where it had run out before."""
        lease.ran_out = 1 + max((other.ran_out for other in self.expired_leases()), default=0)

    def end_lease(self, slot):
        self.ended_leases.append(self.slots[slot].number)
        self.slots[slot] = None

    def shrink(self, lease, gone):
        lease.fresh = [p for p in lease.fresh if p not in gone]
        lease.again = [p for p in lease.again if p not in gone]
        if not lease.fresh and not lease.again:
            self.end_lease(self.slots.index(lease))

    def settle(self, number, positions, fresh, again):
        """Calls fresh(position), again(position, task) for what is in the lease; returns how many."""
        lease = self.lease(number)
        if lease is None:
            raise Refused("KQ001")
        chosen_fresh = [p for p in lease.fresh if positions is None or p in positions]
        chosen_again = [p for p in lease.again if positions is None or p in positions]
        for position in chosen_fresh:
            fresh(position)
        for position in chosen_again:
            if position in self.tasks:
                again(position, self.tasks[position])
        chosen = set(chosen_fresh + chosen_again)
        if chosen:
            self.shrink(lease, chosen)
        return len(chosen)

    def ack(self, number, positions):
        return self.settle(number, positions, lambda p: None, lambda p, task: self.tasks.pop(p))

    def nack(self, stream, transaction, number, positions, error, due):
        def fresh(position):
            event = stream.event_at(position, transaction)
            if event:
                task = self.tasks[position] = Task(event.id, event.subject, attempts=1, attempted=True)
                self.fail(task, error, None, due)

        return self.settle(number, positions, fresh, lambda p, task: self.fail(task, error, None, due))

    # Single events

    def cancel(self, event):
        """Whether its state changed."""
        if event is None or not self.wants(event):
            return False
        position = event.position
        task, lease = self.tasks.get(position), self.lease_of(position)
        if task and task.state not in ("available", "running", "retryable"):
            return False
        if not task:
            if not lease and not self.is_ahead(position):
                return False
            attempts = 1 if lease else 0
            task = self.tasks[position] = Task(event.id, event.subject, attempts=attempts, attempted=bool(lease))
        if lease:
            self.shrink(lease, {position})
        task.state, task.finalized, task.schedule, task.due = "cancelled", True, None, False
        return True

    def resume(self, event):
        task = event and self.tasks.get(event.position)
        if not task or not self.wants(event) or task.state not in ("discarded", "cancelled"):
            return False
        if self.is_ahead(event.position):
            del self.tasks[event.position]
            return True
        task.state, task.attempts, task.finalized = "available", 0, False
        task.schedule, task.due = None, True
        return True

    def seek(self, world, stream, start, transaction):
        self.start(world, stream, start, transaction)
        for slot, lease in enumerate(self.slots):
            if lease:
                self.end_lease(slot)
        self.tasks = {p: t for p, t in self.tasks.items() if t.state == "cancelled"}

    def alter(self, world, stream, changes):
        if changes.get("ordered") and not self.definition["ordered"]:
            self.notice(world, stream)
        self.definition.update(changes)


def cursor_at(stream, start_at, transaction):
    """The position behind which a consumer starts."""
    if start_at == "first":
        return 0
    if start_at == "new":
        return stream.last_position
    if isinstance(start_at, int):  # a time in milliseconds
        return min(
            (e.position - 1 for e in stream.stored_for(transaction) if id_time(e.id) >= start_at),
            default=stream.last_position)
    event = stream.find(start_at, transaction)
    if event is None:
        raise Refused("42704")
    return event.position - 1
