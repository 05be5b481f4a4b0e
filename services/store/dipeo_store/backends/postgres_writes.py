"""Writing on Postgres: one transaction for a group of appends, or for one operation of postgres_inbox.py.

Rows are locked in the order of their ids, the same order everywhere, so groups of several stores cannot lock each other
out; what may follow is decided by the pure rules of journal.py and projection.py; every table is written by one
statement with arrays, never row by row. (spec/store.md §16.2)
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, get_type_hints

import asyncpg

from dipeo_kit import ids
from dipeo_kit.errors import DipeoError
from dipeo_store import errors
from dipeo_store.backends.postgres_database import LOST_A_RACE, ROW_REFUSED, Database
from dipeo_store.changes import (
    Advanced,
    BlobChunk,
    BlobRef,
    BlobRow,
    Changes,
    Ended,
    EventRow,
    InteractionClosed,
    InteractionOpened,
    MessageRow,
    ResultKept,
    RunClosed,
    RunOpened,
    SignalConsumed,
    StatusChanged,
)
from dipeo_store.committer import Committed
from dipeo_store.journal import Head, RunFacts, RunKey, interactions_named, judge, needs_history, runs_named
from dipeo_store.model import TERMINAL, Append, Appended, Event, Published
from dipeo_store.payload import dump
from dipeo_store.projection import project

TRIES = 3  # of a group that lost a race with another; locks are ordered, so this is for what we did not think of

_TYPES = {"int": "bigint", "float": "double precision", "str": "varchar", "bytes": "bytea", "bool": "boolean"}


def _rows(row: Any) -> str:
    """FROM item: one array parameter per field, in the order of the fields."""
    types = [
        _TYPES[getattr(kind, "__name__", str(kind)).removesuffix(" | None")] for kind in get_type_hints(row).values()
    ]
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, start=1))
    return f"unnest({arrays}) AS new ({', '.join(row._fields)})"


def _insert(table: str, row: Any) -> str:
    names = ", ".join(row._fields)
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {_rows(row)}"


def _update(table: str, row: Any, key: str, **values: str) -> str:
    """Every field that is no key; `values` says how where it is not simply the new one."""
    keys = {pair.partition("=")[0]: pair.rpartition("=")[2] for pair in key.split()}
    fields = [name for name in row._fields if name not in keys.values()]
    sets = ", ".join(f"{name} = {values.get(name, f'new.{name}')}" for name in fields)
    where = " AND ".join(f"{table}.{column} = new.{name}" for column, name in keys.items())
    return f"UPDATE {table} SET {sets} FROM {_rows(row)} WHERE {where}"


_COUNTERS = [name for name in Advanced._fields if name not in ("head_seq", "execution")]
# one statement per list of Changes, in this order
_STATEMENTS = {
    "events": _insert("transitions", EventRow),
    "opened": _insert("node_runs", RunOpened),
    "closed": _update("node_runs", RunClosed, "execution node_id iteration attempt"),
    "messages": _insert("messages", MessageRow),
    "asked": _insert("interactions", InteractionOpened),
    "settled": _update("interactions", InteractionClosed, "execution interaction_id"),
    "consumed": f"""
        UPDATE signals SET consumed_seq = new.seq FROM {_rows(SignalConsumed)}
        WHERE signals.execution = new.execution AND signals.signal_id = new.signal_id AND consumed_seq IS NULL""",
    "advanced": _update(
        "executions", Advanced, "id=execution", **{name: f"executions.{name} + new.{name}" for name in _COUNTERS}
    ),
    "statuses": _update(
        "executions", StatusChanged, "id=execution", started_at="coalesce(executions.started_at, new.started_at)"
    ),
    "ended": _update(
        "executions",
        Ended,
        "id=execution",
        **{name: f"new.{name}::json" for name in ("error", "result", "warnings", "skipped_node_ids")},
    ),
    "results": _update("executions", ResultKept, "id=execution"),
    # a blob that is there is touched: the sweeper of another store must not take it just now (postgres_retention.py)
    "blobs": f"""
        INSERT INTO blobs (hash, size, created_at) SELECT hash, max(size), now_us() FROM {_rows(BlobRow)}
        GROUP BY hash ORDER BY hash ON CONFLICT (hash) DO UPDATE SET created_at = now_us()""",
    "chunks": f"{_insert('blob_chunks', BlobChunk)} ON CONFLICT DO NOTHING",
    "blob_refs": f"{_insert('blob_refs', BlobRef)} ON CONFLICT DO NOTHING",
}
_TOGETHER = ("events", "opened", "closed", "advanced")  # of different rows
_ENDED = "unnest($1::bigint[], $2::bigint[]) AS new (ended_at, execution)"
_AT_THE_END = (
    f"UPDATE node_runs SET status = 'aborted', ended_at = new.ended_at FROM {_ENDED}"
    " WHERE node_runs.execution = new.execution AND status = 'running'",
    f"UPDATE interactions SET status = 'cancelled', closed_at = new.ended_at FROM {_ENDED}"
    " WHERE interactions.execution = new.execution AND status = 'open'",
    f"DELETE FROM work USING {_ENDED} WHERE work.execution = new.execution AND new.ended_at IS NOT NULL",
)
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
_KNOWN = """
    SELECT execution, event_id, seq FROM transitions
    JOIN unnest($1::bigint[], $2::bytea[]) AS wanted (execution, event_id) USING (execution, event_id)"""


async def commit(database: Database, appends: Sequence[Append], *, careful: bool = False) -> Committed:
    """All appends in one transaction; one that is refused leaves no trace and harms no other.

    Raises DatabaseFailed, OutcomeUnknown, DiskFull.
    """
    for last in [False] * (TRIES - 1) + [True]:
        try:
            return await _commit(database, appends, careful)
        except ROW_REFUSED as error:
            if careful:
                subject = appends[0].execution_id
                return Committed(
                    [errors.IllegalTransition(subject, "an event", f"a value in it is refused ({error})")], []
                )
            return await _one_by_one(database, appends)
        except LOST_A_RACE as error:
            if last:
                raise errors.DatabaseFailed("the database is too busy; try again") from error
    raise AssertionError("unreachable")


async def _one_by_one(database: Database, appends: Sequence[Append]) -> Committed:
    """A rule that only the database knows, e.g. an event id used twice: find the append that broke it."""
    parts = [await commit(database, [append], careful=True) for append in appends]
    return Committed([part.outcomes[0] for part in parts], [each for part in parts for each in part.published])


async def _commit(database: Database, appends: Sequence[Append], careful: bool) -> Committed:
    async with database.transaction() as db:
        tx = Transaction(db)
        await tx.lock({append.execution_id for append in appends})
        await tx.load(appends, careful=careful)
        outcomes = [tx.append(append) for append in appends]
        await tx.flush()
    return Committed(outcomes, tx.published)


@dataclass(slots=True)
class Transaction:
    """One transaction in the making: lock, load, decide in memory, flush."""

    db: "asyncpg.Connection"
    now: int = 0  # the database's, once something is locked
    heads: dict[str, Head] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    published: list[Published] = field(default_factory=list)
    _known: defaultdict[int, dict[bytes, int]] = field(default_factory=lambda: defaultdict(dict))

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
            self.heads[execution_id] = Head(run, execution_id, status, head_seq, fence, claimed)
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
                runs += [(run, key) for key in runs_named(append.events, careful=careful)]
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
            for run, interaction_id, status in await self.db.fetch(_INTERACTIONS, *_columns(questions)):
                heads[run].interactions[interaction_id] = status
        if repeats:
            for run, event_id, seq in await self.db.fetch(_KNOWN, *_columns(repeats)):
                self._known[run][event_id] = seq

    def append(self, append: Append) -> Appended | DipeoError:
        try:
            head = self.found(append.execution_id)
            verdict = judge(head, append, self._known[head.execution])
            return verdict or self.journal(head, append.events, fence=append.fence)
        except DipeoError as error:
            return error

    def journal(self, head: Head, events: Sequence[Event], *, fence: int) -> Appended:
        """Project judged events; the rows are written by the next flush. Raises IllegalTransition, Terminal."""
        after, placed, _ = project(head, events, fence, self.changes)
        self.heads[head.execution_id] = after
        self.published.append(Published(head.execution_id, placed))
        self._known[head.execution].update((event.event_id, event.seq) for event in placed)
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


def statements(changes: Changes) -> Iterator[tuple[str, list[list[Any]]]]:
    """One per table, with an array per column; those of nearly every append joined to one, to save round trips."""
    changes = _merged(changes)
    together = tuple(name for name in _TOGETHER if getattr(changes, name))
    if {row[-4:] for row in changes.closed} & {row[:4] for row in changes.opened}:
        together = ()  # within one statement nothing sees what it inserts
    if together:
        yield _joined(together), [column for name in together for column in _columns(getattr(changes, name))]
    for name, sql in _STATEMENTS.items():
        if name not in together and (rows := getattr(changes, name)):
            yield sql, _columns(rows)
    for sql in _AT_THE_END if changes.ended else ():
        yield sql, _columns([(row.ended_at, row.execution) for row in changes.ended])


@cache
def _joined(names: tuple[str, ...]) -> str:
    parts, parameters = [], 0
    for name in names:
        parts.append(f"{name} AS ({_renumbered(_STATEMENTS[name], parameters)})")
        parameters += len(set(re.findall(r"[$][0-9]+", _STATEMENTS[name])))
    return f"WITH {', '.join(parts)} SELECT"


def _renumbered(sql: str, by: int) -> str:
    return re.sub(r"[$]([0-9]+)", lambda found: f"${int(found[1]) + by}", sql)


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _merged(changes: Changes) -> Changes:
    """One row per execution where a statement would see only one of several."""
    advanced: dict[int, Advanced] = {}
    for row in changes.advanced:
        before = advanced.get(row.execution)
        sums = {name: getattr(before, name) + getattr(row, name) for name in _COUNTERS} if before else {}
        advanced[row.execution] = row._replace(**sums)
    statuses: dict[int, StatusChanged] = {}
    for status in changes.statuses:
        first = statuses.get(status.execution)
        started_at = first.started_at if first and first.started_at is not None else status.started_at
        statuses[status.execution] = status._replace(started_at=started_at)
    changes.advanced, changes.statuses = list(advanced.values()), list(statuses.values())
    return changes
