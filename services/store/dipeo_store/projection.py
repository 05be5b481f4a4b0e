"""What events change besides the journal: the state machine of §16.1 and the rows of §15.5, as pure values.

`project` either answers with every row to write, or raises IllegalTransition or Terminal and nothing has changed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dipeo_store.blobs import chunks
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
from dipeo_store.errors import IllegalTransition, Terminal
from dipeo_store.journal import Head, RunFacts, RunKey, run_key
from dipeo_store.model import TERMINAL, Event, Usage, made
from dipeo_store.payload import dump

NOTHING_SPENT = Usage()
RUNNING = frozenset({"running"})
LIVE = frozenset({"running", "paused"})
UNENDED = LIVE | {"pending"}
# event -> (legal in these statuses, status afterwards; "" = as before)
EXECUTION_RULES: dict[str, tuple[frozenset[str], str]] = {
    "execution.started": (frozenset({"pending"}), "running"),
    "execution.paused": (frozenset({"running"}), "paused"),
    "execution.resumed": (frozenset({"paused"}), "running"),
    "execution.recovered": (LIVE, ""),
    "execution.completed": (LIVE, "completed"),
    "execution.failed": (UNENDED, "failed"),
    "execution.aborted": (UNENDED, "aborted"),
    "execution.maxiter": (LIVE, "maxiter_reached"),
}


@dataclass(slots=True)
class _Draft:
    head: Head
    changes: Changes
    key: RunKey | None = None  # what the event at hand is about
    spent: Usage = NOTHING_SPENT
    done: int = 0
    failed: int = 0


def project(
    head: Head, events: Sequence[Event], fence: int, changes: Changes | None = None
) -> tuple[Head, tuple[Event, ...], Changes]:
    """The head afterwards, the events with their seqs, and the rows, after those that are in `changes` already.

    `head` itself is left alone.
    """
    draft = _Draft(head.copy(), Changes() if changes is None else changes)
    before = draft.changes.lengths()
    try:
        placed = tuple([_place(draft, event, fence) for event in events])
    except (IllegalTransition, Terminal):
        draft.changes.cut(before)
        raise
    if placed:
        draft.changes.advanced.append(
            Advanced(draft.head.head_seq, *draft.spent, draft.done, draft.failed, head.execution)
        )
    return draft.head, placed, draft.changes


def _place(draft: _Draft, event: Event, fence: int) -> Event:
    head = draft.head
    if head.status in TERMINAL:
        raise Terminal(head.execution_id, head.status)
    head.head_seq += 1
    if event.seq != head.head_seq:
        event = event._replace(seq=head.head_seq)
    draft.key = run_key(event)
    rule = _RULES.get(event.type)
    if rule is None:
        raise _illegal(draft, event, "only the store writes it")
    rule(draft, event)
    if event.blobs:
        _keep_blobs(draft, event)
    draft.changes.events.append(_event_row(draft, event, fence))
    return event


def _keep_blobs(draft: _Draft, event: Event) -> None:
    changes = draft.changes
    for blob in event.blobs:
        changes.blob_refs.append(BlobRef(draft.head.execution, blob.hash))
        if blob.data is not None:
            changes.blobs.append(BlobRow(blob.hash, blob.size, event.at))
            changes.chunks += (BlobChunk(blob.hash, number, data) for number, data in enumerate(chunks(blob.data)))


def _event_row(draft: _Draft, event: Event, fence: int) -> EventRow:
    body = event.body
    node_id, iteration, attempt = draft.key or (body.get("node_id"), body.get("iteration"), body.get("attempt"))
    return made(EventRow, (
        draft.head.execution, event.seq, event.event_id, event.type, node_id, iteration, attempt, fence, event.at,
        event.payload,
    ))  # fmt: skip


def _illegal(draft: _Draft, event: Event, why: str) -> IllegalTransition:
    key = draft.key
    subject = f' of node "{key.node_id}" iteration {key.iteration} attempt {key.attempt}' if key else ""
    return IllegalTransition(draft.head.execution_id, event.type + subject, why)


# --- executions ------------------------------------------------------------------------------------------------------


def _execution(draft: _Draft, event: Event) -> None:
    legal, status = EXECUTION_RULES[event.type]
    if draft.head.status not in legal:
        raise _illegal(draft, event, f"the execution is {draft.head.status}")
    draft.head.status = status = status or draft.head.status
    execution = draft.head.execution
    if status not in TERMINAL:
        draft.changes.statuses.append(StatusChanged(status, event.at, execution))
        return
    draft.head.claimed = False
    body = event.body
    kept = next((blob for blob in event.blobs if blob.key == "result"), None)
    if kept:
        draft.changes.results.append(ResultKept(kept.hash, kept.size, execution))
    draft.changes.ended.append(
        Ended(
            status,
            event.at,
            _error(body),
            dump(body["result"]) if "result" in body and not kept else None,
            body.get("result_is_error", False),
            dump(body.get("warnings", [])),
            dump(body.get("skipped_node_ids", [])),
            execution,
        )
    )


def _error(body: Mapping[str, Any]) -> str | None:
    """Of a run that failed, or the reason for which somebody ended it."""
    if "error" in body:
        return dump(body["error"])
    return dump({"type": "Aborted", "message": body["reason"], "code": "aborted"}) if body.get("reason") else None


def _no_row(draft: _Draft, event: Event) -> None:
    """The journal alone keeps it."""


# --- node runs -------------------------------------------------------------------------------------------------------


def _require_status(draft: _Draft, event: Event, legal: frozenset[str]) -> None:
    if draft.head.status not in legal:
        raise _illegal(draft, event, f"the execution is {draft.head.status}")


def _key(draft: _Draft, event: Event) -> RunKey:
    key = draft.key
    if key is None or not key.node_id or key.attempt < 1 or key.iteration < 0:
        raise _illegal(draft, event, "node_id is required, iterations count from 0 and attempts from 1")
    return key


def _open_run(draft: _Draft, event: Event, key: RunKey, facts: RunFacts) -> None:
    if key in draft.head.runs:
        raise _illegal(draft, event, f"this node run is already {draft.head.runs[key].status}")
    draft.head.runs[key] = facts
    end_seq, ended_at = (event.seq, event.at) if facts.status != "running" else (None, None)
    draft.changes.opened.append(made(RunOpened, (
        draft.head.execution, *key, facts.label, facts.type, facts.person_id, facts.status,
        event.seq, end_seq, event.at, ended_at,
    )))  # fmt: skip


def _close_run(draft: _Draft, event: Event, key: RunKey, status: str) -> None:
    facts = draft.head.runs.get(key)
    if facts is None or facts.status != "running":
        raise _illegal(draft, event, f"that node run is {facts.status}" if facts else "that node run was never started")
    draft.head.runs[key] = made(RunFacts, (status, facts.label, facts.type, facts.person_id))
    usage = NOTHING_SPENT
    if given := event.body.get("usage"):
        usage = Usage(*(given.get(name, 0) for name in Usage._fields))
        draft.spent = draft.spent.plus(usage)
    model = event.body.get("model", "")
    draft.changes.closed.append(
        made(RunClosed, (status, event.seq, event.at, *usage, model, draft.head.execution, *key))
    )


def _node_started(draft: _Draft, event: Event) -> None:
    _require_status(draft, event, RUNNING)
    body = event.body
    facts = made(RunFacts, ("running", body.get("label", ""), body.get("type", ""), body.get("person_id", "")))
    _open_run(draft, event, _key(draft, event), facts)


def _node_completed(draft: _Draft, event: Event) -> None:
    _require_status(draft, event, LIVE)
    _close_run(draft, event, _key(draft, event), "completed")
    draft.done += 1


def _node_failed(draft: _Draft, event: Event) -> None:
    _require_status(draft, event, LIVE)
    _close_run(draft, event, _key(draft, event), "failed")
    draft.failed += 1


def _node_aborted(draft: _Draft, event: Event) -> None:
    _require_status(draft, event, LIVE)
    _close_run(draft, event, _key(draft, event), "aborted")


def _node_retrying(draft: _Draft, event: Event) -> None:
    """Closes the attempt before, which is no failed run of the node yet, and opens the next.

    Legal while paused: a question that was open goes on waiting with the next executor.
    """
    _require_status(draft, event, LIVE)
    key = _key(draft, event)
    last = key._replace(attempt=key.attempt - 1)
    facts = draft.head.runs.get(last)
    if facts is None or facts.status not in ("running", "failed", "aborted"):
        raise _illegal(draft, event, f"attempt {last.attempt} is {facts.status if facts else 'unknown'}")
    if facts.status == "running":
        _close_run(draft, event, last, "aborted" if event.body.get("reason") == "executor_lost" else "failed")
    _open_run(draft, event, key, facts._replace(status="running"))


def _node_skipped(draft: _Draft, event: Event) -> None:
    _require_status(draft, event, LIVE)
    key = _key(draft, event)
    facts = draft.head.runs.get(key)
    if facts is not None and facts.status == "running":
        _close_run(draft, event, key, "skipped")
    else:
        _open_run(draft, event, key, RunFacts("skipped", event.body.get("label", ""), event.body.get("type", ""), ""))


def _node_passed(draft: _Draft, event: Event) -> None:
    _require_status(draft, event, LIVE)


# --- messages, questions, signals ------------------------------------------------------------------------------------


def _micros(rfc3339: str) -> int:
    return round(datetime.fromisoformat(rfc3339).timestamp() * 1_000_000)


def _message_appended(draft: _Draft, event: Event) -> None:
    _require_status(draft, event, LIVE)
    body = event.body
    draft.changes.messages.append(
        MessageRow(
            execution=draft.head.execution,
            seq=event.seq,
            message_id=body.get("message_id", ""),
            node_id=body.get("node_id", ""),
            iteration=body.get("iteration", 0),
            person_id=body.get("person_id", ""),
            from_id=body.get("from_id", ""),
            to_id=body.get("to_id", ""),
            role=body.get("role", ""),
            content=body.get("content", ""),
            token_count=body.get("token_count", 0),
            created_at=event.at,
        )
    )


def _interaction_opened(draft: _Draft, event: Event) -> None:
    _require_status(draft, event, LIVE)
    body = event.body
    interaction_id = body.get("interaction_id", "")
    if not interaction_id or interaction_id in draft.head.interactions:
        raise _illegal(draft, event, f'the id "{interaction_id}" is taken' if interaction_id else "it has no id")
    draft.head.interactions[interaction_id] = "open"
    draft.changes.asked.append(
        InteractionOpened(
            execution=draft.head.execution,
            interaction_id=interaction_id,
            node_id=body.get("node_id", ""),
            label=body.get("label", ""),
            iteration=body.get("iteration", 0),
            prompt=body.get("prompt", ""),
            context=body.get("context", ""),
            default_value=body.get("default_value", ""),
            options=json.dumps(body.get("options", []), ensure_ascii=False),
            sensitive=body.get("sensitive", False),
            opened_at=event.at,
            expires_at=_micros(body["expires_at"]) if "expires_at" in body else None,
        )
    )


def _interaction_closed(draft: _Draft, event: Event) -> None:
    """The journal has the last word: an answer in the inbox that the holder did not take any more does not count."""
    _require_status(draft, event, LIVE)
    body = event.body
    interaction_id, outcome = body.get("interaction_id", ""), body.get("outcome", "")
    if draft.head.interactions.get(interaction_id) not in ("open", "answered"):
        raise _illegal(draft, event, f'no question "{interaction_id}" is open')
    if outcome not in ("answered", "expired", "cancelled"):
        raise _illegal(draft, event, f'outcome "{outcome}" is not one of answered, expired, cancelled')
    draft.head.interactions[interaction_id] = "closed"
    draft.changes.settled.append(
        InteractionClosed(
            status=outcome,
            closed_at=event.at,
            response=body.get("response", ""),
            responder=body.get("responder", ""),
            execution=draft.head.execution,
            interaction_id=interaction_id,
        )
    )


def _signal_consumed(draft: _Draft, event: Event) -> None:
    draft.changes.consumed.append(SignalConsumed(event.seq, draft.head.execution, event.body.get("signal_id", "")))


_RULES: dict[str, Callable[[_Draft, Event], None]] = {
    **dict.fromkeys(EXECUTION_RULES, _execution),
    "execution.log": _no_row,
    "node.output": _no_row,
    "node.started": _node_started,
    "node.completed": _node_completed,
    "node.failed": _node_failed,
    "node.retrying": _node_retrying,
    "node.aborted": _node_aborted,
    "node.skipped": _node_skipped,
    "node.passed": _node_passed,
    "message.appended": _message_appended,
    "interaction.opened": _interaction_opened,
    "interaction.closed": _interaction_closed,
    "signal.consumed": _signal_consumed,
}
