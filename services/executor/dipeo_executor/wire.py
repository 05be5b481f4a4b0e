"""Engine events <-> journal events (dipeo.store.v1.Event). Only the driver and the service read this."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from dipeo_executor import values
from dipeo_executor.engine import events as ev
from dipeo_executor.engine.batch import Item
from dipeo_executor.program import Node, Program
from dipeo_kit.skew import OlderRelease
from dipeo_protos.store.v1 import events_pb2 as pb


def timestamp(seconds: float) -> Timestamp:
    """Seconds since the epoch, to the microsecond."""
    micros = round(seconds * 1_000_000)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000)


def seconds(stamp: Timestamp) -> float:
    return stamp.seconds + stamp.nanos / 1e9


def node_at(program: Program, path: str) -> tuple[Program, Node]:
    """The node a path leads to, and the program it stands in. Raises KeyError for a path that leads nowhere.

    The items of a batch "K" are "K/0", "K/1" …, each with the same sub-diagram inside.
    """
    steps = path.split("/")
    node = _node(program, steps[0])
    for step in steps[1:]:
        inside = node.child
        if inside is None:
            raise KeyError(path)
        if node.props.batch:
            label = f"{node.label}[{step}]"
            node = replace(node, id=step, label=label, props=Item({}, None, isolate_conversation=False))
            continue
        program, node = inside, _node(inside, step)
    return program, node


def _node(program: Program, name: str) -> Node:
    for node in program.nodes:
        if node.id == name:
            return node
    raise KeyError(name)


class Names:
    """What paths and edge numbers of a program are called on the wire; looked up once each."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._nodes: dict[str, tuple[Program, Node]] = {}
        self._arrows: dict[str, dict[str, int]] = {}

    def at(self, path: str) -> tuple[Program, Node]:
        if path not in self._nodes:
            self._nodes[path] = node_at(self._program, path)
        return self._nodes[path]

    def consumed_to_pb(self, path: str, tokens: tuple[ev.Consumed, ...]) -> list[pb.Consumed]:
        edges = self.at(path)[0].edges
        frame = path[: path.rfind("/") + 1]
        return [
            pb.Consumed(arrow_id=(edge := edges[token.edge]).arrow_id, token=token.token, source=frame + edge.source)
            for token in tokens
        ]

    def consumed_from_pb(self, path: str, tokens: "Any") -> tuple[ev.Consumed, ...]:
        frame = path.rpartition("/")[0]
        if frame not in self._arrows:
            self._arrows[frame] = {edge.arrow_id: edge.index for edge in self.at(path)[0].edges}
        arrows = self._arrows[frame]
        return tuple(ev.Consumed(arrows[token.arrow_id], token.token) for token in tokens)


# --- to the journal --------------------------------------------------------------------------------------------------


def to_pb(event: ev.Event, names: Names, *, event_id: str, at: float) -> pb.Event:
    """One journal event; `at` in seconds since the epoch."""
    field, body = _WRITERS[type(event)](event, names)
    return pb.Event(event_id=event_id, at=timestamp(at), **{field: body})


def error_to_pb(error: ev.Failure) -> pb.Error:
    return pb.Error(type=error.type, message=error.message, code=error.code, node_id=error.node, details=error.details)


def _node_started(event: ev.NodeStarted, names: Names) -> tuple[str, Any]:
    _, node = names.at(event.node)
    return "node_started", pb.NodeStarted(
        node_id=event.node, label=node.label, type=node.type, iteration=event.iteration, attempt=event.attempt,
        consumed=names.consumed_to_pb(event.node, event.consumed), history=event.history,
        person_id=getattr(node.props, "person", None) or "",
    )  # fmt: skip


def _node_completed(event: ev.NodeCompleted, _names: Names) -> tuple[str, Any]:
    body = pb.NodeCompleted(
        node_id=event.node, iteration=event.iteration, attempt=event.attempt, port=event.port,
        output_json=event.encoded or values.encode(event.value), model=event.model,
    )  # fmt: skip
    if event.conversation is not None:
        body.alternate_json = values.encode(event.conversation)
    if event.meta:
        body.meta_json = values.encode(dict(event.meta))
    if event.variables:
        body.variables_json = values.encode(dict(event.variables))
    if (usage := usage_to_pb(event.usage)) is not None:
        body.usage.CopyFrom(usage)
    return "node_completed", body


def usage_to_pb(usage: ev.Usage | None) -> pb.TokenUsage | None:
    return pb.TokenUsage(**asdict(usage)) if usage is not None else None


