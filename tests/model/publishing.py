"""The random operations that add, read and remove events, and end transactions."""

import json
import uuid

from session import expect_same
from world import ULID_DIGITS, Refused, id_time, matches, contains

SUBJECTS = ["order", "order.created", "order.item.added", "user.created", "v2.order.created", "a-1"]
FILTERS = [">", "order.>", "order.*", "*.created", "user.created", "*.*.*", "*", "nobody"]
METADATA = [{}, {"a": 1}, {"a": 2, "b": "x"}, {"a": 1, "n": {"k": [1, 2]}}, {"a": "1"}]
WANTED_METADATA = [{}, {}, {"a": 1}, {"n": {"k": [2]}}]
COLUMNS = "id, subject, body, metadata, created_at"


def ulid(random, time):
    value = time << 80 | random.getrandbits(80)
    return "".join(ULID_DIGITS[value >> (5 * digit) & 31] for digit in reversed(range(26)))


def new_id(test):
    """Around a time that goes on slowly, in all three forms."""
    random = test.random
    time = 1_700_000_000_000 + 50 * test.step + random.randrange(-3000, 3000)
    form = random.randrange(4)
    if form == 0:
        value = time << 80 | 7 << 76 | random.getrandbits(12) << 64 | 2 << 62 | random.getrandbits(62)
        return str(uuid.UUID(int=value))
    return "evt_" + ulid(random, time).lower() if form == 1 else ulid(random, time)


def some_id(test, stream):
    """Mostly an id that the stream has, or had."""
    random = test.random
    known = [event.id for event in stream.events.values()]
    if known and random.random() < 0.9:
        # Recent ones are more interesting.
        return known[-1 - min(int(random.expovariate(0.1)), len(known) - 1)]
    return random.choice(test.old_ids) if test.old_ids and random.random() < 0.7 else new_id(test)


def make_events(test, stream):
    """(id or None, subject, body, metadata, created_at or None)"""
    random = test.random
    count = random.choice([1, 1, 2, 5, 12])
    events = []
    for _ in range(count):
        event_id = None if random.random() < 0.5 else new_id(test)
        if random.random() < 0.02:
            event_id = some_id(test, stream)
        body = random.randbytes(random.choice([0, 1, 8, 40]))
        created_at = random.choice([None, random.getrandbits(62)])
        events.append((event_id, random.choice(SUBJECTS), body, random.choice(METADATA), created_at))
    return events


def publish(test):
    """In one of all ways; what is stored is read back."""
    random, world = test.random, test.world
    session, stream = random.choice(test.sessions), test.any_stream()
    way = random.choice(["publish", "publish", "publish_text", "publish_json", "many", "many", "insert", "copy"])
    events = make_events(test, stream)
    if way.startswith("publish"):
        events = events[:1]
    if way == "publish_text":
        events = [(i, s, b.hex().encode(), m, c) for i, s, b, m, c in events]
    if way == "publish_json":
        events = [(i, s, b'{"x": "%s"}' % b.hex().encode(), m, c) for i, s, b, m, c in events]
    skip = random.random() < 0.4 and way not in ("insert", "copy")
    if way == "copy" and any(event[0] is None for event in events):
        events = [(None, *event[1:]) for event in events]
    if way in ("insert", "copy"):
        events = [(*event[:4], event[4] or 7) for event in events]
    test.log(session, f"publish {way} to {stream.name} {'skip ' if skip else ''}{[e[0] for e in events]}")
    world.take_snapshot(session.transaction)
    before = stream.last_position
    try:
        stored, refused = world.publish(session.transaction, stream, events, skip, way), None
    except Refused as refusal:
        stored, refused = [], refusal.sqlstate
    returned, sqlstate = run_publish(session, stream, way, events, skip, refused is not None)
    expect_same("publishing", refused, sqlstate)
    if not refused:
        read_back(session, stream, before, stored)
        if way.startswith("publish") or way == "many":
            check_returned(events, stored, returned)


