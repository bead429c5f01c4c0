"""Makes a run that failed short: leaves out steps, and makes what is left simpler, as long as it fails.

Hypothesis can do that as well, but chooses anew for the whole run, which takes far too long with a server. Here a
rule is called with values that mean something in any state, so that every selection of steps is a run.
"""

import time


def shrink(steps, fails, seconds):
    """The shortest steps that were found in that time. fails(steps) returns those that were done if it failed,
    which may be fewer, else None."""
    deadline = time.monotonic() + seconds
    before = None
    while steps != before and time.monotonic() < deadline:
        before = steps
        size = max(len(steps) // 2, 1)
        while size:
            steps = first_failing(steps, without(size), fails, deadline)
            size //= 2
        steps = first_failing(steps, with_simpler, fails, deadline)
    return steps


def first_failing(steps, variants, fails, deadline):
    """Goes on from the first of the variants that fails, until none does."""
    end = len(steps)
    while end is not None:
        found = None
        for end, variant in variants(steps, end):
            if time.monotonic() > deadline:
                return steps
            found = fails(variant)
            if found is not None:
                break
        if found is None:
            return steps
        steps, end = found, min(end, len(found))
    return steps


def without(size):
    """The variants without so many steps, the last ones first; `end` is where to look on."""

    def variants(steps, end):
        for start in range(end - size, -size, -size):
            yield max(start, 0), steps[: max(start, 0)] + steps[start + size :]

    return variants


def with_simpler(steps, end):
    for number in range(end - 1, -1, -1):
        function, drawn = steps[number]
        for name, value in drawn.items():
            for simpler in simpler_than(value) if name != "size" else ():  # a size of 0 is refused
                yield number + 1, [*steps[:number], (function, {**drawn, name: simpler}), *steps[number + 1 :]]


def simpler_than(value):
    if isinstance(value, bool):
        return [False] if value else []
    if isinstance(value, int):
        return [n for n in (0, value // 2) if abs(n) < abs(value)]
    if isinstance(value, list):
        # One is left: publishing nothing is another thing.
        fewer = [value[:number] + value[number + 1 :] for number in range(len(value)) if len(value) > 1]
        return fewer + [[*value[:n], s, *value[n + 1 :]] for n, old in enumerate(value) for s in simpler_than(old)]
    if isinstance(value, tuple):
        make = type(value)._make if hasattr(value, "_make") else tuple
        return [make([*value[:n], s, *value[n + 1 :]]) for n, old in enumerate(value) for s in simpler_than(old)]
    return []
