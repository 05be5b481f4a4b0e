"""dipeo.store.v1.StoreService on the wire: convert, call, convert. Rules: journal.py. SQL: backends/."""

import asyncio
import time
from collections.abc import AsyncIterator

from dipeo_kit.errors import BadInput, Overloaded, Unavailable
from dipeo_kit.rpc import MAX_MESSAGE_BYTES
from dipeo_protos.store.v1 import store_pb2 as pb
from dipeo_store import observed, wire
from dipeo_store.backends import Backend, Clock
from dipeo_store.bounds import Bounds
from dipeo_store.content_service import ContentService, Context
from dipeo_store.model import Append, Execution, Signal, Work
from dipeo_store.retention import Ages
from dipeo_store.secrets import Safe
from dipeo_store.sessions import Alive, ExecutorSession, Sessions
from dipeo_store.watchers import Watchers

NAME = "dipeo.store.v1.StoreService"


class StoreService(ContentService):
    """What concerns single executions; the rest: content_service.py."""

    def __init__(
        self,
        backend: Backend,
        sessions: Sessions,
        watchers: Watchers,
        safe: Safe,
        ages: Ages,
        *,
        clock: Clock,
        heartbeat_s: float,
        lost_s: float,
        max_events: int,
        max_journal_mb: int,
    ) -> None:
        super().__init__(backend, safe, ages)
        self._sessions, self._watchers = sessions, watchers
        self._bounds = Bounds(backend.journal_bytes, max_events=max_events, max_bytes=max_journal_mb * 1024**2)
        self._clock, self._heartbeat_s, self._lost_s = clock, heartbeat_s, lost_s
        self._waiting: set[asyncio.Task[object]] = set()  # append streams with nothing to do
        self._stopping = False

    def stop(self) -> None:
        """End the append streams, which would stay open for ever; a writer that missed its answer asks again."""
        super().stop()
        self._stopping = True
        for task in self._waiting:
            task.cancel()

    # --- executions ---

    async def CreateExecution(self, request: pb.CreateExecutionRequest, context: Context) -> pb.CreateExecutionResponse:
        created = await self._backend.create(wire.new_execution_from_pb(request, at=self._clock()))
        if created.claim is None:
            self._sessions.work_may_be_ready()
        return pb.CreateExecutionResponse(
            execution=wire.execution_to_pb(created.execution),
            created=created.created,
            claim=wire.work_to_pb(created.claim) if created.claim else None,
        )

    async def GetExecution(self, request: pb.GetExecutionRequest, context: Context) -> pb.GetExecutionResponse:
        execution_id = wire.checked_id(request.execution_id)
        response = pb.GetExecutionResponse(execution=wire.execution_to_pb(await self._backend.execution(execution_id)))
        if request.include_node_runs:
            response.node_runs.extend(map(wire.node_run_to_pb, await self._backend.node_runs(execution_id)))
        if request.include_interactions:
            found = await self._backend.interactions(execution_id, open_only=False)
            response.interactions.extend(map(wire.interaction_to_pb, found))
        if (size := response.ByteSize()) > MAX_MESSAGE_BYTES:
            raise Overloaded(
                f"execution {execution_id}: its node runs have {size} bytes, one answer carries {MAX_MESSAGE_BYTES};"
                " read the journal page by page"
            )
        return response

    async def ListExecutions(self, request: pb.ListExecutionsRequest, context: Context) -> pb.ListExecutionsResponse:
        limit = wire.page_size(request.page_size, default=100)
        before = wire.pair_from_token(request.page_token)
        found = await self._backend.executions(wire.filter_from_pb(request), before=before, limit=limit + 1)
        page = wire.within((each, _size(each)) for each in found[:limit])
        more = len(page) < len(found)
        return pb.ListExecutionsResponse(
            executions=map(wire.execution_to_pb, page),
            next_page_token=wire.token(page[-1].created_at, page[-1].id) if more else "",
        )

    # --- the journal ---

    async def Append(
        self, request_iterator: AsyncIterator[pb.AppendRequest], context: Context
    ) -> AsyncIterator[pb.AppendResponse]:
        """One request at a time and so in order; what a writer sends meanwhile waits in its stream (decision 47)."""
        requests = aiter(request_iterator)
        while (request := await self._next(requests)) is not None:
            started_ns = time.time_ns()
            response = await self._append(request)
            observed.appended(request, response, started_ns)
            yield response

    async def _next(self, requests: AsyncIterator[pb.AppendRequest]) -> pb.AppendRequest | None:
        """None at the end. Raises Unavailable when the store stops: only a stream that waits may be interrupted."""
        task = asyncio.current_task()
        assert task
        self._waiting.add(task)
        try:
            if not self._stopping:
                return await anext(requests, None)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            task.uncancel()
        finally:
            self._waiting.discard(task)
        raise Unavailable("the store is stopping; append to the next one")

    async def _append(self, request: pb.AppendRequest) -> pb.AppendResponse:
        appends = [await self._bounds.checked(each) for each in wire.appends_from_pb(request)]
        admitted = [each for each in appends if isinstance(each, Append)]
        outcomes = await self._backend.append(admitted)
        for append, outcome in zip(admitted, outcomes, strict=True):
            self._bounds.count(append, outcome)
        answers = iter(outcomes)
        return pb.AppendResponse(
            results=[
                wire.append_result_to_pb(asked.execution_id, next(answers) if isinstance(each, Append) else each)
                for asked, each in zip(request.appends, appends, strict=True)
            ]
        )

    async def ReadJournal(self, request: pb.ReadJournalRequest, context: Context) -> pb.ReadJournalResponse:
        limit = wire.page_size(request.limit, default=500)
        execution_id = wire.checked_id(request.execution_id)
        page = await self._backend.journal(execution_id, after_seq=request.after_seq, limit=limit)
        return pb.ReadJournalResponse(
            events=map(wire.event_to_pb, page.events), head_seq=page.head_seq, terminal=page.terminal
        )

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.WatchResponse]:
        execution_id = wire.checked_id(request.execution_id)
        async for events in self._watchers.watch(self._backend, execution_id, request.after_seq):
            for batch in wire.batches(events):
                yield pb.WatchResponse(events=batch)

    async def LoadForRecovery(
        self, request: pb.LoadForRecoveryRequest, context: Context
    ) -> AsyncIterator[pb.LoadForRecoveryResponse]:
        execution_id = wire.checked_id(request.execution_id)
        recovery = await self._backend.recovery(execution_id, request.fence)
        yield pb.LoadForRecoveryResponse(
            header=pb.RecoveryHeader(
                execution=wire.execution_to_pb(recovery.execution),
                source=recovery.source,
                signals=map(wire.signal_to_pb, recovery.signals),
            )
        )
        last = 0
        while last < recovery.execution.head_seq:
            page = await self._backend.journal(execution_id, after_seq=last, limit=500)
            yield pb.LoadForRecoveryResponse(events=map(wire.event_to_pb, page.events))
            last = page.events[-1].seq

    # --- sessions ---

    async def Session(
        self, request_iterator: AsyncIterator[pb.SessionRequest], context: Context
    ) -> AsyncIterator[pb.SessionResponse]:
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("kind") != "open":
            raise BadInput("a session starts with `open`")
        asked = first.open
        session = await self._sessions.open(
            asked.executor, asked.version, resume=asked.resume_session_id, holding=asked.holding
        )
        listening = asyncio.create_task(self._listen(session, request_iterator))
        try:
            opened = pb.SessionOpened(session_id=session.session_id, heartbeat_s=self._heartbeat_s, lost_s=self._lost_s)
            yield pb.SessionResponse(opened=opened)
            async for item in session.deliveries():
                yield _delivery(item)
        finally:
            listening.cancel()
            self._sessions.lose(session)  # unless it said goodbye

    async def _listen(self, session: ExecutorSession, requests: AsyncIterator[pb.SessionRequest]) -> None:
        async for request in requests:
            match request.WhichOneof("kind"):
                case "heartbeat":
                    self._sessions.heartbeat(session, request.heartbeat.free_slots)
                case "release":
                    await self._sessions.release(session, request.release.execution_id, request.release.fence)
                case "close":
                    self._sessions.close(session)
                    return
        self._sessions.lose(session)  # the executor has nothing to say any more

    # --- signals, questions, messages ---

    async def PostSignal(self, request: pb.PostSignalRequest, context: Context) -> pb.PostSignalResponse:
        posted = await self._backend.post_signal(wire.signal_from_pb(request))
        self._sessions.tell(posted.holder, posted.signal)
        return pb.PostSignalResponse(execution=wire.execution_to_pb(posted.execution))

    async def AnswerInteraction(
        self, request: pb.AnswerInteractionRequest, context: Context
    ) -> pb.AnswerInteractionResponse:
        answered = await self._backend.answer(
            wire.checked_id(request.execution_id),
            node=request.node_id,
            interaction_id=request.interaction_id,
            response=wire.checked_response(request.response),
            responder=request.responder,
        )
        if answered.signal:
            self._sessions.tell(answered.holder, answered.signal)
        return pb.AnswerInteractionResponse(interaction=wire.interaction_to_pb(answered.interaction))

    async def ListInteractions(
        self, request: pb.ListInteractionsRequest, context: Context
    ) -> pb.ListInteractionsResponse:
        execution_id = wire.checked_id(request.execution_id)
        found = await self._backend.interactions(execution_id, open_only=request.open_only)
        return pb.ListInteractionsResponse(interactions=map(wire.interaction_to_pb, found))

    async def ListMessages(self, request: pb.ListMessagesRequest, context: Context) -> pb.ListMessagesResponse:
        limit = wire.page_size(request.page_size, default=100)
        after = wire.token_from(request.page_token, 1) or (0,)
        execution_id, wanted = wire.checked_id(request.execution_id), wire.messages_wanted(request)
        found = await self._backend.messages(execution_id, wanted, after_seq=after[0], limit=limit + 1)
        page = wire.within((each, len(each.content)) for each in found[:limit])
        return pb.ListMessagesResponse(
            messages=map(wire.message_to_pb, page),
            next_page_token=wire.token(page[-1].seq) if len(page) < len(found) else "",
        )


def _delivery(item: Work | Signal | Alive) -> pb.SessionResponse:
    if isinstance(item, Alive):
        return pb.SessionResponse(alive=pb.Alive())
    if isinstance(item, Work):
        return pb.SessionResponse(work=wire.work_to_pb(item))
    return pb.SessionResponse(signal=wire.signal_to_pb(item))


def _size(execution: Execution) -> int:
    return sum(len(text) for text in (execution.variables, execution.options, execution.result) if text) + 500