def run_publish(session, stream, way, events, skip, careful):
    """(returned ids, SQLSTATE)"""
    duplicate = "skip" if skip else "error"
    if way == "many":
        columns = list(zip(*events))
        rows, sqlstate = session.answer(
            "SELECT kanthorq_publish_many(%s, %s::text[], %s::bytea[], %s::jsonb[], %s::text[], %s::bigint[], %s)",
            (stream.name, list(columns[1]), list(columns[2]), [json.dumps(m) for m in columns[3]],
             list(columns[0]), list(columns[4]), duplicate), careful)
        return rows and rows[0][0], sqlstate
    if way == "insert":
        rows = ", ".join(
            f"({'%s' if event[0] else 'DEFAULT'}, %s, %s, %s::jsonb, %s)" for event in events)
        values = []
        for event in events:
            values += [event[0]] if event[0] else []
            values += [event[1], event[2], json.dumps(event[3]), event[4]]
        return session.answer(f"INSERT INTO {stream.table} ({COLUMNS}) VALUES {rows}", values, careful)
    if way == "copy":
        named = events[0][0] is not None
        columns = COLUMNS if named else COLUMNS.removeprefix("id, ")
        rows = [(*e[: 3], json.dumps(e[3]), e[4])[0 if named else 1 :] for e in events]
        return None, session.copy(f"COPY {stream.table} ({columns}) FROM STDIN", rows)
    event_id, subject, body, metadata, created_at = events[0]
    body = body if way == "publish" else body.decode()
    cast = {"publish": "bytea", "publish_text": "text", "publish_json": "jsonb"}[way]
    rows, sqlstate = session.answer(
        f"SELECT kanthorq_{way}(%s, %s, %s::{cast}, %s::jsonb, %s, %s, %s)",
        (stream.name, subject, body, json.dumps(metadata), event_id, created_at, duplicate), careful)
    return rows and [rows[0][0]], sqlstate


def read_back(session, stream, before, stored):
    """The rows that were added are those; takes over the ids and times that the server chose."""
    rows = session.run(
        f"SELECT position, {COLUMNS} FROM {stream.table} WHERE position > %s ORDER BY position", (before,))
    expect_same("positions", [event.position for event in stored], [row[0] for row in rows])
    for event, row in zip(stored, rows):
        event.id = event.id or row[1]
        if event.created_at is None:
            event.created_at = id_time(event.id)
        expect_same("the stored event", event.fields(), row[1:])


def check_returned(events, stored, returned):
    """The ids in order, those of events that were there already as well."""
    chosen = iter([event.id for event in stored])
    asked = [event[0] for event in events]
    if None not in asked:
        expect_same("returned ids", asked, returned)
    elif len(stored) == len(events):
        expect_same("returned ids", list(chosen), returned)
    else:
        expect_same("how many ids are returned", len(events), len(returned))


# What is refused whatever the state

WRONG = [
    ("SELECT kanthorq_publish(%s, 'a..b', '')", "22023"),
    ("SELECT kanthorq_publish(%s, 'a', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FAv')", "22023"),
    ("SELECT kanthorq_publish(%s, 'a', '', '[]')", "23514"),
    ("SELECT kanthorq_publish(%s, NULL, '')", "22004"),
    ("SELECT kanthorq_publish(%s || 'x', 'a', '')", "42704"),
    ("SELECT kanthorq_publish_many(%s, '{a,b}', '{x}')", "22023"),
    ("SELECT kanthorq_publish_many(%s, '{a,NULL}', '{x,y}')", "22004"),
    ("SELECT kanthorq_publish_many_text(%s, '{a}', NULL)", "22004"),
    ("SELECT * FROM kanthorq_events(%s, size => 0)", "22023"),
    ("SELECT kanthorq_event_remove(%s, '{nothing}')", "22023"),
    ("SELECT kanthorq_stream_trim(%s, '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'other')", "55000"),
    ("SELECT kanthorq_stream_drop(%s, NULL)", "55000"),
    ("SELECT kanthorq_consumer_create('nobody', %s, '{}')", "22023"),
]


