"""Writing on Postgres: one transaction for a group of appends, or for one operation of postgres_inbox.py.

Rows are locked in the order of their ids, the same order everywhere, so groups of several stores cannot lock each other
out; what may follow is decided by the pure rules of journal.py and projection.py; every table is written by one
statement with arrays, never row by row. (spec/store.md §16.2)
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from dipeo_kit import ids
from dipeo_kit.errors import DipeoError
from dipeo_store import errors
from dipeo_store.backends.postgres_database import LOST_A_RACE, ROW_REFUSED, Database
from dipeo_store.backends.postgres_statements import columns_of, statements
from dipeo_store.changes import Changes
from dipeo_store.committer import Committed
from dipeo_store.journal import (
    Head,
    Heads,
    RunFacts,
    RunKey,
    interactions_named,
    judge,
    keep,
    needs_history,
    runs_named,
)
from dipeo_store.model import TERMINAL, Append, Appended, Event, Published
from dipeo_store.payload import dump
from dipeo_store.projection import project

TRIES = 3  # of a group that lost a race with another; locks are ordered, so this is for what we did not think of

# both rows are locked, so that both are the latest ones after a wait; executions first, here and everywhere
_LOCK = """
    SELECT e.id, e.execution_id, e.status, e.head_seq, w.fence, w.session IS NOT NULL, now_us()
    FROM executions e JOIN work w ON w.execution = e.id
    WHERE e.execution_id = ANY ($1::text[]) ORDER BY e.id FOR NO KEY UPDATE OF e, w"""
_ENDED_HEADS = """
    SELECT id, execution_id, status, head_seq, 0, false, now_us() FROM executions
    WHERE execution_id = ANY ($1::text[])"""
_RUNS = """
    SELECT execution, node_id, iteration, attempt, status, label, type, person_id FROM node_runs
    JOIN unnest($1::bigint[], $2::varchar[], $3::bigint[], $4::bigint[])
      AS wanted (execution, node_id, iteration, attempt) USING (execution, node_id, iteration, attempt)"""
_INTERACTIONS = """
    SELECT execution, interaction_id, status FROM interactions
    JOIN unnest($1::bigint[], $2::varchar[]) AS wanted (execution, interaction_id) USING (execution, interaction_id)"""
_JOURNALED = """
    SELECT execution, event_id, seq FROM transitions
    JOIN unnest($1::bigint[], $2::bytea[]) AS wanted (execution, event_id) USING (execution, event_id)"""


async def commit(database: Database, appends: Sequence[Append], known: Heads, *, careful: bool = False) -> Committed:
    """All appends in one transaction; one that is refused leaves no trace and harms no other.

    `known` is kept from one call to the next: of an execution that is where it was then, nothing else has changed.
    Raises DatabaseFailed, OutcomeUnknown, DiskFull.
    """
    for last in [False] * (TRIES - 1) + [True]:
        try:
            return await _commit(database, appends, known, careful)
        except ROW_REFUSED as error:
            if careful:
                subject = appends[0].execution_id
                return Committed(
                    [errors.IllegalTransition(subject, "an event", f"a value in it is refused ({error})")], []
                )
            return await _one_by_one(database, appends, known)
        except LOST_A_RACE as error:
            if last:
                raise errors.DatabaseFailed("the database is too busy; try again") from error
    raise AssertionError("unreachable")


async def _one_by_one(database: Database, appends: Sequence[Append], known: Heads) -> Committed:
    """A rule that only the database knows, e.g. an event id used twice: find the append that broke it."""
    parts = [await commit(database, [append], known, careful=True) for append in appends]
    return Committed([part.outcomes[0] for part in parts], [each for part in parts for each in part.published])


async def _commit(database: Database, appends: Sequence[Append], known: Heads, careful: bool) -> Committed:
    async with database.transaction() as db:
        tx = Transaction(db, known)
        await tx.lock({append.execution_id for append in appends})
        await tx.load(appends, careful=careful)
        outcomes = [tx.append(append) for append in appends]
        await tx.flush()
    known.update((execution_id, tx.heads[execution_id]) for execution_id, _ in tx.published)
    keep(known, tx.published)
    return Committed(outcomes, tx.published)


@dataclass(slots=True)
class Transaction:
    """One transaction in the making: lock, load, decide in memory, flush."""

    db: "asyncpg.Connection"
    known: Heads = field(default_factory=dict)  # from earlier transactions
    now: int = 0  # the database's, once something is locked
    heads: dict[str, Head] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    published: list[Published] = field(default_factory=list)
    _journaled: defaultdict[int, dict[bytes, int]] = field(default_factory=lambda: defaultdict(dict))

    async def lock(self, execution_ids: Collection[str]) -> None:
        """Their heads, nobody else's until the end. Those that have ended need no lock; unknown ones get no head."""
        self._read(await self.db.fetch(_LOCK, list(execution_ids)))
        missing = execution_ids - self.heads.keys()
        if missing:
            self._read(await self.db.fetch(_ENDED_HEADS, list(missing)))
            appeared = {each for each in missing & self.heads.keys() if self.heads[each].status not in TERMINAL}
            if appeared:  # committed between the two statements
                self._read(await self.db.fetch(_LOCK, list(appeared)))

    def _read(self, rows: Iterable[Any]) -> None:
        for run, execution_id, status, head_seq, fence, claimed, now in rows:
            self.heads[execution_id] = head = Head(run, execution_id, status, head_seq, fence, claimed)
            before = self.known.get(execution_id)
            if before and (before.execution, before.head_seq, before.fence) == (run, head_seq, fence):
                head.runs = before.runs.copy()
            self.now = now

    async def head(self, execution_id: str) -> Head:
        """The locked head of one. Raises UnknownExecution."""
        await self.lock({execution_id})
        return self.found(execution_id)

    def found(self, execution_id: str) -> Head:
        if execution_id not in self.heads:
            raise errors.UnknownExecution(execution_id)
        return self.heads[execution_id]

    async def load(self, appends: Sequence[Append], *, careful: bool) -> None:
        """What the rules will ask about these appends, a statement per table at most. `careful`: see runs_named."""
        runs: list[tuple[int, RunKey]] = []
        questions: list[tuple[int, str]] = []
        repeats: list[tuple[int, bytes]] = []
        for append in appends:
            if head := self.heads.get(append.execution_id):
                run = head.execution
                runs += [(run, key) for key in runs_named(append.events, careful=careful) - head.runs.keys()]
                questions += [(run, interaction_id) for interaction_id in interactions_named(append.events)]
                if needs_history(head, append):
                    repeats += [(run, event.event_id) for event in append.events]
        heads = {head.execution: head for head in self.heads.values()}
        if runs:
            columns = [
                [run for run, _ in runs],
                *(list(column) for column in zip(*(key for _, key in runs), strict=True)),
            ]
            for run, node_id, iteration, attempt, *facts in await self.db.fetch(_RUNS, *columns):
                heads[run].runs[RunKey(node_id, iteration, attempt)] = RunFacts(*facts)
        if questions:
            for run, interaction_id, status in await self.db.fetch(_INTERACTIONS, *columns_of(questions)):
                heads[run].interactions[interaction_id] = status
        if repeats:
            for run, event_id, seq in await self.db.fetch(_JOURNALED, *columns_of(repeats)):
                self._journaled[run][event_id] = seq

    def append(self, append: Append) -> Appended | DipeoError:
        try:
            head = self.found(append.execution_id)
            verdict = judge(head, append, self._history(head) if needs_history(head, append) else {})
            return verdict or self.journal(head, append.events, fence=append.fence)
        except DipeoError as error:
            return error

    def _history(self, head: Head) -> dict[bytes, int]:
        """Seqs of the events that `load` found, and of those this transaction has journaled since."""
        since = (each.events for each in self.published if each.execution_id == head.execution_id)
        return self._journaled[head.execution] | {event.event_id: event.seq for events in since for event in events}

    def journal(self, head: Head, events: Sequence[Event], *, fence: int) -> Appended:
        """Project judged events; the rows are written by the next flush. Raises IllegalTransition, Terminal."""
        after, placed, _ = project(head, events, fence, self.changes)
        self.heads[head.execution_id] = after
        self.published.append(Published(head.execution_id, placed))
        return Appended(after.head_seq, duplicate=False)

    async def journal_own(self, head: Head, *events: tuple[str, dict[str, Any]]) -> None:
        """Events (type, body) that the store itself writes, as a holder of its own for this one moment."""
        made = [Event(bytes.fromhex(ids.new_hex()), type_, self.now, body, dump(body)) for type_, body in events]
        self.journal(head, made, fence=head.fence + 1)
        await self.flush()

    async def flush(self) -> None:
        """Write the rows gathered so far."""
        changes, self.changes = self.changes, Changes()
        for sql, columns in statements(changes):
            await self.db.execute(sql, *columns)
