"""This process's session with the store: heartbeats and free slots up, work and signals down (store contract 16.4).

When the session breaks, everything it held is somebody else's: the runs are dropped and a new session is opened.
"""

import asyncio
from typing import Any

from grpc import aio

from dipeo_executor.executions import EXECUTOR, Executions
from dipeo_kit import logs, rpc
from dipeo_protos.store.v1 import store_pb2

log = logs.get(__name__)

RECONNECT_S = 0.5
FAREWELL_S = 2.0


class Session:
    """Keeps a session open for as long as `run` runs."""

    def __init__(self, executions: Executions, version: str) -> None:
        self._executions = executions
        self._version = version
        self._changed = asyncio.Event()
        self.opened = asyncio.Event()
        executions.on_free = self._changed.set

    async def run(self) -> None:
        """Sessions, one after another, until cancelled; then the last is closed so that its work moves on at once."""
        while True:
            try:
                await self._live()
            except aio.AioRpcError as error:
                log.warning("session.broken", error=error.details())
            await self._lost()
            await asyncio.sleep(RECONNECT_S)

    async def _live(self) -> None:
        stream: Any = self._executions.house.store.Session(metadata=rpc.metadata())
        try:
            await stream.write(
                store_pb2.SessionRequest(open=store_pb2.OpenSession(executor=EXECUTOR, version=self._version))
            )
            response = await stream.read()
            if response is aio.EOF:
                return
            self._executions.session_id = response.opened.session_id
            self.opened.set()
            beat = asyncio.create_task(self._heartbeat(stream, response.opened.heartbeat_s))
            listening = asyncio.create_task(self._listen(stream))
            try:
                await asyncio.shield(listening)  # a cancelled read would end the call without a farewell
            except asyncio.CancelledError:
                beat.cancel()
                await self._lost()
                await self._close(stream, listening)
                raise
            finally:
                for task in (beat, listening):
                    task.cancel()
                await asyncio.gather(beat, listening, return_exceptions=True)
        finally:
            stream.cancel()

    async def _listen(self, stream: Any) -> None:
        while (response := await stream.read()) is not aio.EOF:
            if response.HasField("work"):
                self._executions.take(response.work)
            elif response.HasField("signal"):
                self._executions.signal(response.signal)

    async def _heartbeat(self, stream: Any, every_s: float) -> None:
        """At the stated rhythm, and at once when a slot became free."""
        while True:
            slots = self._executions.free_slots
            await stream.write(store_pb2.SessionRequest(heartbeat=store_pb2.Heartbeat(free_slots=slots)))
            try:
                async with asyncio.timeout(every_s):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()

    async def _lost(self) -> None:
        self.opened.clear()
        self._executions.session_id = ""
        await self._executions.drop()

    async def _close(self, stream: Any, listening: "asyncio.Task[None]") -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await stream.write(store_pb2.SessionRequest(close=store_pb2.CloseSession()))
                await stream.done_writing()
                await listening
        except (aio.AioRpcError, asyncio.InvalidStateError, TimeoutError) as error:
            log.info("session.closed_by_store", error=str(error))
