"""Runs the rows of the benchmark against the server that scripts/bench has started, and writes
RESULTS.md, results.tsv and the plots to the directory "results" of the work directory.

    run.py --work DIR [--short] [--rounds N] [--seconds N] row..."""

import argparse
import dataclasses
import os
import sys
import time

import batches
import cliffs
import consuming
import footprint
import held
import herd
import over_time
import partitions
import publishing
import retiring
import report
from server import Server

ROWS = {
    "publish": publishing.publish, "publish_many": publishing.publish_many,
    "copy": publishing.copy, "consume": consuming.consume, "drain": consuming.drain,
    "wal": footprint.wal, "size": consuming.size, "idle": publishing.idle,
    "selective": consuming.selective, "wake": over_time.wake, "herd": herd.herd,
    "cliffs": cliffs.cliffs, "foreign": over_time.foreign, "held": held.held,
    "partitions": partitions.partitions, "retiring": retiring.retiring,
    "memory": footprint.memory, "batches": batches.batches,
}


@dataclasses.dataclass
class Bench:
    """How much of everything."""
    server: Server
    results: str
    rounds: int = 5
    seconds: float = 4
    events: int = 1000000
    pgq_events: int = 1100000
    copy_rows: int = 300000
    sizes: tuple = (100000, 1000000, 10000000)
    memory_publishes: int = 1000000
    memory_pulls: int = 100000
    wake_rate: int = 1000
    wake_seconds: int = 10
    windows: int = 3
    window_seconds: int = 60
    warm_up: int = 10
    batch_sizes: tuple = (1, 10, 100, 1000, 10000)
    batch_rounds: int = 3
    batch_seconds: float = 1.5
    cliff_rounds: int = 3
    cliff_share: float = 1  # of the events, leases and streams that the cliffs have
    herd_sessions: int = 500
    herd_rounds: int = 2
    herd_idle: int = 10
    herd_rate: int = 50
    herd_seconds: int = 10
    held_windows: int = 2
    held_seconds: int = 60
    held_slices: int = 6


SHORT = {"rounds": 2, "seconds": 1, "events": 200000, "pgq_events": 200000, "copy_rows": 100000,
         "sizes": (100000, 1000000), "memory_publishes": 50000, "memory_pulls": 10000,
         "wake_seconds": 2, "windows": 1, "window_seconds": 6, "warm_up": 2, "batch_rounds": 1,
         "batch_seconds": 0.2, "batch_sizes": (1, 100, 10000),
         "cliff_rounds": 1, "cliff_share": 0.2, "herd_sessions": 100, "herd_rounds": 1, "herd_idle": 3,
         "herd_seconds": 3, "held_windows": 1, "held_seconds": 6}


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("row", nargs="*", choices=[*ROWS, []])
    return parser.parse_args()


def configure(options):
    much = dict(SHORT) if options.short else {}
    for name in ("rounds", "seconds"):
        if getattr(options, name):
            much[name] = getattr(options, name)
    results = os.path.join(options.work, "results")
    os.makedirs(results, exist_ok=True)
    return Bench(Server(options.work), results, **much)


def run_row(bench, name):
    """The row's sections. A row that fails does not keep the others from being measured."""
    print(f"{name} ", end="", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        sections = ROWS[name](bench)
    except (RuntimeError, OSError, ValueError, ArithmeticError, StopIteration) as error:
        print(f"\n{name} failed: {error}", file=sys.stderr)
        return None
    print(f" {time.monotonic() - start:.0f} s", file=sys.stderr)
    sections = sections if isinstance(sections, list) else [sections]
    for section in sections:
        print(report.plain(section), flush=True)
    return sections


def main():
    options = parse()
    bench = configure(options)
    facts = bench.server.facts()
    for name, value in facts:
        print(f"{name}: {value}", flush=True)
    measured = [run_row(bench, name) for name in options.row or ROWS]
    sections = [section for row in measured if row for section in row]
    with open(f"{bench.results}/RESULTS.md", "w", encoding="utf-8") as file:
        file.write(report.markdown(facts, bench, sections))
    with open(f"{bench.results}/results.tsv", "w", encoding="utf-8") as file:
        file.write(report.machine_readable(sections))
    sys.exit(1 if None in measured else 0)


if __name__ == "__main__":
    main()
