"""The rules about consumers' definitions, and those that remove events, consumers and whole streams."""

import json
from datetime import datetime, timezone

from hypothesis import strategies as st

from consumers import Consumer
from consuming import is_there
from rules import initialize, rule
from session import expect_same
from values import CHANGES, CONSUMERS, DEFINITIONS, NUMBERS, SOME_IDS, STARTS, STREAMS, Gone, New, Recent
from world import Refused, Stream, id_time

SELDOM = st.integers(0, 19)  # a rule that ends what others need to become interesting acts only on the small ones


class Defining:
    def start_of(self, start, stream):
        """(the argument, what the model's cursor_at() takes)"""
        if start in ("first", "new"):
            return start, start
        if isinstance(start, (str, Gone, New, Recent)):
            event_id = self.id_of(start, stream)
            return event_id, event_id
        ms = id_time(self.id_of(start[0], stream)) + start[1]
        at = datetime.fromtimestamp(ms // 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        return f"{at}.{ms % 1000:03d}+00", ms

    @initialize(consumers=st.lists(st.tuples(CONSUMERS, STREAMS, DEFINITIONS), max_size=4))
    def begin_with(self, consumers):
        """Some consumers, so that it is soon interesting."""
        for number, (name, stream, definition) in enumerate(consumers):
            self.create_by(number, name, stream, definition, "first")

    @rule(session=NUMBERS, name=CONSUMERS, stream=STREAMS, definition=DEFINITIONS, start=STARTS)
    def create(self, session, name, stream, definition, start):
        self.create_by(session, name, stream, definition, start)

    @rule(is_there, session=NUMBERS, name=NUMBERS, start=STARTS)
    def create_again(self, session, name, start):
        consumer = self.world.consumers[self.pick(list(self.world.consumers), name)]
        self.create_by(session, consumer.name, consumer.stream, consumer.definition, start)

    def create_by(self, session, name, stream, definition, start):
        world, session = self.world, self.pick(self.workers, session)
        stream = world.streams[stream]
        if not self.may_touch(session, name):
            return
        existing = world.consumers.get(name)
        start_at, start = self.start_of(start, stream)
        self.log(session, f"create {name} of {stream.name} {definition} at {start_at}")
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

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, changes=CHANGES, seldom=SELDOM)
    def alter(self, session, consumer, changes, seldom):
        found = self.in_use(session, consumer)
        if not found or seldom > 9:
            return
        session, consumer = found
        stream = self.begin_change(session, consumer, f"alter {changes}")
        consumer.alter(self.world, stream, changes)
        casts = {
            "includes": "::text[]", "excludes": "::text[]", "attempt_max": "",
            "metadata_contains": "::jsonb",
        }
        arguments = "".join(f", {name} => %s{casts.get(name, '')}" for name in changes)
        values = [json.dumps(v) if k == "metadata_contains" else v for k, v in changes.items()]
        session.run(f"SELECT kanthorq_consumer_alter(%s{arguments})", (consumer.name, *values))

    @rule(is_there, session=NUMBERS, consumer=NUMBERS, start=STARTS, seldom=SELDOM)
    def seek(self, session, consumer, start, seldom):
        found = self.in_use(session, consumer)
        if not found or seldom > 5:
            return
        session, consumer = found
        stream = self.world.streams[consumer.stream]
        start_at, start = self.start_of(start, stream)
        self.begin_change(session, consumer, f"seek {start_at}")
        try:
            consumer.seek(self.world, stream, start, session.transaction)
            expected, refused = consumer.cursor, None
        except Refused as refusal:
            expected, refused = None, refusal.sqlstate
        rows, sqlstate = session.answer(
            "SELECT kanthorq_consumer_seek(%s, %s, %s)", (consumer.name, start_at, consumer.name))
        expect_same("seeking", (expected, refused), (rows and rows[0][0], sqlstate))

    @rule(session=NUMBERS, name=CONSUMERS, seldom=SELDOM)
    def drop(self, session, name, seldom):
        session = self.pick(self.workers, session)
        if seldom > 3 or not self.may_drop(session, name):
            return
        self.log(session, f"drop {name}")
        self.world.touch(session.transaction, name)
        there = self.world.consumers.pop(name, None) is not None
        rows = session.run("SELECT kanthorq_consumer_drop(%s, %s)", (name, name))
        expect_same("dropping a consumer", there, rows[0][0])

    # Removal, and whole streams


    @rule(session=NUMBERS, stream=STREAMS, ids=st.none() | st.lists(SOME_IDS, max_size=3), seldom=SELDOM)
    def remove(self, session, stream, ids, seldom):
        if seldom > 9:
            return
        session, stream = self.pick(self.workers, session), self.world.streams[stream]
        given = ids and [self.id_of(drawn, stream) for drawn in ids]
        chosen = [event for event in stream.seen_by(session.transaction) if event.id in (given or [])]
        self.remove_by(
            session, stream, chosen, None, "SELECT kanthorq_event_remove(%s, %s::text[])", (stream.name, given))

    @rule(session=NUMBERS, stream=STREAMS, before=SOME_IDS, force=st.sampled_from([False] * 4 + [True]),
          seldom=SELDOM)
    def trim(self, session, stream, before, force, seldom):
        if seldom > 9:
            return
        world, session, stream = self.world, self.pick(self.workers, session), self.world.streams[stream]
        before_id = self.id_of(before, stream)
        consumers = [c for c in world.consumers.values() if c.stream == stream.name]
        others = [c for c in self.touched_by_others(session) if c not in [x.name for x in consumers]]
        if others or not all(self.may_touch(session, c.name) for c in consumers):
            return
        seen, refused = stream.seen_by(session.transaction), None
        if len(seen) > 150:
            before_id, force = sorted(event.id for event in seen)[100], True
        for consumer in consumers:
            self.note_read(session, consumer.name)
            if not force:  # it keeps a seek of another transaction waiting
                world.touch(session.transaction, consumer.name)
        if not force and any(c.has_unfinished(stream, before_id, session.transaction) for c in consumers):
            refused = "55000"
        self.remove_by(
            session, stream, [event for event in seen if event.id < before_id], refused,
            "SELECT kanthorq_stream_trim(%s, %s, %s, %s)", (stream.name, before_id, stream.name, force))

    def remove_by(self, session, stream, chosen, refused, statement, values):
        self.log(session, f"{statement} {values}")
        if not refused and any(event.removed_by for event in chosen):
            refused = "55P03"
        rows, sqlstate = session.answer(statement, values)
        expect_same("removing", (None if refused else len(chosen), refused), (rows and rows[0][0], sqlstate))
        if not refused:
            self.gone += [event.id for event in chosen]
            self.world.remove(session.transaction, stream, chosen)

    @rule(stream=STREAMS, seldom=SELDOM, lasts=st.sampled_from([True, True, False]), has_trigger=st.booleans(),
          is_partitioned=st.booleans())
    def start_over(self, stream, seldom, lasts, has_trigger, is_partitioned):
        """Drops a stream with its consumers, and creates it again; once in a while in a transaction that
        does not last."""
        if seldom > 0:
            return
        world = self.world
        self.end_all()
        session = self.workers[0]
        self.log(session, f"drop and create {stream}{'' if lasts else ', undone'}")
        session.run("BEGIN")
        rows = session.run("SELECT kanthorq_stream_drop(%s, %s)", (stream, stream))
        expect_same("dropping a stream", True, rows[0][0])
        rows = session.run("SELECT kanthorq_stream_drop(%s, %s)", (stream, stream))
        expect_same("dropping a stream that is gone", False, rows[0][0])
        if lasts:
            world.consumers = {n: c for n, c in world.consumers.items() if c.stream != stream}
            world.streams[stream] = Stream(stream, has_trigger, is_partitioned)
            self.create_stream(session, world.streams[stream])
        session.run("COMMIT" if lasts else "ROLLBACK")
