"""The random operations on consumers, and on whole streams."""

import json
import time
from datetime import datetime, timezone

from consumers import Consumer
from publishing import FILTERS, WANTED_METADATA, some_id
from session import expect_same
from world import Refused, Stream, id_time



def in_use(test):
    """(session, consumer) of some consumer that no other open transaction has touched; None where there
    is none."""
    session = test.random.choice(test.workers)
    names = [name for name in test.world.consumers if test.may_touch(session, name)]
    if not names:
        return None
    consumer = test.world.consumers[test.random.choice(names)]
    test.note_read(session, consumer.name)
    test.changed.add(consumer.name)
    return session, consumer


def begin(test, session, consumer, what):
    test.log(session, f"{consumer.name}: {what}")
    test.world.touch(session.transaction, consumer.name)
    return test.world.streams[consumer.stream]


# Leases

def pull(test):
    found = in_use(test)
    if not found:
        return
    session, consumer = found
    random = test.random
    size = random.choice([1, 2, 5, 20, 10_000])
    expires = random.random() < 0.4
    visibility = "1 ms" if expires else random.choice([None, "1 hour"])
    wait = random.choice(["0"] * 9 + ["3 ms"])
    stream = begin(test, session, consumer, f"pull {size}{' that expires' * expires}, wait {wait}")
    rows = session.run("SELECT * FROM kanthorq_pull(%s, %s, %s, %s)", (consumer.name, size, wait, visibility))
    if expires:
        time.sleep(0.003)
    observed = test.task_rows(session, consumer)
    least, most = consumer.limit_of_new(test.world, stream)
    cursor = test.cursor_of(session, consumer)
    limit = min(max(cursor, least), most)
    delivered = [row[2] for row in rows]
    expected = consumer.pull(
        test.world, stream, size, session.transaction, limit, lambda c, room: due_tasks(c, room, delivered, observed))
    check_pull(stream, expected, rows)
    if rows:
        number = rows[0][0]
        lease = consumer.lease(0)
        lease.number = number
        if expires:
            consumer.run_out(lease)
        if number in consumer.ended_leases:
            expect_same("a lease number that was never there before", None, number)


def due_tasks(consumer, room, delivered, observed):
    """The first `room` tasks that are due; which of those with one time comes first is not said, so it is
    taken from what happened."""
    due = [position for position, task in consumer.tasks.items() if task.due]
    schedule = {p: consumer.tasks[p].schedule or float("inf") for p in due}
    order = {position: number for number, position in enumerate(delivered)}

    def was_chosen(position):
        return position not in observed or observed[position][2] not in ("available", "retryable")

    due.sort(key=lambda p: (schedule[p], not was_chosen(p), order.get(p, -1)))
    return due[:room]


def check_pull(stream, expected, rows):
    expect_same("attempts and positions of a pull", expected, [(row[1], row[2]) for row in rows])
    expect_same("leases of a pull", 1 if rows else 0, len({row[0] for row in rows}))
    for row in rows:
        expect_same("the delivered event", stream.events[row[2]].fields(), row[3:])


def some_lease(test, consumer):
    numbers = [lease.number for lease in consumer.leases()]
    if numbers and test.random.random() < 0.85:
        return test.random.choice(numbers)
    return test.random.choice(consumer.ended_leases[-20:] or [0, 7, -1])


ALL_LEFT = "all that is left"  # what a call without ids is about


def some_ids(test, session, consumer, stream, number):
    """ALL_LEFT, None for null, or ids: some of the lease, and some others."""
    random = test.random
    if random.random() < 0.3:
        return ALL_LEFT
    if random.random() < 0.1:
        return None
    lease = consumer.lease(number)
    positions = lease.fresh + lease.again if lease else []
    ids = [stream.events[p].id for p in positions if p in stream.events and random.random() < 0.6]
    ids += [some_id(test, stream) for _ in range(random.choice([0, 0, 1, 3]))]
    random.shuffle(ids)
    return ids


def positions_of(stream, ids, transaction):
    if ids == ALL_LEFT:
        return None
    return {e.position for e in stream.seen_by(transaction) if e.id in set(ids)}


def settle(test):
    """ack or nack"""
    found = in_use(test)
    if not found:
        return
    session, consumer = found
    random = test.random
    number = some_lease(test, consumer)
    ids = some_ids(test, session, consumer, test.world.streams[consumer.stream], number)
    nack = random.random() < 0.5
    error = random.choice([None, "", "no paper", "é" * 3])
    retry_in = random.choice(["0", "0", "1 day"])
    stream = begin(test, session, consumer, f"{'nack' if nack else 'ack'} {number} {ids} {error} {retry_in}")
    try:
        if ids is None:
            raise Refused("22004")
        positions = positions_of(stream, ids, session.transaction)
        if nack:
            expected = consumer.nack(stream, session.transaction, number, positions, error, retry_in == "0")
        else:
            expected = consumer.ack(number, positions)
        refused = None
    except Refused as refusal:
        expected, refused = None, refusal.sqlstate
    named, values = ("", ()) if ids == ALL_LEFT else (", ids => %s::text[]", (ids,))
    if nack:
        rows, sqlstate = session.answer(
            f"SELECT kanthorq_nack(%s, %s{named}, error => %s, retry_in => %s)",
            (consumer.name, number, *values, error, retry_in))
    else:
        rows, sqlstate = session.answer(f"SELECT kanthorq_ack(%s, %s{named})", (consumer.name, number, *values))
    expect_same("settling", (expected, refused), (rows and rows[0][0], sqlstate))


