"""The rules of maintenance and of closing partitions. They change nothing that anybody sees."""

from rules import rule
from session import expect_same
from values import NUMBERS, STREAMS


def is_quiet(machine):
    """A session must be idle. In REPEATABLE READ, an event that has moved to another partition looks like one that
    was published meanwhile."""
    return (
        machine.idle(machine.workers)
        and not any(transaction.repeatable for transaction in machine.world.open)
        and not any(has_to_tidy(machine.world, consumer) for consumer in machine.world.consumers.values())
    )


def has_to_tidy(world, consumer):
    """Leases that ran out would be collected, and the history of events that are gone would go."""
    positions = {event.position for event in world.streams[consumer.stream].events.values()}
    return bool(consumer.expired_leases()) or any(position not in positions for position in consumer.tasks)


class Maintaining:
    @rule(is_quiet, session=NUMBERS)
    def maintain(self, session):
        session = self.pick(self.idle(self.workers), session)
        self.log(session, "CALL kanthorq_maintain()")
        session.run("SET kanthorq.maintain_lock_timeout = '5 ms'")
        session.run("CALL kanthorq_maintain()")
        errors = session.run(
            "SELECT stream_name, step, error FROM kanthorq_maintenance"
            " WHERE error IS NOT NULL AND error NOT LIKE %s", ("%lock timeout",))
        expect_same("errors of maintenance", [], errors)

    @rule(lambda self: self.idle(self.workers), session=NUMBERS, stream=STREAMS, partition=NUMBERS)
    def close_partition(self, session, stream, partition):
        """It is not to be had while somebody has written into it."""
        session, stream = self.pick(self.idle(self.workers), session), self.world.streams[stream]
        partitions = session.run(
            "SELECT DISTINCT partition::text FROM kanthorq_partition WHERE stream = %s::regclass"
            " AND partition::text NOT LIKE %s ORDER BY 1", (stream.table, "%default%"))
        expect_same("a stream with partitions", stream.is_partitioned, len(partitions) > 0)
        if not partitions:
            return
        partition = self.pick(partitions, partition)[0]
        self.log(session, f"close {partition}")
        _, sqlstate = session.answer(
            "SELECT kanthorq_partition_close(%s, %s::text::regclass)", (stream.name, partition))
        if sqlstate != "55P03":
            expect_same("closing a partition", None, sqlstate)
