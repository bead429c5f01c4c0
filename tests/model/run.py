"""Random operations against a server and against a model of it in memory, which predicts each answer.

    run.py [--steps N] [--seed N] CONNINFO

The database has the extension and no stream, and max_prepared_transactions is 5 at least. Hypothesis chooses the
operations, one step after the other over several sessions with open transactions, in runs that each begin with
nothing. Everything is decided by the seed, which is printed. If an answer differs, the run is done again and again
with fewer steps, and the fewest that show it are printed. Exit status 0: all answers were as predicted.

    world.py, consumers.py, pulling.py   the model
    publishing.py, reading.py, transactions.py, consuming.py, defining.py, maintaining.py
                                         the rules, which are the operations; values.py has their arguments
    machine.py                           what all rules need, and what must hold after each
    rules.py, shrinking.py               how a run is done again, with fewer steps
"""

import argparse
import random
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from machine import Machine, Server
from shrinking import shrink

STEPS_OF_RUN = 300  # at most, as long as Hypothesis remembers its choices
SHRINKING_SECONDS = 120


class Enough(KeyboardInterrupt):
    """All steps are done, or one has failed. Hypothesis leaves no other exception alone."""


class Record:
    """What became of all runs."""

    def __init__(self, steps_wanted):
        self.steps, self.steps_wanted = 0, steps_wanted
        self.steps_until = None  # how many until it failed
        self.failure = None  # (the run, the error) of the shortest one

    def begin_run(self):
        if self.failure is None and self.steps >= self.steps_wanted:
            raise Enough

    def failed(self, run, error):
        self.steps_until, self.failure = self.steps, (run, error)
        raise Enough

    def fails(self, steps):
        """Does these steps and no others; returns those that were done if it failed."""
        run = Machine()
        try:
            for function, drawn in steps:
                function(run, **drawn)
                run.agrees()
            run.finish()
        except type(self.failure[1]) as error:
            self.failure = (run, error)
            return run.steps
        except Exception:
            pass  # something else
        return None

    def print_failure(self, number):
        started, length = time.monotonic(), len(self.failure[0].steps)
        shrink(self.failure[0].steps, self.fails, SHRINKING_SECONDS)
        run, error = self.failure
        seconds = time.monotonic() - started
        print("".join(traceback.format_exception(error, chain=False)))
        print("\n".join([*run.state(), *run.history, f"then: {error}"]))
        if seconds >= SHRINKING_SECONDS:
            print(f"shrinking had no more than {SHRINKING_SECONDS} s; there may be a shorter run")
        print(f"not as predicted in step {self.steps_until} of seed {number}; "
              f"made {len(run.steps)} steps of {length} in {seconds:.0f} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("conninfo")
    options = parser.parse_args()
    print(f"# seed {options.seed}, {options.steps} steps", flush=True)
    started, record = time.monotonic(), Record(options.steps)
    Machine.server, Machine.record = Server(options.conninfo), record
    try:
        run_state_machine_as_test(seed(options.seed)(Machine), settings=settings(
            max_examples=10**6, stateful_step_count=STEPS_OF_RUN, deadline=None, database=None,
            phases=[Phase.generate], verbosity=Verbosity.quiet,
            suppress_health_check=[
                HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example,
                HealthCheck.too_slow,
            ]))
        raise RuntimeError(f"Hypothesis has ended after {record.steps} steps")
    except Enough:
        if record.failure:
            record.print_failure(options.seed)
            sys.exit(1)
    finally:
        Machine.server.clear()
    print(f"# {record.steps} steps in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