def wrong(test):
    session, stream = test.random.choice(test.sessions), test.any_stream()
    statement, sqlstate = test.random.choice(WRONG)
    test.log(session, statement)
    test.world.take_snapshot(session.transaction)
    expect_same(statement, sqlstate, session.answer(statement, (stream.name,))[1])
    command = test.random.choice(["UPDATE {} SET subject = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
    # TRUNCATE would wait for whoever uses the table.
    if command != "TRUNCATE {}" or not test.world.open and not any(s.transaction for s in test.sessions):
        expect_same(command, "55000", session.answer(command.format(stream.table))[1])


# Reading

def read(test):
    """By id, by time, by subject: pages of what this session sees."""
    random = test.random
    session, stream = random.choice(test.sessions), test.any_stream()
    if session.transaction and session.transaction.repeatable:
        return
    seen = sorted(stream.seen_by(session.transaction), key=lambda event: event.id)
    pattern, size = random.choice(FILTERS), random.choice([1, 3, 100])
    how = random.randrange(3)
    if how == 0:
        event_id = some_id(test, stream)
        statement, values = "SELECT * FROM kanthorq_event_get(%s, %s)", (stream.name, event_id)
        expected = [event for event in seen if event.id == event_id]
    elif how == 1:
        after, wanted = random.choice([None, some_id(test, stream)]), random.choice(WANTED_METADATA)
        statement = "SELECT * FROM kanthorq_events(%s, %s, %s, size => %s, metadata_contains => %s::jsonb)"
        values = (stream.name, pattern, after, size, json.dumps(wanted))
        expected = [e for e in seen if (after is None or e.id > after) and contains(e.metadata, wanted)]
    else:
        after = random.choice([(None, None), (random.choice(SUBJECTS), some_id(test, stream))])
        statement = "SELECT * FROM kanthorq_events_by_subject(%s, %s, %s, %s, %s)"
        values = (stream.name, pattern, *after, size)
        expected = sorted(seen, key=lambda e: (e.subject, e.id))
        expected = [e for e in expected if after[0] is None or (e.subject, e.id) > after]
    if how:
        expected = [event for event in expected if matches(event.subject, pattern)][:size]
    test.log(session, f"{statement} {values}")
    expect_same(statement, [e.fields() for e in expected], session.run(statement, values))


# Transactions

def transact(test):
    """Begins a transaction, or does something to an open one."""
    random, world = test.random, test.world
    session = random.choice(test.sessions)
    transaction = session.transaction
    if transaction is None:
        repeatable = session in test.publishers and random.random() < 0.3
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ" if repeatable else "BEGIN")
        session.transaction = world.begin(repeatable)
        return test.log(session, "BEGIN" + " REPEATABLE READ" * repeatable)
    depth = len(transaction.levels)
    choice = random.choice(["savepoint", "undo", "release", "commit", "commit", "rollback", "prepare"])
    if choice == "savepoint" and depth < 4:
        session.run(f"SAVEPOINT s{depth}")
        test.push_level(transaction)
    elif choice == "undo" and depth > 1:
        to = random.randrange(1, depth)
        session.run(f"ROLLBACK TO SAVEPOINT s{to}")
        world.roll_back_to(transaction, to)
        choice += f" to {to}"
    elif choice == "release" and depth > 1:
        session.run(f"RELEASE SAVEPOINT s{depth - 1}")
        world.release(transaction)
    elif choice == "prepare" and session in test.publishers and len(test.prepared) < 5:
        gid = f"{test.run} {session.name} {test.step}"
        session.run(f"PREPARE TRANSACTION '{gid}'")
        test.prepared[gid] = transaction
        session.transaction = None
    elif choice in ("commit", "rollback"):
        session.run(choice)
        world.end(transaction, choice == "commit")
        session.transaction = None
    else:
        return None
    return test.log(session, choice)


def finish_prepared(test):
    random = test.random
    if not test.prepared:
        return
    session = random.choice([s for s in test.sessions if not s.transaction] or [None])
    if session is None:
        return
    gid = random.choice(sorted(test.prepared))
    commit = random.random() < 0.7
    test.log(session, f"{'COMMIT' if commit else 'ROLLBACK'} PREPARED {gid}")
    session.run(f"{'COMMIT' if commit else 'ROLLBACK'} PREPARED '{gid}'")
    test.world.end(test.prepared.pop(gid), commit)
