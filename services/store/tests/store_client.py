"""A store as its users see it: the real service on a unix socket, one database per test, backend by backend."""

import asyncio
import contextlib
import itertools
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import postgres

from dipeo_kit import ids, rpc
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb
from dipeo_protos.store.v1 import store_pb2_grpc
from dipeo_store.main import running
from dipeo_store.settings import Settings

PATIENCE_S = 10.0


class Clock:
    """The real one, until a test moves it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> int:
        return int((time.time() + self.ahead_s) * 1_000_000)


def event(field: str, **body: Any) -> ev.Event:
    """event("node_started", node_id="A", attempt=1): a fresh event id and the present time."""
    message = getattr(ev.Event(), field).__class__(**body)
    made = ev.Event(event_id=ids.new_hex(), **{field: message})
    made.at.GetCurrentTime()
    return made


def started(node: str, iteration: int = 0, attempt: int = 1, **more: Any) -> ev.Event:
    more = {"label": node.title(), "type": "code_job"} | more
    return event("node_started", node_id=node, iteration=iteration, attempt=attempt, **more)


def completed(node: str, iteration: int = 0, attempt: int = 1, output: bytes = b"1", **more: Any) -> ev.Event:
    return event("node_completed", node_id=node, iteration=iteration, attempt=attempt, output_json=output, **more)


class Session:
    """An executor's session stream; `inbox` has what the store sent."""

    def __init__(self, client: "Client", executor: str) -> None:
        self._client, self._executor = client, executor
        self._reading: asyncio.Future[pb.SessionResponse] | None = None
        self.session_id = ""

    async def __aenter__(self) -> "Session":
        self.call = self._client.stub.Session()
        await self.call.write(pb.SessionRequest(open=pb.OpenSession(executor=self._executor)))
        self.opened = (await self.next()).opened
        self.session_id = self.opened.session_id
        return self

    async def __aexit__(self, *_: object) -> None:
        self.lose()

    def pending(self) -> "asyncio.Future[pb.SessionResponse]":
        """The read under way: giving up on waiting for it loses nothing."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self.call.read())
        return self._reading

    async def next(self) -> pb.SessionResponse:
        """What it is told, but for answers to heartbeats."""
        while True:
            async with asyncio.timeout(PATIENCE_S):
                response = await asyncio.shield(self.pending())
            self._reading = None
            assert response is not rpc.aio.EOF, "the session has ended"
            if not response.HasField("alive"):
                return response

    async def work(self) -> pb.Work:
        response = await self.next()
        assert response.WhichOneof("kind") == "work", response
        return response.work

    async def free(self, slots: int) -> None:
        await self.call.write(pb.SessionRequest(heartbeat=pb.Heartbeat(free_slots=slots)))

    @contextlib.asynccontextmanager
    async def living(self, slots: int) -> AsyncIterator[None]:
        """Heartbeats at the stated rhythm, during the block."""

        async def beat() -> None:
            while True:
                await self.free(slots)
                await asyncio.sleep(self.opened.heartbeat_s)

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()

    async def release(self, work: pb.Work) -> None:
        release = pb.Release(execution_id=work.execution_id, fence=work.fence)
        await self.call.write(pb.SessionRequest(release=release))

    async def close(self) -> None:
        await self.call.write(pb.SessionRequest(close=pb.CloseSession()))
        async with asyncio.timeout(PATIENCE_S):
            while (response := await self.call.read()) is not rpc.aio.EOF:
                assert response.HasField("alive"), response

    def lose(self) -> None:
        """As when the executor dies: the connection is cut."""
        self.call.cancel()


class Writer:
    """An append stream of its own."""

    def __init__(self, client: "Client") -> None:
        self.call = client.stub.Append()
        self._turn = asyncio.Lock()

    async def append(self, *appends: pb.ExecutionAppend) -> list[pb.AppendResult]:
        async with self._turn:
            with rpc.translated():
                await self.call.write(pb.AppendRequest(appends=appends))
                async with asyncio.timeout(PATIENCE_S):
                    response = await self.call.read()
        return list(response.results)


class Client:
    """What tests do with a store, in one place; errors come back as dipeo_kit.errors."""

    def __init__(self, channel: Any) -> None:
        self.stub = store_pb2_grpc.StoreServiceStub(channel)
        self._writer: Writer | None = None

    async def create(self, **fields: Any) -> pb.CreateExecutionResponse:
        fields = {"execution_id": ids.new_execution_id(), "source": b"nodes: []", "origin": "test"} | fields
        return await rpc.call(self.stub.CreateExecution, pb.CreateExecutionRequest(**fields))

    async def running(self, session: Session, **fields: Any) -> pb.Work:
        """A new execution, held by `session` and started; head_seq is up to date."""
        work = (await self.create(session_id=session.session_id, **fields)).claim
        work.head_seq = (await self.append(work, event("execution_started"))).head_seq
        return work

    async def append(self, work: pb.Work, *events: ev.Event, expected_seq: int | None = None) -> pb.AppendResult:
        """Append as the holder; moves work.head_seq on when accepted."""
        self._writer = self._writer or Writer(self)
        (result,) = await self._writer.append(append_of(work, *events, expected_seq=expected_seq))
        if not result.reason:
            work.head_seq = result.head_seq
        return result

    async def get(self, execution_id: str) -> pb.GetExecutionResponse:
        request = pb.GetExecutionRequest(execution_id=execution_id, include_node_runs=True, include_interactions=True)
        return await rpc.call(self.stub.GetExecution, request)

    async def status(self, execution_id: str) -> str:
        status = (await self.get(execution_id)).execution.status
        return pb.ExecutionStatus.Name(status).removeprefix("EXECUTION_STATUS_").lower()

    async def journal(self, execution_id: str, after_seq: int = 0) -> list[ev.Event]:
        found: list[ev.Event] = []
        while True:
            request = pb.ReadJournalRequest(execution_id=execution_id, after_seq=after_seq)
            page = await rpc.call(self.stub.ReadJournal, request)
            found += page.events
            if not page.events or page.events[-1].seq >= page.head_seq:
                return found
            after_seq = page.events[-1].seq

    async def types(self, execution_id: str) -> list[str]:
        return [str(each.WhichOneof("body")) for each in await self.journal(execution_id)]

    async def watch(self, execution_id: str, after_seq: int = 0) -> AsyncIterator[ev.Event]:
        request = pb.WatchRequest(execution_id=execution_id, after_seq=after_seq)
        with rpc.translated():
            async for response in self.stub.Watch(request):
                for each in response.events:
                    yield each

    async def abort(self, execution_id: str, signal_id: str = "") -> pb.Execution:
        request = pb.PostSignalRequest(
            execution_id=execution_id, signal_id=signal_id or ids.new_hex(), abort=pb.Abort(reason="stop it")
        )
        return (await rpc.call(self.stub.PostSignal, request)).execution

    async def answer(self, execution_id: str, **fields: Any) -> pb.Interaction:
        request = pb.AnswerInteractionRequest(execution_id=execution_id, **fields)
        return (await rpc.call(self.stub.AnswerInteraction, request)).interaction

    async def recover(self, work: pb.Work) -> tuple[pb.RecoveryHeader, list[ev.Event]]:
        request = pb.LoadForRecoveryRequest(execution_id=work.execution_id, fence=work.fence)
        with rpc.translated():
            responses = [response async for response in self.stub.LoadForRecovery(request)]
        return responses[0].header, [each for response in responses for each in response.events]

    async def eventually(self, execution_id: str, wanted: str) -> None:
        """Wait until the journal has an event of that type."""
        async with asyncio.timeout(PATIENCE_S):
            async for each in self.watch(execution_id):
                if each.WhichOneof("body") == wanted:
                    return
        raise AssertionError(f"{execution_id} ended without {wanted}")


def append_of(work: pb.Work, *events: ev.Event, expected_seq: int | None = None) -> pb.ExecutionAppend:
    return pb.ExecutionAppend(
        execution_id=work.execution_id,
        fence=work.fence,
        expected_seq=work.head_seq if expected_seq is None else expected_seq,
        events=events,
    )


class Store(Client):
    """A running store that a test may stop and start again on the same database."""

    def __init__(self, settings: Settings, clock: Clock, transport: str) -> None:
        self.settings, self.clock, self._transport = settings, clock, transport
        self._sockets: Iterator[int] = itertools.count()
        self._server, self._stack = contextlib.AsyncExitStack(), contextlib.AsyncExitStack()

    async def start(self) -> None:
        address = f"{self.settings.listen}.{next(self._sockets)}"
        settings = self.settings.model_copy(update={"listen": address})
        self.address = await self._server.enter_async_context(running(settings, clock=self.clock))
        super().__init__(await self._stack.enter_async_context(rpc.open_channel(self._transport + self.address)))

    async def stop_serving(self) -> None:
        """The service goes; the channel stays, so that its clients see it."""
        await self._server.aclose()

    async def stop(self) -> None:
        await self.stop_serving()
        await self._stack.aclose()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def move_clock(self, ahead_s: float) -> None:
        """To so many seconds after the real time."""
        self.clock.ahead_s = ahead_s
        if self.settings.is_postgres:
            await postgres.move_clock(self.settings.url, ahead_s)

    async def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """What a person could do to the database by hand."""
        if self.settings.is_postgres:
            connection = await asyncpg.connect(self.settings.url)
            try:
                return [tuple(row) for row in await connection.fetch(statement)]
            finally:
                await connection.close()
        with contextlib.closing(sqlite3.connect(self.settings.file, isolation_level=None)) as db:
            return db.execute(statement).fetchall()

    def literal(self, data: bytes) -> str:
        """Those bytes in SQL."""
        return f"'\\x{data.hex()}'::bytea" if self.settings.is_postgres else f"x'{data.hex()}'"

    def session(self, executor: str = "test") -> Session:
        return Session(self, executor)

    def writer(self) -> Writer:
        return Writer(self)
