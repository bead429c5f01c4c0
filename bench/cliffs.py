"""Cliffs: states in which a call could become many times dearer, such as thousands of open leases or
uncommitted events. Each call is measured in that state and, in the same run, without it."""

import sys

import cliffs_of_delivery
import cliffs_of_sessions
import cliffs_of_streams
from figures import Goal, Section, Table, figure, ratios
from pairs import Pair

CLIFFS = (cliffs_of_delivery.leases_run_out, cliffs_of_delivery.free_slots,
          cliffs_of_delivery.cancel, cliffs_of_delivery.cancelled_ahead,
          cliffs_of_delivery.writer_ends, cliffs_of_streams.trim, cliffs_of_streams.uncommitted,
          cliffs_of_streams.first_query, cliffs_of_sessions.large_bodies,
          cliffs_of_sessions.page_faults, cliffs_of_sessions.commit_prepared)


def cliffs(bench):
    pairs, amounts = [], []
    for measure in CLIFFS:
        for found in measure(bench):
            (pairs if isinstance(found, Pair) else amounts).append(found)
        print(".", end="", file=sys.stderr, flush=True)
    times = Table(["what", "compared with", "ms", "ms there", "ratio", "buffers", "buffers there"])
    for pair in pairs:
        times.lines.append([
            pair.what, pair.beside, *(figure([cost.ms for cost in side])
                                      for side in (pair.costs, pair.controls)),
            figure(against(pair)), *(f"{cost.buffers:,.0f}" for cost in
                                     (pair.costs[-1], pair.controls[-1]))])
    others = Table(["what", "measured", "compared with", "goal"])
    for amount in amounts:
        bound = f"{amount.direction} {amount.goal:g} {amount.unit}" if amount.goal is not None else ""
        others.lines.append([amount.what, figure(amount.samples), amount.beside, bound])
    return Section(
        "Cliffs",
        "States in which a call could become many times dearer, such as thousands of open leases "
        "or uncommitted events. Each call is measured in that state and, in the same run, without "
        f"it. 1 session, {bench.cliff_rounds} rounds; times are the server's "
        "(`EXPLAIN ANALYZE`), without the commit. Buffers are those that the statements hit or "
        "read, in the last round; they hardly depend on the machine. The goal is a time of at most "
        "2 x.",
        [times, others],
        [Goal(f"cliffs.{pair.key}", f"{pair.what}, to {pair.beside}", against(pair), 2, "at most")
         for pair in pairs] +
        [Goal(f"cliffs.{amount.key}", amount.what, amount.samples, amount.goal, amount.direction,
              amount.unit) for amount in amounts if amount.goal is not None])


def against(pair):
    return ratios([cost.ms for cost in pair.costs], [cost.ms for cost in pair.controls],
                  1 / pair.scale)
