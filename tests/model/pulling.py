"""What a consumer's pull is expected to deliver, in which order, and what becomes of tasks and leases by that."""

from dataclasses import dataclass, field

LEASE_RAN_OUT = "the lease ran out"
DEFAULT_MAX_BYTES = 64 * 1024 * 1024


@dataclass
class Task:
    event_id: str
    subject: str
    state: str = "available"
    attempts: int = 0
    schedule: int | None = None  # milliseconds since the epoch, as the server told it
    due: bool = False  # that time has come
    errors: list = field(default_factory=list)  # (attempt, text)
    attempted: bool = False  # has attempted_at
    finalized: bool = False  # has finalized_at

    def shown(self):
        """As kanthorq_tasks() shows it, without times."""
        errors = tuple(self.errors[-16:])
        return (
            self.event_id, self.subject, self.state, self.attempts,
            self.state in ("available", "retryable"), self.attempted, errors, self.finalized,
        )


@dataclass
class Lease:
    number: int
    fresh: list
    again: list
    ran_out: int | None = None  # the order in which leases ran out, None before

    @property
    def expired(self):
        return self.ran_out is not None


class Batch:
    """What a pull may still deliver. Once an event did not fit, nothing does."""

    def __init__(self, size, max_bytes):
        self.size = size
        self.max_bytes = max_bytes or DEFAULT_MAX_BYTES
        self.events = 0
        self.bytes = 0
        self.is_full = False

    def fits(self, event):
        if self.events and self.bytes + event.bytes > self.max_bytes:
            self.is_full = True
        return not self.is_full

    def add(self, event):
        self.events += 1
        self.bytes += event.bytes
        self.is_full = self.events == self.size


class Pulling:
    """The part of a Consumer that pulls."""

    def fail(self, task, error, schedule, due):
        if error:
            task.errors.append((task.attempts, error))
        final = task.attempts >= self.definition["attempt_max"]
        task.state = "discarded" if final else "retryable"
        task.finalized = final
        task.schedule, task.due = (None, False) if final else (schedule, due)

    def start_attempt(self, task):
        task.schedule, task.due = None, False
        if task.attempts >= self.definition["attempt_max"]:
            task.state, task.finalized = "discarded", True
            return False
        task.state, task.finalized, task.attempted = "running", False, True
        task.attempts += 1
        return True

    def limit_of_new(self, world, stream):
        """(least, most): how far a pull reads. An ordered consumer must stop below what an open writer may
        still commit; it may stop before, but not below what it has noticed to be settled."""
        last = stream.last_position
        if not self.definition["ordered"]:
            return last, last
        writers = world.writers(stream)
        least = min([last] + [self.writers.get(w.serial, self.noticed) for w in writers])
        open_positions = [e.position - 1 for e in stream.events.values() if e.transaction]
        return least, min([last] + open_positions)

    def notice(self, world, stream):
        for writer in world.writers(stream):
            self.writers.setdefault(writer.serial, self.noticed)
        self.noticed = stream.last_position

    def pull(self, world, stream, size, max_bytes, transaction, limit, pick_due):
        """Returns [(attempt, position)] in order, and puts them into a lease without a number.
        `pick_due(candidates, room)` says which tasks, in which order, where times are equal."""
        rows, fresh, again = [], [], []
        batch = Batch(size, max_bytes)

        def deliver(position, attempt, into):
            rows.append((attempt, position))
            into.append(position)
            batch.add(stream.events[position])

        def redeliver(position, task):
            self.fail(task, LEASE_RAN_OUT, None, True)
            if task.state == "retryable" and batch.fits(stream.events[position]) and self.start_attempt(task):
                deliver(position, task.attempts, again)

        for lease in sorted(self.expired_leases(), key=lambda lease: lease.ran_out):
            if batch.is_full:
                break
            for position in lease.again:
                task = self.tasks.get(position)
                if task and stream.event_at(position, transaction):
                    redeliver(position, task)
                else:
                    self.tasks.pop(position, None)
            for position in lease.fresh:
                event = stream.event_at(position, transaction)
                if event:
                    task = self.tasks[position] = Task(event.id, event.subject, attempts=1, attempted=True)
                    redeliver(position, task)
            self.end_lease(self.slots.index(lease))

        for position in pick_due(self, 0 if batch.is_full else size - len(rows)):
            task = self.tasks[position]
            if not stream.event_at(position, transaction):
                del self.tasks[position]
            elif not batch.fits(stream.events[position]):
                break
            elif self.start_attempt(task):
                deliver(position, task.attempts, again)

        self.look_at_new(stream, batch, transaction, limit, lambda p: deliver(p, 1, fresh))
        self.notice(world, stream)
        if rows:
            self.open_lease(Lease(0, sorted(fresh), sorted(again)))
        return rows

    def look_at_new(self, stream, batch, transaction, limit, deliver):
        def look(event):
            """Whether the pull goes on after it."""
            if self.wants(event) and event.position not in self.tasks:
                if not batch.fits(event):
                    return False
                deliver(event.position)
            return True

        for position in sorted(self.owed):
            event = stream.events.get(position)
            if event and event.transaction:
                continue
            if batch.is_full:
                return
            if stream.event_at(position, transaction) and not look(event):
                return
            self.owed.discard(position)
        if batch.is_full or limit <= self.cursor:
            return
        reached = limit
        passed = [e for e in stream.events.values() if self.cursor < e.position <= limit]
        last_seen = self.cursor
        for event in passed:
            if event.transaction not in (None, transaction) or stream.event_at(event.position, transaction) is None:
                continue
            if batch.is_full or event.transaction is None and not look(event):
                reached = last_seen
                break
            last_seen = event.position
        self.owed |= {e.position for e in passed if e.transaction and e.position <= reached}
        self.cursor = reached
