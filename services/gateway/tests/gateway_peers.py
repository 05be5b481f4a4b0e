"""The store and the executor as the gateway sees them: the contract at the wire, over a real socket, kept in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grpc import aio

from dipeo_kit import errors, ids, rpc
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2, executor_pb2_grpc
from dipeo_protos.store.v1 import events_pb2, store_pb2, store_pb2_grpc

AFTER = {
    "execution_paused": store_pb2.EXECUTION_STATUS_PAUSED,
    "execution_resumed": store_pb2.EXECUTION_STATUS_RUNNING,
    "execution_completed": store_pb2.EXECUTION_STATUS_COMPLETED,
    "execution_failed": store_pb2.EXECUTION_STATUS_FAILED,
    "execution_aborted": store_pb2.EXECUTION_STATUS_ABORTED,
    "execution_maxiter_reached": store_pb2.EXECUTION_STATUS_MAXITER_REACHED,
}
TERMINAL = AFTER.keys() - {"execution_paused", "execution_resumed"}


@dataclass
class Kept:
    execution: store_pb2.Execution
    events: list[events_pb2.Event] = field(default_factory=list)
    node_runs: list[store_pb2.NodeRun] = field(default_factory=list)
    interactions: list[store_pb2.Interaction] = field(default_factory=list)
    messages: list[store_pb2.Message] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1].WhichOneof("body") in TERMINAL


class Store(store_pb2_grpc.StoreServiceServicer):
    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.changed = asyncio.Condition()
        self.watchers = 0
        self.requests: list[Any] = []
        self.signals: list[store_pb2.PostSignalRequest] = []
        self.resync_after: int | None = None
        self.hangs = False
        self.on_signal: Callable[[], Awaitable[None]] | None = None  # what an executor does about it

    async def add(self, *bodies: Any, status: int = store_pb2.EXECUTION_STATUS_RUNNING, **fields: Any) -> str:
        """A new execution whose journal has these events, e.g. events_pb2.NodeStarted(...)."""
        execution_id = fields.pop("execution_id", ids.new_execution_id())
        made = Kept(store_pb2.Execution(execution_id=execution_id, status=status, **fields))
        made.execution.created_at.GetCurrentTime()
        self.kept[execution_id] = made
        await self.happen(execution_id, *bodies)
        return execution_id

    async def happen(self, execution_id: str, *bodies: Any) -> None:
        kept = self.kept[execution_id]
        async with self.changed:
            for body in bodies:
                event = event_of(body, seq=len(kept.events) + 1)
                kept.events.append(event)
                kept.execution.head_seq = event.seq
                kept.execution.status = AFTER.get(event.WhichOneof("body"), kept.execution.status)
            self.changed.notify_all()

    async def watched_by(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.watchers == count)

    def _find(self, request: Any) -> Kept:
        self.requests.append(request)
        if request.execution_id not in self.kept:
            raise errors.NotFound(f"no execution {request.execution_id}")
        return self.kept[request.execution_id]

    async def GetExecution(
        self, request: store_pb2.GetExecutionRequest, context: Any
    ) -> store_pb2.GetExecutionResponse:
        if self.hangs:
            await asyncio.Event().wait()
        kept = self._find(request)
        return store_pb2.GetExecutionResponse(
            execution=kept.execution,
            node_runs=kept.node_runs if request.include_node_runs else [],
            interactions=kept.interactions if request.include_interactions else [],
        )

    async def ListExecutions(
        self, request: store_pb2.ListExecutionsRequest, context: Any
    ) -> store_pb2.ListExecutionsResponse:
        self.requests.append(store_pb2.ListExecutionsRequest.FromString(request.SerializeToString()))
        found = [
            kept.execution
            for kept in reversed(self.kept.values())
            if (not request.statuses or kept.execution.status in request.statuses)
            and kept.execution.execution_id.startswith(request.id_prefix)
        ]
        start = int(request.page_token or 0)
        end = start + (request.page_size or 100)
        return store_pb2.ListExecutionsResponse(
            executions=found[start:end], next_page_token=str(end) if end < len(found) else ""
        )

    async def ReadJournal(self, request: store_pb2.ReadJournalRequest, context: Any) -> store_pb2.ReadJournalResponse:
        kept = self._find(request)
        return store_pb2.ReadJournalResponse(
            events=kept.events[request.after_seq : request.after_seq + request.limit],
            head_seq=len(kept.events),
            terminal=kept.ended,
        )

    async def Watch(self, request: store_pb2.WatchRequest, context: Any) -> AsyncIterator[store_pb2.WatchResponse]:
        kept = self._find(request)
        seen = request.after_seq
        await self._count_watchers(+1)
        try:
            while True:
                async with self.changed:
                    while len(kept.events) == seen and not kept.ended:
                        await self.changed.wait()
                fresh = kept.events[seen:]
                yield store_pb2.WatchResponse(events=fresh)
                seen += len(fresh)
                if kept.ended:
                    return
                if self.resync_after is not None and seen >= self.resync_after:
                    raise errors.Overloaded("the reader was too slow", reason="RESYNC_REQUIRED")
        finally:
            await self._count_watchers(-1)

    async def _count_watchers(self, change: int) -> None:
        async with self.changed:
            self.watchers += change
            self.changed.notify_all()

    async def WatchExecutions(
        self, request: store_pb2.WatchExecutionsRequest, context: Any
    ) -> AsyncIterator[store_pb2.WatchExecutionsResponse]:
        self.requests.append(request)
        while True:
            found = [kept.execution for kept in self.kept.values()]
            yield store_pb2.WatchExecutionsResponse(executions=found)
            async with self.changed:
                await self.changed.wait()

    async def PostSignal(self, request: store_pb2.PostSignalRequest, context: Any) -> store_pb2.PostSignalResponse:
        kept = self._find(request)
        if kept.ended:
            raise errors.Conflict("it has ended already")
        self.signals.append(request)
        response = store_pb2.PostSignalResponse()
        response.execution.CopyFrom(kept.execution)
        if self.on_signal:
            await self.on_signal()
        return response

    async def AnswerInteraction(
        self, request: store_pb2.AnswerInteractionRequest, context: Any
    ) -> store_pb2.AnswerInteractionResponse:
        for asked in self._find(request).interactions:
            if request.interaction_id in ("", asked.interaction_id) and request.node_id in ("", asked.node_id):
                if asked.status != "open":
                    raise errors.Conflict("somebody answered before")
                asked.status, asked.response = "answered", request.response
                return store_pb2.AnswerInteractionResponse(interaction=asked)
        raise errors.NotFound("nothing is asked there")

    async def ListMessages(
        self, request: store_pb2.ListMessagesRequest, context: Any
    ) -> store_pb2.ListMessagesResponse:
        start = int(request.page_token or 0)
        messages = self._find(request).messages
        more = str(start + 2) if start + 2 < len(messages) else ""  # two a page, so that pages matter
        return store_pb2.ListMessagesResponse(messages=messages[start : start + 2], next_page_token=more)


class Executor(executor_pb2_grpc.ExecutorServiceServicer):
    """Finds fault with diagrams that contain "invalid", breaks on those with "crash", wants a file for "remote"."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.submitted: list[executor_pb2.SubmitRequest] = []
        self.retried: list[executor_pb2.RetryRequest] = []
        self.by_key: dict[str, tuple[str, str]] = {}

    async def Compile(self, request: executor_pb2.CompileRequest, context: Any) -> executor_pb2.CompileResponse:
        found = diagnostics(request.source.text)
        return executor_pb2.CompileResponse(
            valid="invalid" not in request.source.text,
            diagnostics=found,
            node_count=3,
            edge_count=2,
            format=request.source.format or diagram_pb2.FORMAT_LIGHT,
            name="tea",
        )

    async def Retry(self, request: executor_pb2.RetryRequest, context: Any) -> executor_pb2.RetryResponse:
        if request.from_node == "nowhere":
            raise errors.BadInput('no node "nowhere" started in that run')
        self.retried.append(request)
        again = await self.store.add(events_pb2.ExecutionCreated(), retried_from=request.execution_id)
        return executor_pb2.RetryResponse(execution_id=again, kept=3, from_label="B")

    async def Submit(self, request: executor_pb2.SubmitRequest, context: Any) -> executor_pb2.SubmitResponse:
        self.submitted.append(request)
        if "crash" in request.source.text:
            raise RuntimeError("password=hunter2 in the driver")
        if "remote" in request.source.text and not request.uploads.files:
            return executor_pb2.SubmitResponse(wanted=executor_pb2.Wanted(names=["data/in.csv"]))
        if "invalid" in request.source.text:
            return executor_pb2.SubmitResponse(diagnostics=diagnostics(request.source.text))
        meaning = hashlib.sha256(request.source.SerializeToString() + request.variables_json).hexdigest()
        execution_id, known = self.by_key.get(request.idempotency_key, ("", meaning))
        if known != meaning:
            raise errors.AlreadyExists("the idempotency key belongs to another request")
        execution_id = execution_id or await self.store.add(
            events_pb2.ExecutionCreated(origin=request.origin),
            status=store_pb2.EXECUTION_STATUS_PENDING,
            origin=request.origin,
            execution_id=request.execution_id or ids.new_execution_id(),
        )
        if request.idempotency_key:
            self.by_key[request.idempotency_key] = (execution_id, meaning)
        return executor_pb2.SubmitResponse(execution_id=execution_id, diagnostics=diagnostics(request.source.text))


