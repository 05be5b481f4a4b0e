"""What every backend selects, in words all of them know, and the rows as values."""

from collections.abc import Iterable, Sequence
from typing import Any

from dipeo_store.model import CatalogEntry, Event, Execution, NodeRun, SealedSecret, Usage
from dipeo_store.payload import json_bytes, load

AT_ONCE = 0  # work.not_before of what need not wait: with the time of now, a clock set back would make it wait

# variables and options are read from event 1: a copy in executions would be rewritten with every append
EXECUTION = """
SELECT e.id, e.execution_id, e.status, e.diagram_id, e.diagram_name, e.source_hash, created.payload, e.origin,
  e.principal, e.trace_parent, e.error, e.result, e.result_is_error, e.warnings, e.head_seq, e.attempts,
  e.tokens_in, e.tokens_out, e.tokens_cached, e.cost_usd, e.unpriced, e.runs_done, e.runs_failed, e.created_at,
  e.started_at, e.ended_at,
  EXISTS (SELECT 1 FROM interactions i WHERE i.execution = e.id AND i.status = 'open'), e.result_blob, e.result_bytes,
  e.pinned
FROM executions e JOIN transitions created ON created.execution = e.id AND created.seq = 1
"""

NODE_RUN = """
SELECT n.node_id, n.label, n.type, n.iteration, n.attempt, n.status,
  n.status = 'running' AND EXISTS (SELECT 1 FROM interactions i WHERE i.execution = n.execution
    AND i.status = 'open' AND i.node_id = n.node_id AND i.iteration = n.iteration),
  n.started_at, n.ended_at, n.tokens_in, n.tokens_out, n.tokens_cached, n.cost_usd, n.unpriced, n.model, n.person_id,
  n.start_seq, t.type, t.payload
FROM node_runs n LEFT JOIN transitions t ON t.execution = n.execution AND t.seq = n.end_seq
"""

INTERACTION = """
SELECT i.interaction_id, e.execution_id, i.node_id, i.label, i.iteration, i.prompt, i.context, i.default_value,
  i.options, i.sensitive, i.status, i.opened_at, i.expires_at, i.closed_at, i.response, i.responder
FROM interactions i JOIN executions e ON e.id = i.execution
"""

# Runs beyond their deadline. Time that stood still does not count (decision 36): of pauses it is what the journal says;
# of questions at most how long they were open: meanwhile other nodes may run, which only the executor knows.
LATE = """
  e.status = 'running' AND e.timeout_us > 0 AND e.started_at + e.timeout_us + {grace} < {now}
  AND e.started_at + e.timeout_us + {grace} + coalesce((
      SELECT sum({least}(coalesce(i.closed_at, {now}), coalesce(i.expires_at, {now}), {now}) - i.opened_at)
      FROM interactions i WHERE i.execution = e.id), 0) + coalesce((
      SELECT sum(CASE t.type WHEN 'execution.resumed' THEN t.at ELSE -t.at END)
      FROM transitions t WHERE t.execution = e.id AND t.type IN ('execution.paused', 'execution.resumed')), 0) < {now}
"""

SECRET_FIELDS = ", ".join(SealedSecret._fields)
ENTRY_FIELDS = ", ".join(CatalogEntry._fields)
ENTRY = f"SELECT {ENTRY_FIELDS} FROM catalog"
LISTED = ENTRY.replace(" text,", " '',")  # without the text of the diagram
OVERVIEW = 2000  # executions at most
COMMIT_US = 2_000_000  # between the time a transaction writes and its end

PAGE_BYTES = 1024 * 1024  # of a journal
PROJECTED = ("message.", "interaction.")  # events whose rows have their texts

# When it ended, only the executor's clock knows; that it was created before, is the database's own.
OLD = "ended_at < {before} AND created_at < {before}"

# what one transaction of the sweeper takes, a bearable piece
SWEPT_EXECUTIONS = 500
SWEPT_EVENTS = 20_000
SWEPT_BLOBS = 100
OF_EXECUTIONS = ("transitions", "node_runs", "messages", "signals", "interactions", "blob_refs")


def event_of(row: Sequence[Any]) -> Event:
    """Of event_id, type, at, payload, seq."""
    event_id, type_, at, payload, seq = row
    return Event(event_id, type_, at, load(payload), payload, seq)


def entry_of(row: Sequence[Any]) -> CatalogEntry:
    entry = CatalogEntry(*row)
    return entry._replace(published=bool(entry.published), deleted=bool(entry.deleted))


def overview_of(rows: Iterable[Sequence[Any]]) -> list[Execution]:
    """Oldest first."""
    return sorted(map(execution_of, rows), key=lambda each: (each.created_at, each.id))[:OVERVIEW]


def execution_of(row: Sequence[Any]) -> Execution:
    id_, execution_id, status, diagram_id, diagram_name, source_hash, created, origin, principal, trace_parent = row[
        :10
    ]
    error, result, result_is_error, warnings, head_seq, attempts = row[10:16]
    done, failed, created_at, started_at, ended_at, waiting, result_blob, result_bytes, pinned = row[21:]
    body = load(created)
    return Execution(
        id=id_,
        execution_id=execution_id,
        status=status,
        diagram_id=diagram_id,
        diagram_name=diagram_name,
        source_hash=source_hash,
        variables=_text(body, "variables"),
        options=_text(body, "options"),
        origin=origin,
        principal=principal,
        trace_parent=trace_parent,
        error=error,
        result=result,
        result_is_error=bool(result_is_error),
        warnings=tuple(load(warnings)),
        head_seq=head_seq,
        attempts=attempts,
        usage=Usage(*row[16:21]),
        runs_done=done,
        runs_failed=failed,
        created_at=created_at,
        started_at=started_at,
        ended_at=ended_at,
        waiting=bool(waiting),
        retried_from=body.get("retried_from", ""),
        result_blob=result_blob or "",
        result_bytes=result_bytes,
        pinned=bool(pinned),
    )


def _text(body: dict[str, Any], key: str) -> str | None:
    return json_bytes(body[key]).decode() if key in body else None


def node_run_of(row: Sequence[Any]) -> NodeRun:
    node_id, label, type_, iteration, attempt, status, waiting, started_at, ended_at = row[:9]
    model, person_id, start_seq, ended_by, outcome = row[14:]
    return NodeRun(
        node_id=node_id,
        label=label,
        type=type_,
        iteration=iteration,
        attempt=attempt,
        status=status,
        waiting=bool(waiting),
        started_at=started_at,
        ended_at=ended_at,
        usage=Usage(*row[9:14]),
        model=model,
        person_id=person_id,
        start_seq=start_seq,
        ended_by=ended_by or "",
        outcome=load(outcome) if outcome else {},
    )