def _node_failed(event: ev.NodeFailed, _names: Names) -> tuple[str, Any]:
    return "node_failed", pb.NodeFailed(
        node_id=event.node, iteration=event.iteration, attempt=event.attempt, error=error_to_pb(event.error),
        port=event.port, output_json=values.encode(event.value) if event.port else b"", usage=usage_to_pb(event.usage),
    )  # fmt: skip


def _message(event: ev.MessageAppended, _names: Names) -> tuple[str, Any]:
    spoken = event.from_id != "system"
    return "message_appended", pb.MessageAppended(
        message_id=event.id, node_id=event.node, iteration=event.iteration,
        person_id=event.from_id if spoken else event.to_id, from_id=event.from_id, to_id=event.to_id,
        role="assistant" if spoken else "user", content=event.content, token_count=event.token_count,
    )  # fmt: skip


def _opened(event: ev.InteractionOpened, names: Names) -> tuple[str, Any]:
    body = pb.InteractionOpened(
        interaction_id=event.id, node_id=event.node, label=names.at(event.node)[1].label, iteration=event.iteration,
        prompt=event.prompt, context=event.context, default_value=event.default, options=event.options,
        sensitive=event.sensitive,
    )  # fmt: skip
    if event.expires_at is not None:
        body.expires_at.CopyFrom(timestamp(event.expires_at))
    return "interaction_opened", body


def _ended(event: ev.RunEnded, _names: Names) -> tuple[str, Any]:
    result = values.encode(event.result) if event.has_result else b""
    match event.status:
        case "completed":
            return "execution_completed", pb.ExecutionCompleted(
                result_json=result, result_is_error=event.result_is_error, warnings=event.warnings,
                skipped_node_ids=event.skipped,
            )  # fmt: skip
        case "maxiter_reached":
            return "execution_maxiter_reached", pb.ExecutionMaxiterReached(
                result_json=result, skipped_node_ids=event.skipped
            )
        case "aborted":
            return "execution_aborted", pb.ExecutionAborted(reason=event.reason, principal=event.principal)
    error = event.error or ev.Failure("Failed", "the run failed")
    return "execution_failed", pb.ExecutionFailed(error=error_to_pb(error), skipped_node_ids=event.skipped)


def _run_of(event: Any) -> dict[str, Any]:
    return {"node_id": event.node, "iteration": event.iteration, "attempt": event.attempt}


_WRITERS: Mapping[type, Callable[[Any, Names], tuple[str, Any]]] = {
    ev.RunStarted: lambda e, _: ("execution_started", pb.ExecutionStarted(executor=e.executor, seed=e.seed)),
    ev.RunRecovered: lambda e, _: (
        "execution_recovered",
        pb.ExecutionRecovered(executor=e.executor, attempt=e.attempt, previous_fence=e.previous_fence),
    ),
    ev.RunPaused: lambda e, _: ("execution_paused", pb.ExecutionPaused(reason=e.reason, principal=e.principal)),
    ev.RunResumed: lambda e, _: ("execution_resumed", pb.ExecutionResumed(principal=e.principal)),
    ev.NodeStarted: _node_started,
    ev.NodeCompleted: _node_completed,
    ev.NodeFailed: _node_failed,
    ev.NodeRetrying: lambda e, _: (
        "node_retrying",
        pb.NodeRetrying(**_run_of(e), reason=e.reason, usage=usage_to_pb(e.usage), wait_ms=e.wait_ms),
    ),
    ev.NodeOutput: lambda e, _: ("node_output", pb.NodeOutput(**_run_of(e), text=e.text, size=e.size)),
    ev.NodeAborted: lambda e, _: ("node_aborted", pb.NodeAborted(**_run_of(e))),
    ev.NodePassed: lambda e, names: (
        "node_passed",
        pb.NodePassed(node_id=e.node, consumed=names.consumed_to_pb(e.node, e.consumed)),
    ),
    ev.NodeSkipped: lambda e, names: (
        "node_skipped",
        pb.NodeSkipped(node_id=e.node, label=names.at(e.node)[1].label, type=names.at(e.node)[1].type),
    ),
    ev.MessageAppended: _message,
    ev.InteractionOpened: _opened,
    ev.InteractionClosed: lambda e, _: (
        "interaction_closed",
        pb.InteractionClosed(
            interaction_id=e.id, node_id=e.node, outcome=e.outcome, response=e.response, responder=e.responder
        ),
    ),
    ev.SignalConsumed: lambda e, _: ("signal_consumed", pb.SignalConsumed(signal_id=e.signal_id)),
    ev.Logged: lambda e, _: (
        "execution_log",
        pb.ExecutionLog(
            level=e.level,
            message=e.message,
            node_id=e.node,
            fields_json=values.encode(dict(e.fields)) if e.fields else b"",
        ),
    ),
    ev.RunEnded: _ended,
}


