"""Samples of rounds, their median with minimum and maximum, and what is made of them: goals and
sections of the report."""

import dataclasses
import statistics
import sys


def alternate(sides, rounds, before_round=None):
    """Runs every side once a round, one after the other, and returns the samples of each. The
    first round warms up and does not count."""
    samples = {side: [] for side in sides}
    for number in range(rounds + 1):
        if before_round:
            before_round()
        for side, measure in sides.items():
            value = measure()
            if number > 0:
                samples[side].append(value)
        print(".", end="", file=sys.stderr, flush=True)
    return samples


def ratios(samples, reference, scale=1.0):
    """Round by round, because machines are shared and their speed wanders."""
    return [one * scale / other for one, other in zip(samples, reference)]


def number(value):
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def figure(samples):
    """The median with minimum and maximum, in words."""
    if len(samples) == 1:
        return number(samples[0])
    return (f"{number(statistics.median(samples))} "
            f"({number(min(samples))} to {number(max(samples))})")


@dataclasses.dataclass
class Goal:
    key: str
    what: str
    samples: list
    goal: float
    direction: str = "at least"
    unit: str = "x"

    @property
    def median(self):
        return statistics.median(self.samples)

    def met(self):
        return self.median >= self.goal if self.direction == "at least" else (
            self.median <= self.goal)


@dataclasses.dataclass
class Table:
    head: list
    lines: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Section:
    """One row of the benchmark: how it was measured, what came out, and its plots."""
    title: str
    text: str
    tables: list = dataclasses.field(default_factory=list)
    goals: list = dataclasses.field(default_factory=list)
    plots: list = dataclasses.field(default_factory=list)  # pairs: file, what it shows


def rate_table(title, samples, references, events=None):
    """Rates of all sides, and ratios: `references` maps a column's title to (reference side,
    sides that are compared with it)."""
    events = events or {}
    table = Table([title, "events/s", *(f"x {name}" for name in references)])
    for side, values in samples.items():
        scale = events.get(side, 1)
        line = [side, figure([value * scale for value in values])]
        for reference, compared in references.values():
            line.append(figure(ratios(values, samples[reference], scale / events.get(reference, 1)))
                        if side in compared else "")
        table.lines.append(line)
    return table