def diagnostics(text: str) -> list[diagram_pb2.Diagnostic]:
    error, warning = diagram_pb2.SEVERITY_ERROR, diagram_pb2.SEVERITY_WARNING
    no_start = diagram_pb2.Diagnostic(phase="VALIDATION", code="V4", severity=error, message="no start node")
    no_start.line, no_start.column = 3, 5
    odd = diagram_pb2.Diagnostic(phase="LOAD", code="L9", severity=warning, message="odd", label="A", node_id="node_0")
    return [one for word, one in (("invalid", no_start), ("odd", odd)) if word in text]


def event_of(body: Any, seq: int) -> events_pb2.Event:
    event = events_pb2.Event(event_id=ids.new_hex(), seq=seq)
    event.at.FromMilliseconds(1_700_000_000_000 + seq * 10)
    by_type = {one.message_type.full_name: one.name for one in event.DESCRIPTOR.oneofs_by_name["body"].fields}
    getattr(event, by_type[body.DESCRIPTOR.full_name]).CopyFrom(body)
    return event


@asynccontextmanager
async def serve_store(store: Store, folder: Path) -> AsyncIterator[str]:
    def register(server: aio.Server) -> None:
        store_pb2_grpc.add_StoreServiceServicer_to_server(store, server)

    async with rpc.serve(
        f"unix:{folder}/store", register, service_names=["dipeo.store.v1.StoreService"], grace_s=0
    ) as at:
        yield at


@asynccontextmanager
async def serve_executor(executor: Executor, folder: Path) -> AsyncIterator[str]:
    def register(server: aio.Server) -> None:
        executor_pb2_grpc.add_ExecutorServiceServicer_to_server(executor, server)

    name = "dipeo.executor.v1.ExecutorService"
    async with rpc.serve(f"unix:{folder}/executor", register, service_names=[name], grace_s=0) as at:
        yield at
