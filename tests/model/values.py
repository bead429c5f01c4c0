"""What the operations are called with: Hypothesis' strategies. They are small, because Hypothesis remembers at
most 8 kB of choices for a run, and they say "the third event from the end" instead of an id, so that a run is the
same again whatever ids and times the server chooses.
"""

import random
import uuid
from typing import NamedTuple

from hypothesis import strategies as st

from world import ULID_DIGITS

NUMBERS = st.integers(0, 11)  # which one of a list, see Machine.pick()
SIZES = st.sampled_from([1, 2, 5, 20, 10_000])
STREAMS = st.sampled_from(["orders", "Users_2"])
CONSUMERS = st.sampled_from(["invoices", "Mailer", "in_order", "c" * 100])

SUBJECTS = st.sampled_from(["order", "order.created", "order.item.added", "user.created", "v2.order.created", "a-1"])
FILTERS = [">", "order.>", "order.*", "*.created", "user.created", "*.*.*", "*", "nobody"]
METADATA = st.sampled_from([{}, {"a": 1}, {"a": 2, "b": "x"}, {"a": 1, "n": {"k": [1, 2]}}, {"a": "1"}])
WANTED_METADATA = st.sampled_from([{}, {}, {"a": 1}, {"n": {"k": [2]}}])

# Ids


class New(NamedTuple):
    """A new id, around a time that goes on slowly, in one of all three forms. Some are earlier or later by up to
    50 minutes, and so in other partitions."""

    form: str
    offset: int  # milliseconds

    def make(self, number, step):
        """`number` makes it unlike all others."""
        chance = random.Random(number)
        time = 1_700_000_000_000 + 50 * step + self.offset * (1 if self.offset % 3 else 1000)
        if self.form == "uuid":
            value = time << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62)
            return str(uuid.UUID(int=value))
        value = time << 80 | chance.getrandbits(80)
        ulid = "".join(ULID_DIGITS[value >> (5 * digit) & 31] for digit in reversed(range(26)))
        return "evt_" + ulid.lower() if self.form == "evt" else ulid


class Recent(NamedTuple):
    """The id of an event that the stream has, counted from its end."""

    back: int


class Gone(NamedTuple):
    """An id of an event that was removed."""

    back: int


FORMS = ["ulid", "evt", "uuid"]
OFFSETS = st.integers(-3000, 3000)
NEW_IDS = st.builds(New, st.sampled_from(FORMS), OFFSETS)
# Mostly an id that the stream has. Recent ones are more interesting.
SOME_IDS = st.one_of(
    *[st.builds(Recent, st.integers(0, most)) for most in (3, 7, 15, 30, 60, 100)],
    NEW_IDS, st.builds(Gone, st.integers(0, 15)))

# Events: (id, subject, body, metadata, created_at), None if the server chooses


def event_id(kind, offset):
    """Once in a while one that is there."""
    if kind < 25:
        return None
    return Recent(offset % 10) if kind == 25 else New(FORMS[kind % 3], offset)


EVENT_IDS = st.builds(event_id, st.integers(0, 50), OFFSETS)
BODIES = st.integers(0, 255).map(lambda n: random.Random(n).randbytes((0, 1, 8, 40)[n % 4]))
EVENTS = st.tuples(EVENT_IDS, SUBJECTS, BODIES, METADATA, st.none() | st.integers(0, 2**62 - 1))
BATCHES = st.lists(EVENTS, min_size=1, max_size=10)

# Definitions of consumers

DEFINITIONS = st.fixed_dictionaries({
    "includes": st.just([">"]) | st.lists(st.sampled_from(FILTERS[:-1]), min_size=1, max_size=2, unique=True),
    "excludes": st.just([]) | st.lists(st.sampled_from(FILTERS[1:]), min_size=1, max_size=1),
    "attempt_max": st.sampled_from([1, 2, 3, 16, 32767]),
    "visibility_timeout": st.sampled_from(["1 hour", "2 days"]),
    "ordered": st.sampled_from([False, False, True]),
    "metadata_contains": WANTED_METADATA,
})
# A word, an id, or (an id, milliseconds to add) for a time.
STARTS = st.one_of(
    st.just("first"), st.just("new"), SOME_IDS, st.tuples(SOME_IDS, st.sampled_from([0, -1, 1])))
# A part of a definition
CHANGES = st.tuples(DEFINITIONS, st.integers(0, 63)).map(
    lambda drawn: {key: value for bit, (key, value) in enumerate(drawn[0].items()) if drawn[1] >> bit & 1})