def extend(test):
    found = in_use(test)
    if not found:
        return
    session, consumer = found
    number, by = some_lease(test, consumer), test.random.choice(["1 ms", "1 hour", None, "0"])
    begin(test, session, consumer, f"extend {number} by {by}")
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

def change(test):
    """cancel or resume"""
    found = in_use(test)
    if not found:
        return
    session, consumer = found
    random = test.random
    stream = test.world.streams[consumer.stream]
    ids = [some_id(test, stream) for _ in range(random.choice([0, 1, 2, 6]))]
    cancel = random.random() < 0.5
    if not cancel:
        # Those that can be resumed are rare.
        ended = [t.event_id for t in consumer.tasks.values() if t.state in ("discarded", "cancelled")]
        ids += random.sample(ended, min(len(ended), 3))
    given = None if not ids and random.random() < 0.5 else ids  # a null list is an empty one
    function = "kanthorq_cancel" if cancel else "kanthorq_resume"
    begin(test, session, consumer, f"{function} {ids}")
    expected = []
    for event_id in ids:
        event = stream.find(event_id, session.transaction)
        if (consumer.cancel if cancel else consumer.resume)(event):
            expected.append(event_id)
    rows = session.run(f"SELECT {function}(%s, %s::text[])", (consumer.name, given))
    expect_same(function, expected, rows[0][0])


def ask_state(test):
    found = in_use(test)
    if not found:
        return
    session, consumer = found
    stream = test.world.streams[consumer.stream]
    event_id = some_id(test, stream)
    test.log(session, f"state of {event_id} for {consumer.name}")
    expected = consumer.state_of(stream.find(event_id, session.transaction))
    rows = session.run("SELECT kanthorq_task_state(%s, %s)", (consumer.name, event_id))
    expect_same("state", expected, rows[0][0])


def ask_tasks(test):
    found = in_use(test)
    if not found:
        return
    session, consumer = found
    state = test.random.choice([None, "available", "running", "completed", "retryable", "discarded", "cancelled"])
    size = test.random.choice([1, 100, 10_000])
    test.log(session, f"tasks of {consumer.name} {state} {size}")
    rows = session.run("SELECT * FROM kanthorq_tasks(%s, %s, %s)", (consumer.name, state, size))
    expected = sorted(t.shown() for t in consumer.tasks.values() if state in (None, t.state))
    if size >= len(expected):
        got = sorted(test.shown(row) for row in rows)
        expect_same("tasks", expected, got)
    expect_same("order of tasks", [task[0] for task in expected][:size], [row[0] for row in rows])


# Definitions

def some_definition(test):
    random = test.random
    return {
        "includes": random.sample(FILTERS[:-1], random.choice([1, 1, 2])) if random.random() < 0.5 else [">"],
        "excludes": random.sample(FILTERS[1:], random.choice([0, 0, 1])),
        "attempt_max": random.choice([1, 2, 3, 16, 32767]),
        "visibility_timeout": random.choice(["1 hour", "2 days"]),
        "ordered": random.random() < 0.3,
        "metadata_contains": random.choice(WANTED_METADATA),
    }


