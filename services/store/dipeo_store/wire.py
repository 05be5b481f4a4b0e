"""protobuf <-> values, both ways. The only modules that know the stubs: this one, payload.py and service.py."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from dipeo_kit import ids, skew
from dipeo_kit.errors import BadInput, DipeoError
from dipeo_protos.store.v1 import events_pb2, store_pb2
from dipeo_store import blobs, payload
from dipeo_store.errors import InvalidEvent, NewerEvent, Refused
from dipeo_store.model import (
    Append,
    Appended,
    Event,
    Execution,
    ExecutionFilter,
    Fork,
    Interaction,
    Message,
    MessageFilter,
    NewExecution,
    NodeRun,
    Signal,
    Usage,
    Work,
    made,
)

PAGE_BYTES = 1024 * 1024  # a message carries about so much, and at least one item
MAX_RESPONSE_BYTES = 256 * 1024
MAX_GIVEN_BYTES = 1024 * 1024  # variables and options, which every list reads

Item = TypeVar("Item")


def micros(at: Timestamp) -> int:
    return at.seconds * 1_000_000 + at.nanos // 1000


def timestamp(at: int | None) -> Timestamp | None:
    return None if at is None else Timestamp(seconds=at // 1_000_000, nanos=at % 1_000_000 * 1000)


def checked_id(execution_id: str) -> str:
    """Raises BadInput."""
    if not ids.is_execution_id(execution_id):
        raise BadInput(f'execution id "{execution_id}": expected exec_ and 32 hex digits')
    return execution_id


def page_size(asked: int, *, default: int) -> int:
    """Raises BadInput."""
    if not 0 <= asked <= 1000:
        raise BadInput(f"page size {asked}: expected 1 to 1000")
    return asked or default


# --- events ----------------------------------------------------------------------------------------------------------


def event_from_pb(pb: events_pb2.Event, *, seq: int = 0) -> Event:
    """`seq`: where its writer expects it. Raises InvalidEvent, NewerEvent."""
    field = pb.WhichOneof("body")
    message = getattr(pb, field) if field else pb
    if skew.is_newer(pb) or skew.is_newer(message):
        raise NewerEvent(f'event "{pb.event_id}" is of a later release than this store; upgrade the store')
    if field is None:
        raise InvalidEvent(f'event "{pb.event_id}" has no body')
    try:
        event_id = bytes.fromhex(pb.event_id)
    except ValueError:
        event_id = b""
    if len(event_id) != 16:
        raise InvalidEvent(f'event id "{pb.event_id}": expected 32 hex digits')
    body = payload.body_of(message)
    kept, large = blobs.split(body) if pb.ByteSize() > blobs.INLINE_BYTES else (body, ())
    type_ = payload.TYPE_OF_FIELD[field]
    return made(Event, (event_id, type_, micros(pb.at), body, payload.dump(kept), seq, large))


def event_to_pb(event: Event) -> events_pb2.Event:
    field = payload.FIELD_OF_TYPE.get(event.type)  # None: of a later release; readers see an event without a body
    body: dict[str, Any] = {field: payload.event_fields(event.type, event.body)} if field else {}
    return events_pb2.Event(event_id=event.event_id.hex(), seq=event.seq, at=timestamp(event.at), **body)


def batches(events: Sequence[Event], *, limit_bytes: int = PAGE_BYTES) -> Iterator[list[events_pb2.Event]]:
    """Events in messages of a bearable size, in order."""
    batch: list[events_pb2.Event] = []
    size = 0
    for event in events:
        if batch and size + event.size > limit_bytes:
            yield batch
            batch, size = [], 0
        batch.append(event_to_pb(event))
        size += event.size
    if batch:
        yield batch


def appends_from_pb(request: store_pb2.AppendRequest) -> list[Append | InvalidEvent]:
    """One per append of the request; what cannot be read is refused alone."""
    return [_append_from_pb(pb) for pb in request.appends]


def _append_from_pb(pb: store_pb2.ExecutionAppend) -> Append | InvalidEvent:
    try:
        first = pb.expected_seq + 1
        events = tuple([event_from_pb(event, seq=seq) for seq, event in enumerate(pb.events, first)])
        return Append(pb.execution_id, pb.fence, pb.expected_seq, events)
    except InvalidEvent as error:
        return error


def append_result_to_pb(execution_id: str, outcome: Appended | DipeoError) -> store_pb2.AppendResult:
    """Raises what is no refusal of this append: a database that fails ends the stream, and the writer tries again."""
    if isinstance(outcome, Appended):
        return store_pb2.AppendResult(execution_id=execution_id, head_seq=outcome.head_seq, duplicate=outcome.duplicate)
    if not isinstance(outcome, Refused | InvalidEvent) and outcome.code != "NOT_FOUND":
        raise outcome
    return store_pb2.AppendResult(
        execution_id=execution_id,
        head_seq=getattr(outcome, "head_seq", 0),
        reason=outcome.reason or outcome.code,
        message=str(outcome),
    )


# --- executions ------------------------------------------------------------------------------------------------------


def new_execution_from_pb(pb: store_pb2.CreateExecutionRequest, *, at: int) -> NewExecution:
    """Raises BadInput."""
    checked_id(pb.execution_id)
    if (size := len(pb.variables_json) + len(pb.options_json)) > MAX_GIVEN_BYTES:
        raise BadInput(f"variables and options have {size} bytes; at most {MAX_GIVEN_BYTES} are allowed")
    source_hash = hashlib.sha256(pb.source).hexdigest()
    body = payload.body_of(
        events_pb2.ExecutionCreated(
            diagram_id=pb.diagram_id,
            diagram_name=pb.diagram_name,
            source_hash=source_hash,
            variables_json=pb.variables_json,
            options_json=pb.options_json,
            origin=pb.origin,
            principal=pb.principal,
        )
    )
    # the execution's own id serves as the id of its first event: a repeated create writes the same one
    event_id = bytes.fromhex(pb.execution_id.removeprefix("exec_"))
    return NewExecution(
        pb.execution_id,
        pb.diagram_id,
        pb.diagram_name,
        pb.source,
        source_hash,
        pb.origin,
        pb.principal,
        pb.trace_parent,
        pb.idempotency_key,
        pb.idempotency_hash,
        pb.session_id,
        Event(event_id, "execution.created", at, body, payload.dump(body), seq=1),
        round(pb.timeout_s * 1_000_000),
        Fork(checked_id(pb.fork.execution_id), pb.fork.before_seq) if pb.HasField("fork") else None,
    )


def execution_to_pb(execution: Execution) -> store_pb2.Execution:
    return store_pb2.Execution(
        execution_id=execution.execution_id,
        status=f"EXECUTION_STATUS_{execution.status.upper()}",
        diagram_id=execution.diagram_id,
        diagram_name=execution.diagram_name,
        source_hash=execution.source_hash,
        variables_json=_bytes(execution.variables),
        options_json=_bytes(execution.options),
        origin=execution.origin,
        principal=execution.principal,
        trace_parent=execution.trace_parent,
        error=None if execution.error is None else error_to_pb(payload.load(execution.error)),
        result_json=_bytes(execution.result),
        result_is_error=execution.result_is_error,
        head_seq=execution.head_seq,
        attempts=execution.attempts,
        usage=_usage_to_pb(execution.usage),
        runs_done=execution.runs_done,
        runs_failed=execution.runs_failed,
        created_at=timestamp(execution.created_at),
        started_at=timestamp(execution.started_at),
        ended_at=timestamp(execution.ended_at),
        waiting=execution.waiting,
        warnings=execution.warnings,
        retried_from=execution.retried_from,
        pinned=execution.pinned,
        result_bytes=execution.result_bytes or len(execution.result or ""),
    )


def summary_to_pb(execution: Execution) -> store_pb2.Execution:
    """Without what may be large."""
    return execution_to_pb(replace(execution, variables=None, options=None, result=None))


def error_to_pb(body: dict[str, Any]) -> events_pb2.Error:
    return events_pb2.Error(**{name: body.get(name, "") for name in ("type", "message", "code", "node_id", "details")})


def _usage_to_pb(usage: Usage) -> events_pb2.TokenUsage:
    return events_pb2.TokenUsage(**usage._asdict())


def _bytes(text: str | None) -> bytes:
    return b"" if text is None else text.encode()


def node_run_to_pb(run: NodeRun) -> store_pb2.NodeRun:
    outcome = run.outcome
    error = None
    if run.ended_by == "node.failed":
        error = error_to_pb(outcome.get("error", {}))
    elif run.ended_by == "node.retrying":
        error = events_pb2.Error(type="Retried", message=outcome.get("reason", ""), code="retried")
    output = payload.json_bytes(outcome["output"]) if "output" in outcome else b""
    kept = next((blob for blob in blobs.refs(outcome) if blob.key == "output"), None)
    return store_pb2.NodeRun(
        node_id=run.node_id,
        label=run.label,
        type=run.type,
        iteration=run.iteration,
        attempt=run.attempt,
        status=f"NODE_RUN_STATUS_{run.status.upper()}",
        waiting=run.waiting,
        started_at=timestamp(run.started_at),
        ended_at=timestamp(run.ended_at),
        usage=_usage_to_pb(run.usage),
        model=run.model,
        person_id=run.person_id,
        output_json=output,
        meta_json=payload.json_bytes(outcome["meta"]) if "meta" in outcome else b"",
        error=error,
        handled=run.ended_by == "node.failed" and bool(outcome.get("port")),
        start_seq=run.start_seq,
        output_bytes=kept.size if kept else len(output),
        output_blob=kept.hash if kept else "",
    )


def interaction_to_pb(interaction: Interaction) -> store_pb2.Interaction:
    times = ("opened_at", "expires_at", "closed_at")
    fields = interaction._asdict()
    options = json.loads(interaction.options)
    return store_pb2.Interaction(**fields | {name: timestamp(fields[name]) for name in times} | {"options": options})


def message_to_pb(message: Message) -> store_pb2.Message:
    fields = message._asdict() | {"created_at": timestamp(message.created_at)}
    del fields["seq"]
    return store_pb2.Message(**fields)


# --- sessions --------------------------------------------------------------------------------------------------------


def work_to_pb(work: Work) -> store_pb2.Work:
    return store_pb2.Work(
        execution_id=work.execution_id, fence=work.fence, head_seq=work.head_seq, recovery=work.recovery
    )


def signal_to_pb(signal: Signal) -> store_pb2.Signal:
    body: dict[str, Any] = {signal.kind: dict(signal.payload)}
    return store_pb2.Signal(execution_id=signal.execution_id, signal_id=signal.signal_id, **body)


def signal_from_pb(pb: store_pb2.PostSignalRequest) -> Signal:
    """Raises BadInput."""
    checked_id(pb.execution_id)
    if not pb.signal_id:
        raise BadInput("signal_id is required: 32 hex digits made by the caller")
    kinds = [kind for kind in ("abort", "pause", "resume") if pb.HasField(kind)]
    if len(kinds) != 1:
        raise BadInput("a signal is one of abort, pause, resume; a newer kind is not known to this store")
    return Signal(pb.execution_id, pb.signal_id, kinds[0], payload.body_of(getattr(pb, kinds[0])))


def checked_response(response: str) -> str:
    """Raises BadInput."""
    if len(response.encode()) > MAX_RESPONSE_BYTES:
        raise BadInput(f"a response has at most {MAX_RESPONSE_BYTES} bytes, this one has {len(response.encode())}")
    return response


# --- lists -----------------------------------------------------------------------------------------------------------


def statuses_from_pb(numbers: Iterable[int]) -> tuple[str, ...]:
    """Raises BadInput."""
    if unknown := set(numbers) - set(store_pb2.ExecutionStatus.values()):
        raise BadInput(f"statuses: {min(unknown)} is not one this store knows")
    return tuple(store_pb2.ExecutionStatus.Name(each).removeprefix("EXECUTION_STATUS_").lower() for each in numbers)


def filter_from_pb(pb: store_pb2.ListExecutionsRequest) -> ExecutionFilter:
    """Raises BadInput."""
    return ExecutionFilter(
        statuses=statuses_from_pb(pb.statuses),
        diagram_id=pb.diagram_id,
        started_after=micros(pb.started_after) if pb.HasField("started_after") else None,
        started_before=micros(pb.started_before) if pb.HasField("started_before") else None,
        id_prefix=pb.id_prefix,
        principal=pb.principal,
    )


def messages_wanted(pb: store_pb2.ListMessagesRequest) -> MessageFilter:
    return MessageFilter(pb.person_id, pb.search, micros(pb.since) if pb.HasField("since") else None)


def token(*key: int) -> str:
    """A page token: where the page before ended."""
    return ".".join(map(str, key))


def token_from(text: str, length: int) -> tuple[int, ...] | None:
    """None for the first page. Raises BadInput."""
    if not text:
        return None
    parts = text.split(".")
    if len(parts) != length or not all(part.isascii() and part.isdigit() for part in parts):
        raise BadInput(f'page token "{text}" is not one of ours; take it from the last response')
    return tuple(map(int, parts))


def pair_from_token(text: str) -> tuple[int, int] | None:
    pair = token_from(text, 2)
    return (pair[0], pair[1]) if pair else None


def within(items: Iterable[tuple[Item, int]], *, limit_bytes: int = 4 * PAGE_BYTES) -> list[Item]:
    """The first items whose sizes fit one message, and at least one."""
    taken: list[Item] = []
    total = 0
    for item, size in items:
        total += size
        if taken and total > limit_bytes:
            break
        taken.append(item)
    return taken
