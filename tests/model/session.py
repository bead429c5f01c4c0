"""A session of the test with the server, and what it runs."""

import time

import psycopg


class Mismatch(Exception):
    """The server answered something else than expected."""


class Session:
    def __init__(self, name, conninfo):
        self.name = name
        self.transaction = None  # the open one, as the model has it
        self.conninfo = conninfo
        self.connect()

    def connect(self):
        """Waits for a server that starts again after a crash."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connection = psycopg.connect(self.conninfo, autocommit=True)
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        # Waiting for each other is not what this test is about: who would have to is refused at once.
        self.run("SET lock_timeout = '20 ms'")

    def abandon(self):
        """Ends whatever transaction is open."""
        self.transaction = None
        try:
            self.connection.execute("ROLLBACK")
        except psycopg.OperationalError:
            self.connect()

    def run(self, sql, values=()):
        """The rows of a statement that must succeed."""
        cursor = self.connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def answer(self, sql, values=(), careful=True):
        """(rows, None) or (None, SQLSTATE). With `careful` an error leaves the transaction usable."""
        careful = careful and self.transaction
        if careful:
            self.run("SAVEPOINT statement")
        try:
            answer = (self.run(sql, values), None)
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            answer = (None, error.sqlstate)
        if careful:
            if answer[1]:
                self.run("ROLLBACK TO SAVEPOINT statement")
            self.run("RELEASE SAVEPOINT statement")
        return answer

    def copy(self, sql, rows):
        """The SQLSTATE of a COPY FROM STDIN, None where it succeeds."""
        if self.transaction:
            self.run("SAVEPOINT statement")
        sqlstate = None
        try:
            with self.connection.cursor().copy(sql) as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:
            sqlstate = error.sqlstate
        if self.transaction:
            if sqlstate:
                self.run("ROLLBACK TO SAVEPOINT statement")
            self.run("RELEASE SAVEPOINT statement")
        return sqlstate


def expect_same(what, expected, got):
    if expected != got:
        raise Mismatch(f"{what}\n  expected {expected!r}\n  got      {got!r}")