# --- from the journal ------------------------------------------------------------------------------------------------


def from_pb(event: pb.Event, names: Names) -> ev.Event | None:
    """The engine event of a journal event; None for what concerns the store alone (execution.created).

    Raises OlderRelease: left out, what it tells would be done again, or never.
    """
    kind = event.WhichOneof("body")
    if kind is None:
        raise OlderRelease("executor", "what wrote this journal", f"event {event.seq} of it")
    if kind == "execution_created":
        return None
    return _READERS[kind](getattr(event, kind), names)


def error_from_pb(error: pb.Error) -> ev.Failure:
    return ev.Failure(error.type, error.message, error.code, error.node_id, error.details)


def usage_from_pb(body: Any) -> ev.Usage | None:
    if not body.HasField("usage"):
        return None
    usage = body.usage
    return ev.Usage(usage.input, usage.output, usage.cached, usage.cost_usd, usage.unpriced)


def _completed_from_pb(body: pb.NodeCompleted, _names: Names) -> ev.Event:
    return ev.NodeCompleted(
        body.node_id, body.iteration, body.attempt, values.decode(body.output_json), body.port,
        conversation=_optional(body.alternate_json), variables=_optional(body.variables_json) or {},
        meta=_optional(body.meta_json) or {}, model=body.model,
        usage=usage_from_pb(body),
    )  # fmt: skip


def _optional(data: bytes) -> Any:
    return values.decode(data) if data else None


_READERS: Mapping[str, Callable[[Any, Names], ev.Event]] = {
    "execution_started": lambda b, _: ev.RunStarted(b.executor, b.seed),
    "execution_recovered": lambda b, _: ev.RunRecovered(b.executor, b.attempt, b.previous_fence),
    "execution_paused": lambda b, _: ev.RunPaused(b.reason, b.principal),
    "execution_resumed": lambda b, _: ev.RunResumed(b.principal),
    "execution_completed": lambda b, _: ev.RunEnded(
        "completed", _optional(b.result_json), bool(b.result_json), b.result_is_error,
        warnings=tuple(b.warnings), skipped=tuple(b.skipped_node_ids),
    ),
    "execution_failed": lambda b, _: ev.RunEnded(
        "failed", error=error_from_pb(b.error), skipped=tuple(b.skipped_node_ids)
    ),
    "execution_aborted": lambda b, _: ev.RunEnded("aborted", reason=b.reason, principal=b.principal),
    "execution_maxiter_reached": lambda b, _: ev.RunEnded(
        "maxiter_reached", _optional(b.result_json), bool(b.result_json), skipped=tuple(b.skipped_node_ids)
    ),
    "execution_log": lambda b, _: ev.Logged(b.level, b.message, b.node_id, _optional(b.fields_json) or {}),
    "node_started": lambda b, names: ev.NodeStarted(
        b.node_id, b.iteration, b.attempt, names.consumed_from_pb(b.node_id, b.consumed), b.history
    ),
    "node_completed": _completed_from_pb,
    "node_failed": lambda b, _: ev.NodeFailed(
        b.node_id, b.iteration, b.attempt, error_from_pb(b.error), b.port, usage_from_pb(b)
    ),
    "node_retrying": lambda b, _: ev.NodeRetrying(
        b.node_id, b.iteration, b.attempt, b.reason, usage_from_pb(b), b.wait_ms
    ),
    "node_output": lambda b, _: ev.NodeOutput(b.node_id, b.iteration, b.attempt, b.text, b.size),
    "node_aborted": lambda b, _: ev.NodeAborted(b.node_id, b.iteration, b.attempt),
    "node_passed": lambda b, names: ev.NodePassed(b.node_id, names.consumed_from_pb(b.node_id, b.consumed)),
    "node_skipped": lambda b, _: ev.NodeSkipped(b.node_id),
    "message_appended": lambda b, _: ev.MessageAppended(
        b.message_id, b.node_id, b.iteration, b.from_id, b.to_id, b.content, b.token_count
    ),
    "interaction_opened": lambda b, _: ev.InteractionOpened(
        b.interaction_id, b.node_id, b.iteration, b.prompt, b.context, b.default_value,
        seconds(b.expires_at) if b.HasField("expires_at") else None, tuple(b.options), b.sensitive,
    ),
    "interaction_closed": lambda b, _: ev.InteractionClosed(
        b.interaction_id, b.node_id, b.outcome, b.response, b.responder
    ),
    "signal_consumed": lambda b, _: ev.SignalConsumed(b.signal_id),
}  # fmt: skip
