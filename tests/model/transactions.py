"""The rules that begin and end transactions, and savepoints of them."""

from hypothesis import strategies as st

from rules import rule
from values import NUMBERS
from world import Level


class Transactions:
    def idle(self, among):
        return [session for session in among if not session.transaction]

    def busy(self, among, levels=1):
        return [s for s in among if s.transaction and len(s.transaction.levels) >= levels]

    @rule(lambda self: self.idle(self.sessions), session=NUMBERS, repeatable=st.sampled_from([False, False, True]))
    def begin(self, session, repeatable):
        session = self.pick(self.idle(self.sessions), session)
        self.begin_in(session, repeatable and session in self.publishers)

    @rule(lambda self: self.idle(self.sessions))
    def begin_in_each(self):
        """Most of what is interesting happens while transactions are open."""
        for session in self.idle(self.sessions):
            self.begin_in(session, False)

    def begin_in(self, session, repeatable):
        self.log(session, "BEGIN" + " REPEATABLE READ" * repeatable)
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ" if repeatable else "BEGIN")
        session.transaction = self.world.begin(repeatable)

    @rule(lambda self: self.busy(self.sessions), session=NUMBERS)
    def savepoint(self, session):
        session = self.pick(self.busy(self.sessions), session)
        depth = len(session.transaction.levels)
        if depth < 4:
            self.log(session, f"SAVEPOINT s{depth}")
            session.run(f"SAVEPOINT s{depth}")
            session.transaction.levels.append(Level())

    @rule(lambda self: self.busy(self.sessions, 2), session=NUMBERS, to=NUMBERS, undo=st.booleans())
    def end_savepoint(self, session, to, undo):
        session = self.pick(self.busy(self.sessions, 2), session)
        depth = len(session.transaction.levels)
        if undo:
            to = 1 + to % (depth - 1)
            self.log(session, f"ROLLBACK TO SAVEPOINT s{to}")
            session.run(f"ROLLBACK TO SAVEPOINT s{to}")
            self.world.roll_back_to(session.transaction, to)
        else:
            self.log(session, f"RELEASE SAVEPOINT s{depth - 1}")
            session.run(f"RELEASE SAVEPOINT s{depth - 1}")
            self.world.release(session.transaction)

    @rule(lambda self: self.busy(self.sessions), session=NUMBERS, commit=st.sampled_from([True, True, False]))
    def end(self, session, commit):
        self.end_in(self.pick(self.busy(self.sessions), session), commit)

    def end_in(self, session, commit):
        self.log(session, "COMMIT" if commit else "ROLLBACK")
        session.run("COMMIT" if commit else "ROLLBACK")
        self.world.end(session.transaction, commit)
        session.transaction = None

    @rule(lambda self: self.busy(self.publishers) and len(self.prepared) < 5, session=NUMBERS)
    def prepare(self, session):
        session = self.pick(self.busy(self.publishers), session)
        gid = f"{self.server.run} {self.step}"
        self.log(session, f"PREPARE TRANSACTION '{gid}'")
        session.run(f"PREPARE TRANSACTION '{gid}'")
        self.prepared[gid] = session.transaction
        session.transaction = None

    @rule(lambda self: self.prepared and self.idle(self.sessions), session=NUMBERS, which=NUMBERS,
          commit=st.sampled_from([True, True, False]))
    def finish_prepared(self, session, which, commit):
        gid = self.pick(list(self.prepared), which)
        self.finish_in(self.pick(self.idle(self.sessions), session), gid, commit)

    def finish_in(self, session, gid, commit):
        statement = f"{'COMMIT' if commit else 'ROLLBACK'} PREPARED '{gid}'"
        self.log(session, statement)
        session.run(statement)
        self.world.end(self.prepared.pop(gid), commit)

    def end_all(self):
        for session in self.busy(self.sessions):
            self.end_in(session, True)
        for number, gid in enumerate(list(self.prepared)):
            self.finish_in(self.sessions[number], gid, number % 3 < 2)
