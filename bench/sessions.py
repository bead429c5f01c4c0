"""Sessions that stay open: their statements are timed, and explained with what they looked at."""

import dataclasses
import json
import statistics
import subprocess

END = "-- the end of the answer --"


@dataclasses.dataclass
class Cost:
    """Of a statement: its time, the buffers it hit or read, and the rows that it returned."""
    ms: float
    buffers: float = 0
    rows: int = 0

    def __add__(self, other):
        return Cost(self.ms + other.ms, self.buffers + other.buffers, self.rows + other.rows)


def median(costs):
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs)
                  for name in ("ms", "buffers", "rows")))


class Session:
    """A psql that stays. A statement that fails ends it."""

    def __init__(self, database="postgres"):
        self.process = subprocess.Popen(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.process_id = self.ask("SET client_min_messages = warning; SELECT pg_backend_pid()")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.communicate()

    def send(self, statements):
        """Sends statements without waiting for the answer, which receive() returns."""
        self.process.stdin.write(f"{statements};\n\\echo {END}\n")
        self.process.stdin.flush()

    def receive(self):
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n") == END:
                return "\n".join(lines)
            lines.append(line.rstrip("\n"))
        raise RuntimeError(f"psql failed:\n{self.process.stderr.read()}")

    def ask(self, statements):
        self.send(statements)
        return self.receive()

    def explain(self, statement):
        """Runs one statement and says what it cost in the server."""
        self.send(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}")
        plan = json.loads(self.receive())[0]
        top, planning = plan["Plan"], plan.get("Planning", {})
        blocks = sum(of.get(f"Shared {kind} Blocks", 0) for of in (top, planning)
                     for kind in ("Hit", "Read"))
        return Cost(plan["Execution Time"] + plan["Planning Time"], blocks, top["Actual Rows"])

    def explain_undone(self, statement, times=1):
        """The same in a transaction that is rolled back, so that each time finds the same; the
        median."""
        costs = []
        for _ in range(times):
            self.ask("BEGIN")
            costs.append(self.explain(statement))
            self.ask("ROLLBACK")
        return median(costs)