def some_start(test, stream, transaction):
    """(the argument, what the model's cursor_at() takes)"""
    random = test.random
    kind = random.randrange(4)
    if kind < 2:
        word = random.choice(["first", "new"])
        return word, word
    event_id = some_id(test, stream)
    if kind == 2:
        return event_id, event_id
    ms = id_time(event_id) + random.choice([-1, 0, 1])
    at = datetime.fromtimestamp(ms // 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return f"{at}.{ms % 1000:03d}+00", ms


def create(test):
    random, world = test.random, test.world
    session = random.choice(test.workers)
    name, stream = random.choice(test.consumer_names), test.any_stream()
    if not test.may_touch(session, name):
        return
    existing = world.consumers.get(name)
    definition = some_definition(test)
    if existing and random.random() < 0.5:
        definition, stream = existing.definition, world.streams[existing.stream]
    start_at, start = some_start(test, stream, session.transaction)
    test.log(session, f"create {name} of {stream.name} {definition} at {start_at}")
    refused = None
    try:
        if not existing:
            created = Consumer(name, world, stream, definition, start, session.transaction)
            world.touch(session.transaction, name)
            world.consumers[name] = created
        elif (existing.stream, existing.definition) == (stream.name, definition):
            world.touch(session.transaction, name)  # it holds the name
        else:
            refused = "42710"
    except Refused as refusal:
        refused = refusal.sqlstate
    _, sqlstate = session.answer(
        "SELECT kanthorq_consumer_create(%s, %s, %s::text[], %s::text[], %s, %s, %s, %s, %s::jsonb)",
        (name, stream.name, definition["includes"], definition["excludes"], definition["attempt_max"],
         definition["visibility_timeout"], start_at, definition["ordered"],
         json.dumps(definition["metadata_contains"])))
    expect_same("creating a consumer", refused, sqlstate)


def alter(test):
    found = in_use(test)
    if not found:
        return
    session, consumer = found
    changes = {k: v for k, v in some_definition(test).items() if test.random.random() < 0.3}
    stream = begin(test, session, consumer, f"alter {changes}")
    consumer.alter(test.world, stream, changes)
    casts = {
        "includes": "::text[]", "excludes": "::text[]", "attempt_max": "",
        "metadata_contains": "::jsonb",
    }
    arguments = "".join(f", {name} => %s{casts.get(name, '')}" for name in changes)
    values = [json.dumps(v) if k == "metadata_contains" else v for k, v in changes.items()]
    session.run(f"SELECT kanthorq_consumer_alter(%s{arguments})", (consumer.name, *values))


def seek(test):
    found = in_use(test)
    if not found or test.random.random() < 0.5:
        return
    session, consumer = found
    stream = test.world.streams[consumer.stream]
    start_at, start = some_start(test, stream, session.transaction)
    begin(test, session, consumer, f"seek {start_at}")
    try:
        consumer.seek(test.world, stream, start, session.transaction)
        expected, refused = consumer.cursor, None
    except Refused as refusal:
        expected, refused = None, refusal.sqlstate
    rows, sqlstate = session.answer(
        "SELECT kanthorq_consumer_seek(%s, %s, %s)", (consumer.name, start_at, consumer.name))
    expect_same("seeking", (expected, refused), (rows and rows[0][0], sqlstate))


def drop(test):
    session = test.random.choice(test.workers)
    name = test.random.choice(test.consumer_names)
    if test.random.random() < 0.6 or not test.may_drop(session, name):
        return
    test.log(session, f"drop {name}")
    test.world.touch(session.transaction, name)
    there = test.world.consumers.pop(name, None) is not None
    rows = session.run("SELECT kanthorq_consumer_drop(%s, %s)", (name, name))
    expect_same("dropping a consumer", there, rows[0][0])


# Removal, and whole streams

def remove(test):
    random, world = test.random, test.world
    session, stream = random.choice(test.workers), test.any_stream()
    trims = random.random() < 0.5 or len(stream.events) > 150
    consumers = [c for c in world.consumers.values() if c.stream == stream.name]
    others = [c for c in test.touched_by_others(session) if c not in [x.name for x in consumers]]
    if trims and (others or not all(test.may_touch(session, c.name) for c in consumers)):
        return
    seen = stream.seen_by(session.transaction)
    refused = None
    if trims:
        before_id, force = some_id(test, stream), random.random() < 0.2
        if len(seen) > 150:
            before_id, force = sorted(event.id for event in seen)[100], True
        chosen = [event for event in seen if event.id < before_id]
        statement = "SELECT kanthorq_stream_trim(%s, %s, %s, %s)"
        values = (stream.name, before_id, stream.name, force)
        for consumer in consumers:
            test.note_read(session, consumer.name)
            if not force:  # it keeps a seek of another transaction waiting
                world.touch(session.transaction, consumer.name)
        if not force and any(c.has_unfinished(stream, before_id, session.transaction) for c in consumers):
            refused = "55000"
    else:
        ids = [some_id(test, stream) for _ in range(random.choice([0, 1, 3]))]
        chosen = [event for event in seen if event.id in ids]
        given = None if not ids and random.random() < 0.5 else ids
        statement, values = "SELECT kanthorq_event_remove(%s, %s::text[])", (stream.name, given)
    test.log(session, f"{statement} {values}")
    if not refused and any(event.removed_by for event in chosen):
        refused = "55P03"
    rows, sqlstate = session.answer(statement, values)
    expect_same("removing", (None if refused else len(chosen), refused), (rows and rows[0][0], sqlstate))
    if not refused:
        test.old_ids = (test.old_ids + [event.id for event in chosen])[-50:]
        world.remove(session.transaction, stream, chosen)


def start_over(test):
    """Drops a stream with its consumers, and creates it again; once in a while in a transaction that
    does not last."""
    random, world = test.random, test.world
    if random.random() < 0.9:
        return
    test.end_all()
    session, stream = test.workers[0], test.any_stream()
    lasts = random.random() < 0.7
    test.log(session, f"drop and create {stream.name}{'' if lasts else ', undone'}")
    session.run("BEGIN")
    rows = session.run("SELECT kanthorq_stream_drop(%s, %s)", (stream.name, stream.name))
    expect_same("dropping a stream", True, rows[0][0])
    rows = session.run("SELECT kanthorq_stream_drop(%s, %s)", (stream.name, stream.name))
    expect_same("dropping a stream that is gone", False, rows[0][0])
    if lasts:
        world.consumers = {n: c for n, c in world.consumers.items() if c.stream != stream.name}
        world.streams[stream.name] = Stream(stream.name, random.random() < 0.5)
        test.create_stream(session, world.streams[stream.name])
    session.run("COMMIT" if lasts else "ROLLBACK")
