"""Journal events as v1 updates (spec/gateway.md §9.2): one update per event, so that `seq` has no gaps for clients.

What v1 has no type for is an EXECUTION_LOG whose data.event names it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import strawberry

from dipeo_gateway import wire
from dipeo_gateway.executions import usage
from dipeo_gateway.types import EventType, ExecutionUpdateType, Status
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb

MAX_OUTPUT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Node:
    label: str
    type: str
    started_ms: dict[tuple[int, int], int] = field(default_factory=dict)  # (iteration, attempt) → Unix time


@dataclass(slots=True)
class Mapper:
    """Turns the events of one execution, in order, into updates.

    Only node.started says a node's label and type, so it remembers them. To begin in the middle of a journal give it
    the node runs known so far.
    """

    execution_id: str
    nodes: dict[str, _Node] = field(default_factory=dict)

    def learn(self, runs: Iterable[pb.NodeRun]) -> None:
        for run in runs:
            node = self.nodes.setdefault(run.node_id, _Node(run.label, run.type))
            if run.HasField("started_at"):
                node.started_ms[run.iteration, run.attempt] = run.started_at.ToMilliseconds()

    def knows(self, event: ev.Event) -> bool:
        """False when the event is of a node whose start this mapper has not seen."""
        body = getattr(event, event.WhichOneof("body") or "execution_created")
        node_id = getattr(body, "node_id", "")
        return not node_id or node_id in self.nodes or hasattr(body, "label")

    def update(self, event: ev.Event) -> ExecutionUpdateType:
        kind = event.WhichOneof("body") or "unknown"
        made = _BY_KIND[kind](self, event) if kind in _BY_KIND else self._log(event, kind)
        made.timestamp = wire.time_of(event, "at")
        return made

    # --- what happened to the execution ----------------------------------------------------------------------------

    def _started(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.execution_started
        return self._make(event, EventType.EXECUTION_STARTED, Status.RUNNING, {"executor": body.executor})

    def _completed(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.execution_completed
        more = {"result_is_error": body.result_is_error, "warnings": list(body.warnings)}
        return self._final(event, EventType.EXECUTION_COMPLETED, Status.COMPLETED, result=body.result_json, more=more)

    def _maxiter_reached(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.execution_maxiter_reached
        return self._final(event, EventType.EXECUTION_COMPLETED, Status.MAXITER_REACHED, result=body.result_json)

    def _failed(self, event: ev.Event) -> ExecutionUpdateType:
        error = event.execution_failed.error
        more = {"error_code": error.code, "error_type": error.type, "failed_node_id": error.node_id or None}
        return self._final(event, EventType.EXECUTION_ERROR, Status.FAILED, error=_text(error), more=more)

    def _aborted(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.execution_aborted
        more = {"reason": body.reason}
        return self._final(event, EventType.EXECUTION_ERROR, Status.ABORTED, error=body.reason, more=more)

    def _final(
        self,
        event: ev.Event,
        type_: EventType,
        status: Status,
        *,
        result: bytes = b"",
        error: str = "",
        more: dict[str, Any] | None = None,
    ) -> ExecutionUpdateType:
        shown = _capped(result)
        data = {"is_final": True, "status": status.value, "result": shown, "error": error or None, **(more or {})}
        made = self._make(event, type_, status, data)
        made.result, made.error = shown, error or None
        return made

    # --- what happened to a node -----------------------------------------------------------------------------------

    def _node_started(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.node_started
        node = self.nodes.setdefault(body.node_id, _Node(body.label, body.type))
        node.started_ms[body.iteration, body.attempt] = event.at.ToMilliseconds()
        return self._node(event, EventType.NODE_STARTED, Status.RUNNING, body)

    def _node_completed(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.node_completed
        data: dict[str, Any] = {"output": _capped(body.output_json), "port": body.port}
        if body.HasField("usage"):
            data["token_usage"] = usage(body.usage)
        if body.model:
            data["model"] = body.model
        made = self._node(event, EventType.NODE_COMPLETED, Status.COMPLETED, body, data)
        made.result = data["output"]
        if body.HasField("usage"):
            made.tokens = float(data["token_usage"]["total"])
        return made

    def _node_failed(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.node_failed
        text = _text(body.error)
        data: dict[str, Any] = {"error": text, "error_type": body.error.type, "handled": bool(body.port)}
        if body.output_json:
            data["output"] = _capped(body.output_json)
        made = self._node(event, EventType.NODE_ERROR, Status.FAILED, body, data)
        made.error = text
        return made

    def _node_aborted(self, event: ev.Event) -> ExecutionUpdateType:
        return self._node(event, EventType.NODE_ERROR, Status.ABORTED, event.node_aborted)

    def _node_passed(self, event: ev.Event) -> ExecutionUpdateType:
        return self._node(event, EventType.NODE_COMPLETED, Status.MAXITER_REACHED, event.node_passed)

    def _node_skipped(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.node_skipped
        self.nodes.setdefault(body.node_id, _Node(body.label, body.type))
        return self._node(event, EventType.NODE_COMPLETED, Status.SKIPPED, body)

    def _node_output(self, event: ev.Event) -> ExecutionUpdateType:
        """The end of what a node has made so far; `size` characters in all."""
        body = event.node_output
        data = {"output": body.text, "size": body.size, "is_partial": True}
        return self._node(event, EventType.NODE_OUTPUT, Status.RUNNING, body, data)

    def _node_retrying(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.node_retrying
        if body.node_id in self.nodes:
            self.nodes[body.node_id].started_ms[body.iteration, body.attempt] = event.at.ToMilliseconds()
        return self._log(event, "node_retrying", **self._run_of(body), reason=body.reason)

    def _node(
        self, event: ev.Event, type_: EventType, status: Status, body: Any, more: dict[str, Any] | None = None
    ) -> ExecutionUpdateType:
        data = {**self._run_of(body), "status": status.name, **(more or {})}
        known = self.nodes.get(body.node_id)
        run = data.get("iteration", 0), data.get("attempt", 0)
        started = known.started_ms.get(run) if known else None
        if started is not None and type_ is not EventType.NODE_STARTED:
            data["duration_ms"] = max(event.at.ToMilliseconds() - started, 0)
        return self._make(event, type_, status, data)

    def _run_of(self, body: Any) -> dict[str, Any]:
        """Which run of which node; passed and skipped nodes have none."""
        known = self.nodes.get(body.node_id)
        shown: dict[str, Any] = {
            "node_id": body.node_id,
            "node_name": known.label if known else body.node_id,
            "node_type": known.type if known else None,
        }
        if hasattr(body, "iteration"):
            shown |= {"iteration": body.iteration, "attempt": body.attempt}
        return shown

    # --- questions, and the rest -----------------------------------------------------------------------------------

    def _interaction_opened(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.interaction_opened
        data = {
            "prompt_id": body.interaction_id,
            "node_id": body.node_id,
            "node_name": body.label,
            "prompt": body.prompt,
            "context": body.context,
            "default": body.default_value,
            "options": list(body.options),
            "sensitive": body.sensitive,
            "expires_at": wire.time_of(body, "expires_at"),
            "iteration": body.iteration,
        }
        return self._make(event, EventType.INTERACTIVE_PROMPT, None, data)

    def _interaction_closed(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.interaction_closed
        data = {"prompt_id": body.interaction_id, "node_id": body.node_id, "outcome": body.outcome}
        if body.outcome == "answered":
            data["response"] = body.response
        return self._make(event, EventType.INTERACTIVE_RESPONSE, None, data)

    def _created(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.execution_created
        made = self._log(
            event, "execution_created", diagram_id=body.diagram_id, diagram_name=body.diagram_name, origin=body.origin
        )
        made.status = Status.PENDING
        return made

    def _paused(self, event: ev.Event) -> ExecutionUpdateType:
        made = self._log(event, "execution_paused", reason=event.execution_paused.reason)
        made.status = Status.PAUSED
        return made

    def _resumed(self, event: ev.Event) -> ExecutionUpdateType:
        made = self._log(event, "execution_resumed")
        made.status = Status.RUNNING
        return made

    def _recovered(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.execution_recovered
        return self._log(event, "execution_recovered", executor=body.executor, attempt=body.attempt)

    def _logged(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.execution_log
        fields = wire.json_of(body.fields_json)
        where = {"node_id": body.node_id} if body.node_id else {}
        return self._log(event, "execution_log", level=body.level, message=body.message, fields=fields, **where)

    def _message(self, event: ev.Event) -> ExecutionUpdateType:
        body = event.message_appended
        who = {"role": body.role, "from": body.from_id, "to": body.to_id, "person_id": body.person_id}
        at = {"message_id": body.message_id, "node_id": body.node_id, "iteration": body.iteration}
        return self._log(event, "message_appended", **at, **who, content=_short(body.content))

    def _log(self, event: ev.Event, kind: str, **data: Any) -> ExecutionUpdateType:
        """`kind` as in the oneof of the proto; users see it dotted, as the journal names it: node.retrying."""
        return self._make(event, EventType.EXECUTION_LOG, None, {"event": kind.replace("_", ".", 1), **data})

    def _make(
        self, event: ev.Event, type_: EventType, status: Status | None, data: dict[str, Any]
    ) -> ExecutionUpdateType:
        """The update itself; its node fields repeat those of `data`."""
        node_id = data.get("node_id")
        known = self.nodes.get(node_id) if node_id else None
        return ExecutionUpdateType(
            type=type_,
            execution_id=strawberry.ID(self.execution_id),
            seq=event.seq,
            status=status,
            node_id=strawberry.ID(node_id) if node_id else None,
            node_name=data.get("node_name") or (known.label if known else None),
            node_type=known.type if known else None,
            data=data,
        )


_BY_KIND = {
    "execution_created": Mapper._created,
    "execution_started": Mapper._started,
    "execution_recovered": Mapper._recovered,
    "execution_paused": Mapper._paused,
    "execution_resumed": Mapper._resumed,
    "execution_completed": Mapper._completed,
    "execution_failed": Mapper._failed,
    "execution_aborted": Mapper._aborted,
    "execution_maxiter_reached": Mapper._maxiter_reached,
    "execution_log": Mapper._logged,
    "node_started": Mapper._node_started,
    "node_completed": Mapper._node_completed,
    "node_failed": Mapper._node_failed,
    "node_retrying": Mapper._node_retrying,
    "node_aborted": Mapper._node_aborted,
    "node_passed": Mapper._node_passed,
    "node_skipped": Mapper._node_skipped,
    "node_output": Mapper._node_output,
    "message_appended": Mapper._message,
    "interaction_opened": Mapper._interaction_opened,
    "interaction_closed": Mapper._interaction_closed,
}


def as_json(update: ExecutionUpdateType) -> dict[str, Any]:
    """The same object a subscription sends: enums as their names."""
    return {
        "type": update.type.name,
        "execution_id": update.execution_id,
        "seq": update.seq,
        "node_id": update.node_id,
        "node_name": update.node_name,
        "status": update.status.name if update.status else None,
        "result": update.result,
        "error": update.error,
        "timestamp": update.timestamp,
        "total_tokens": update.total_tokens,
        "node_type": update.node_type,
        "tokens": update.tokens,
        "data": update.data,
    }


def _text(error: ev.Error) -> str:
    return error.message or error.type or error.code or "failed"


def _capped(data: bytes) -> Any:
    size = len(data)
    return wire.json_of(data) if size <= MAX_OUTPUT_BYTES else {"truncated": True, "size": size}


def _short(text: str) -> Any:
    size = len(text.encode())
    return text if size <= MAX_OUTPUT_BYTES else {"truncated": True, "size": size}
