"""What the cliffs are made of: a cost beside its control, and amounts that have a bound."""

import dataclasses


@dataclasses.dataclass
class Pair:
    """The costs of something, round by round, and those of its control; `scale` times the control
    is what the same amount of work would cost there."""
    key: str
    what: str
    beside: str
    costs: list
    controls: list
    scale: float = 1


@dataclasses.dataclass
class Amount:
    key: str
    what: str
    samples: list
    beside: str
    goal: float | None = None
    direction: str = "at most"
    unit: str = ""


def some(bench, count):
    """That many, or fewer if it must be quick."""
    return int(count * bench.cliff_share)


def alternating(bench, cost, control):
    """The costs of both, round by round."""
    rounds = [(cost(), control()) for _ in range(bench.cliff_rounds)]
    return [one for one, _ in rounds], [other for _, other in rounds]
