"""The rules that add events, in all ways."""

import json

from hypothesis import strategies as st

from rules import rule
from session import expect_same
from values import BATCHES, EVENTS, NUMBERS, STREAMS
from world import Refused, id_time

WAYS = ["publish", "publish_text", "publish_json"]
COLUMNS = "id, subject, body, metadata, created_at"
# What counts when a pull is limited in bytes; the size of a document that is not stored has its whole length.
BYTES = "4 + length(body) + pg_column_size(metadata::text::jsonb)"


class Publishing:
    @rule(session=NUMBERS, stream=STREAMS, event=EVENTS, skip=st.booleans(), way=st.sampled_from(WAYS))
    def publish(self, session, stream, event, skip, way):
        if way == "publish_text":
            event = (*event[:2], event[2].hex().encode(), *event[3:])
        if way == "publish_json":
            event = (*event[:2], b'{"x": "%s"}' % event[2].hex().encode(), *event[3:])
        self.publish_by(way, session, stream, [event], skip)

    @rule(session=NUMBERS, stream=STREAMS, events=BATCHES)
    def publish_many(self, session, stream, events):
        self.publish_by("many", session, stream, events, False)

    publish_too, publish_many_too = publish, publish_many  # twice as often

    @rule(session=NUMBERS, stream=STREAMS, events=BATCHES)
    def publish_many_skip(self, session, stream, events):
        self.publish_by("many", session, stream, events, True)

    @rule(session=NUMBERS, stream=STREAMS, events=BATCHES)
    def insert(self, session, stream, events):
        self.publish_by("insert", session, stream, [(*e[:4], e[4] or 7) for e in events], False)

    @rule(session=NUMBERS, stream=STREAMS, events=BATCHES)
    def copy(self, session, stream, events):
        events = [(*e[:4], e[4] or 7) for e in events]
        if any(event[0] is None for event in events):
            events = [(None, *event[1:]) for event in events]
        self.publish_by("copy", session, stream, events, False)

    def publish_by(self, way, session, stream, events, skip):
        """What is stored is read back."""
        session, stream = self.pick(self.sessions, session), self.world.streams[stream]
        events = [(event[0] and self.id_of(event[0], stream), *event[1:]) for event in events]
        self.log(session, f"publish {way} to {stream.name} {'skip ' if skip else ''}"
                 + ", ".join(f"{event[1]} {event[0] or ''}".rstrip() for event in events))
        self.world.take_snapshot(session.transaction)
        before = stream.last_position
        try:
            stored, refused = self.world.publish(session.transaction, stream, events, skip, way), None
        except Refused as refusal:
            stored, refused = [], refusal.sqlstate
        returned, sqlstate = run_publish(session, stream, way, events, skip, refused is not None)
        expect_same("publishing", refused, sqlstate)
        if refused and way == "copy" and stream.is_partitioned:
            self.observe_positions(session, stream, before, len(events))
        if not refused:
            read_back(session, stream, before, stored)
            if way.startswith("publish") or way == "many":
                check_returned(events, stored, returned)

    def observe_positions(self, session, stream, before, most):
        """COPY stores the rows of a closed partition one by one, and those of others together. So how many
        positions it has taken until it is refused, depends on what is closed."""
        stream.last_position = session.run(
            "SELECT last_position FROM kanthorq_streams WHERE name = %s", (stream.name,))[0][0]
        if not before < stream.last_position <= before + most:
            expect_same("positions of a refused COPY", f"1 to {most}", stream.last_position - before)


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
        f"SELECT position, {COLUMNS}, {BYTES} FROM {stream.table} WHERE position > %s ORDER BY position", (before,))
    expect_same("positions", [event.position for event in stored], [row[0] for row in rows])
    for event, row in zip(stored, rows):
        event.id = event.id or row[1]
        if event.created_at is None:
            event.created_at = id_time(event.id)
        event.bytes = row[-1]
        expect_same("the stored event", event.fields(), row[1:-1])


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
