"""Do the projections say what the journal says? And if not: make them anew. Pure; the SQL is the backends'. (§16.9)"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dipeo_store import blobs
from dipeo_store.changes import (
    Advanced,
    Changes,
    Ended,
    InteractionClosed,
    InteractionOpened,
    MessageRow,
    RunClosed,
    RunOpened,
    StatusChanged,
)
from dipeo_store.errors import IllegalTransition, Terminal
from dipeo_store.journal import Head, ends_execution
from dipeo_store.model import Event
from dipeo_store.payload import load
from dipeo_store.projection import project

Row = Mapping[str, Any]

COUNTERS = tuple(name for name in Advanced._fields if name not in ("head_seq", "execution"))
_ENDING = tuple(name for name in Ended._fields if name not in ("status", "execution"))
_RESULT = ("result_blob", "result_bytes")
_JSON = frozenset({"error", "result", "warnings", "skipped_node_ids", "payload"})
_RUN_KEY = ("node_id", "iteration", "attempt")
_RUN = tuple(dict.fromkeys((*RunOpened._fields, *RunClosed._fields)))
_INTERACTION = tuple(dict.fromkeys((*InteractionOpened._fields, *InteractionClosed._fields)))

# what a snapshot is read with; {run} is the placeholder of executions.id
QUERIES = {
    "execution": f"SELECT status, head_seq, started_at, {', '.join((*COUNTERS, *_ENDING, *_RESULT))} FROM executions"
    " WHERE id = {run}",
    "events": "SELECT event_id, type, at, payload, seq FROM transitions WHERE execution = {run} ORDER BY seq",
    "runs": f"SELECT {', '.join(_RUN)} FROM node_runs WHERE execution = {{run}}",
    "messages": f"SELECT {', '.join(MessageRow._fields)} FROM messages WHERE execution = {{run}}",
    "interactions": f"SELECT {', '.join(_INTERACTION)} FROM interactions WHERE execution = {{run}}",
    "signals": "SELECT signal_id, kind, payload, created_at, consumed_seq FROM signals WHERE execution = {run}",
    "work": "SELECT fence FROM work WHERE execution = {run}",
    "chunks": "SELECT c.hash, c.data FROM blob_refs r JOIN blob_chunks c ON c.hash = r.hash WHERE r.execution = {run}"
    " ORDER BY c.hash, c.number",
}
# back to how event 1 left it; {run} as above
RESET = (
    "UPDATE executions SET status = 'pending', head_seq = 1, started_at = NULL, ended_at = NULL, error = NULL,"
    " result = NULL, result_blob = NULL, result_bytes = 0, result_is_error = {false}, warnings = '[]',"
    " skipped_node_ids = '[]', " + ", ".join(f"{name} = 0" for name in COUNTERS) + " WHERE id = {run}",
    "DELETE FROM node_runs WHERE execution = {run}",
    "DELETE FROM messages WHERE execution = {run}",
    "DELETE FROM interactions WHERE execution = {run}",
    "UPDATE signals SET consumed_seq = NULL WHERE execution = {run}",
)


class Snapshot(NamedTuple):
    """All rows of one execution at one moment, as QUERIES name them."""

    execution: Row
    events: Sequence[Event]
    runs: Sequence[Row]
    messages: Sequence[Row]
    interactions: Sequence[Row]
    signals: Sequence[Row]
    work: Sequence[Row]
    damaged: Sequence[str]  # hashes of values that are missing or are not what was put

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[Row]]) -> "Snapshot":
        events = blobs.page(
            (
                Event(row["event_id"], row["type"], row["at"], load(row["payload"]), row["payload"], row["seq"])
                for row in rows["events"]
            ),
            limit_bytes=sys.maxsize,
        )
        values = blobs.sound((row["hash"], row["data"]) for row in rows["chunks"])
        plain = {name: found for name, found in rows.items() if name not in ("execution", "events", "chunks")}
        return cls(
            execution=rows["execution"][0],
            events=blobs.with_values(events, values),
            damaged=sorted(blobs.needed(events) - values.keys()),
            **plain,
        )


def replayed(run: int, execution_id: str, events: Sequence[Event]) -> Changes:
    """Everything the events after the first one write. Raises IllegalTransition, Terminal: no store wrote that."""
    head = Head(run, execution_id, "pending", 1, fence=0, claimed=True)
    return project(head, events[1:], fence=0)[2]


def rebuildable(found: Snapshot) -> Sequence[Event]:
    """The journal to rebuild from. Raises Tampered: what is lost would be lost in the tables too."""
    if found.damaged:
        raise blobs.damaged(found.damaged[0])
    return found.events


def problems(run: int, execution_id: str, found: Snapshot) -> list[str]:
    """Sentences, none when all is well."""
    seqs = [event.seq for event in found.events]
    if seqs != list(range(1, len(seqs) + 1)) or not seqs:
        return [f"{execution_id}: the seqs of its journal are not 1 to {len(seqs)} without a gap"]
    if found.damaged:
        return [f"{execution_id}: a value of its journal is damaged or missing (blob {it})" for it in found.damaged]
    ends = [event.seq for event in found.events if ends_execution(event)]
    if len(ends) > 1 or (ends and ends[0] != seqs[-1]):
        return [f"{execution_id}: terminal events at {ends}; there may be one, the last"]
    try:
        changes = replayed(run, execution_id, found.events)
    except (IllegalTransition, Terminal) as error:
        return [f"{execution_id}: its journal breaks the rules: {error}"]
    return list(_differences(execution_id, changes, found))


def _differences(execution_id: str, changes: Changes, found: Snapshot) -> Iterator[str]:
    yield from _compared(execution_id, "executions", _execution(changes), {"": found.execution})
    runs = {_key(row, _RUN_KEY): row for row in found.runs}
    yield from _compared(execution_id, "node_runs", _runs(changes), runs)
    messages = {str(row["seq"]): row for row in found.messages}
    yield from _compared(execution_id, "messages", {str(row.seq): row._asdict() for row in changes.messages}, messages)
    questions = {str(row["interaction_id"]): row for row in found.interactions}
    yield from _compared(execution_id, "interactions", _questions(changes, found.signals), questions)
    consumed = {row.signal_id: {"consumed_seq": row.seq} for row in changes.consumed}
    inbox = {str(row["signal_id"]): row for row in found.signals if row["consumed_seq"] is not None}
    yield from _compared(execution_id, "signals", {key: row for key, row in consumed.items() if key in inbox}, inbox)
    if bool(found.work) == bool(changes.ended):
        yield f"{execution_id}: it {'has ended' if changes.ended else 'has not ended'}, and work says otherwise"


def _key(row: Row, names: Sequence[str]) -> str:
    return "/".join(str(row[name]) for name in names)


def _execution(changes: Changes) -> dict[str, Row]:
    row: dict[str, Any] = {"status": "pending", "head_seq": 1, "started_at": None} | dict.fromkeys(COUNTERS, 0)
    row |= {"result_blob": None, "result_bytes": 0}
    for advanced in changes.advanced:
        row |= {name: row[name] + getattr(advanced, name) for name in COUNTERS} | {"head_seq": advanced.head_seq}
    for status in changes.statuses:
        row |= _status(status, row)
    for ended in changes.ended:
        row |= {name: getattr(ended, name) for name in ("status", *_ENDING)}
    for kept in changes.results:
        row |= {name: getattr(kept, name) for name in _RESULT}
    return {"": row}


def _status(changed: StatusChanged, row: Row) -> dict[str, Any]:
    started_at = row["started_at"] if row["started_at"] is not None else changed.started_at
    return {"status": changed.status, "started_at": started_at}


def _runs(changes: Changes) -> dict[str, Row]:
    unclosed = {"tokens_in": 0, "tokens_out": 0, "tokens_cached": 0, "cost_usd": 0, "unpriced": 0, "model": ""}
    rows = {_key(row._asdict(), _RUN_KEY): unclosed | row._asdict() for row in changes.opened}
    for closed in changes.closed:
        rows[_key(closed._asdict(), _RUN_KEY)] |= closed._asdict()
    for ended in changes.ended:
        for row in rows.values():
            if row["status"] == "running":
                row |= {"status": "aborted", "ended_at": ended.ended_at}
    return dict(rows)


def _questions(changes: Changes, signals: Sequence[Row]) -> dict[str, Row]:
    """An answer in the inbox counts, until the journal says how the question ended."""
    fresh = {"status": "open", "closed_at": None, "response": "", "responder": ""}
    rows = {row.interaction_id: row._asdict() | fresh for row in changes.asked}
    for interaction_id, answer in answers(signals).items():
        if interaction_id in rows:
            rows[interaction_id] |= answer
    for settled in changes.settled:
        rows[settled.interaction_id] |= settled._asdict()
    for ended in changes.ended:
        for row in rows.values():
            if row["status"] == "open":
                row |= {"status": "cancelled", "closed_at": ended.ended_at}
    return dict(rows)


def answers(signals: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """By question: the columns that an answer in the inbox set."""
    found = {}
    for signal in signals:
        if signal["kind"] == "answer":
            payload = load(signal["payload"])
            found[payload["interaction_id"]] = {
                "status": "answered",
                "closed_at": signal["created_at"],
                "response": payload["response"],
                "responder": payload["responder"],
            }
    return found


def _compared(execution_id: str, table: str, wanted: Mapping[str, Row], found: Mapping[str, Row]) -> Iterator[str]:
    where = f"{execution_id}: {table}"
    for key in sorted(wanted.keys() ^ found.keys()):
        yield f"{where} {key}: {'is missing' if key in wanted else 'is not in the journal'}"
    for key in sorted(wanted.keys() & found.keys()):
        for name, value in wanted[key].items():
            stored = found[key].get(name)
            if not _same(name, value, stored):
                yield f"{where} {key}: {name} is {stored!r}, the journal says {value!r}".replace("  ", " ")


def _same(name: str, value: Any, stored: Any) -> bool:
    if name in _JSON and value is not None and stored is not None:
        return bool(load(value) == load(stored))
    if name == "cost_usd":
        return bool(abs(value - stored) < 1e-6)
    return bool(value == stored)
