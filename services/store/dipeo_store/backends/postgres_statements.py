"""What a group of events writes on Postgres: one statement per table, with an array per column, never row by row."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, get_type_hints

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


def statements(changes: Changes) -> Iterator[tuple[str, list[list[Any]]]]:
    """One per table, with an array per column; those of nearly every append joined to one, to save round trips."""
    changes = _merged(changes)
    together = tuple(name for name in _TOGETHER if getattr(changes, name))
    if {row[-4:] for row in changes.closed} & {row[:4] for row in changes.opened}:
        together = ()  # within one statement nothing sees what it inserts
    if together:
        yield _joined(together), [column for name in together for column in columns_of(getattr(changes, name))]
    for name, sql in _STATEMENTS.items():
        if name not in together and (rows := getattr(changes, name)):
            yield sql, columns_of(rows)
    for sql in _AT_THE_END if changes.ended else ():
        yield sql, columns_of([(row.ended_at, row.execution) for row in changes.ended])


@cache
def _joined(names: tuple[str, ...]) -> str:
    parts, parameters = [], 0
    for name in names:
        parts.append(f"{name} AS ({_renumbered(_STATEMENTS[name], parameters)})")
        parameters += len(set(re.findall(r"[$][0-9]+", _STATEMENTS[name])))
    return f"WITH {', '.join(parts)} SELECT"


def _renumbered(sql: str, by: int) -> str:
    return re.sub(r"[$]([0-9]+)", lambda found: f"${int(found[1]) + by}", sql)


def columns_of(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _merged(changes: Changes) -> Changes:
    """One row per execution where a statement would see only one of several."""
    advanced: dict[int, Advanced] = {}
    for row in changes.advanced:
        if before := advanced.get(row.execution):
            row = row._replace(**{name: getattr(before, name) + getattr(row, name) for name in _COUNTERS})
        advanced[row.execution] = row
    statuses: dict[int, StatusChanged] = {}
    for status in changes.statuses:
        first = statuses.get(status.execution)
        started_at = first.started_at if first and first.started_at is not None else status.started_at
        statuses[status.execution] = status._replace(started_at=started_at)
    changes.advanced, changes.statuses = list(advanced.values()), list(statuses.values())
    return changes
