"""The rules that read events, and those that are refused whatever the state."""

import json

from hypothesis import strategies as st

from rules import rule
from session import expect_same
from values import FILTERS, NUMBERS, SOME_IDS, STREAMS, SUBJECTS, WANTED_METADATA
from world import contains, matches

PATTERNS, PAGES = st.sampled_from(FILTERS), st.sampled_from([1, 3, 100])

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
WRONG_COMMANDS = ["UPDATE {} SET subject = 'x'", "DELETE FROM {}", "TRUNCATE {}"]


class Reading:
    """Pages of what this session sees."""

    @rule(session=NUMBERS, stream=STREAMS, event=SOME_IDS, pattern=PATTERNS, wanted=WANTED_METADATA, size=PAGES)
    def read_by_id(self, session, stream, event, pattern, wanted, size):
        """The event, and the page after it."""
        event_id = self.id_of(event, self.world.streams[stream])
        self.read(
            session, stream, "SELECT * FROM kanthorq_event_get(%s, %s)", (stream, event_id),
            lambda seen: [event for event in seen if event.id == event_id])
        for after in (None, event_id):
            self.read(
                session, stream,
                "SELECT * FROM kanthorq_events(%s, %s, %s, size => %s, metadata_contains => %s::jsonb)",
                (stream, pattern, after, size, json.dumps(wanted)),
                lambda seen: [e for e in seen if (after is None or e.id > after) and contains(e.metadata, wanted)
                              and matches(e.subject, pattern)][:size])

    @rule(session=NUMBERS, stream=STREAMS, pattern=PATTERNS, after=st.none() | st.tuples(SUBJECTS, SOME_IDS),
          size=PAGES)
    def read_by_subject(self, session, stream, pattern, after, size):
        after = (after[0], self.id_of(after[1], self.world.streams[stream])) if after else (None, None)

        def page(seen):
            found = sorted(seen, key=lambda e: (e.subject, e.id))
            found = [e for e in found if after[0] is None or (e.subject, e.id) > after]
            return [event for event in found if matches(event.subject, pattern)][:size]

        self.read(
            session, stream, "SELECT * FROM kanthorq_events_by_subject(%s, %s, %s, %s, %s)",
            (stream, pattern, *after, size), page)

    def read(self, session, stream, statement, values, page):
        session = self.pick(self.sessions, session)
        if session.transaction and session.transaction.repeatable:
            return
        seen = sorted(self.world.streams[stream].seen_by(session.transaction), key=lambda event: event.id)
        self.log(session, f"{statement} {values}")
        expect_same(statement, [e.fields() for e in page(seen)], session.run(statement, values))

    @rule(session=NUMBERS, stream=STREAMS, wrong=st.sampled_from(WRONG), command=st.sampled_from(WRONG_COMMANDS))
    def refused(self, session, stream, wrong, command):
        session, stream = self.pick(self.sessions, session), self.world.streams[stream]
        statement, sqlstate = wrong
        self.log(session, f"{statement}, {command} {stream.name}")
        self.world.take_snapshot(session.transaction)
        expect_same(statement, sqlstate, session.answer(statement, (stream.name,))[1])
        # TRUNCATE would wait for whoever uses the table.
        if command != "TRUNCATE {}" or not self.world.open and not any(s.transaction for s in self.sessions):
            expect_same(command, "55000", session.answer(command.format(stream.table))[1])
