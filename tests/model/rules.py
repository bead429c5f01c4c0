"""Rules as Hypothesis has them, which a run remembers, so that it can be done again without some of them."""

import functools

from hypothesis import stateful


def rule(needs=None, **arguments):
    """A rule; `needs` is a function of the machine that says whether it can do anything."""

    def decorate(function):
        step = remembered(function, needs)
        made = stateful.rule(**arguments)(step)
        return stateful.precondition(needs)(made) if needs else made

    return decorate


def initialize(**arguments):
    return lambda function: stateful.initialize(**arguments)(remembered(function, None))


def remembered(function, needs):
    @functools.wraps(function)
    def step(self, **drawn):
        self.steps.append((step, drawn))
        if needs is None or needs(self):
            function(self, **drawn)

    # Hypothesis does without some of the names in each run. The rules are made to go together, so they have one.
    step.__name__ = "step"
    return step
