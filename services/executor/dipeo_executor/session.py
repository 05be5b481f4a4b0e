"""This process's session with the store: heartbeats and free slots up, work and signals down (store contract 16.4).

A session that breaks is resumed, at another store if need be, and the runs never notice. When the store has given it
up, everything it held is somebody else's: the runs are dropped and a new session begins.
"""

import asyncio
from typing import Any

from grpc import aio

from dipeo_executor.executions import EXECUTOR, Executions
from dipeo_executor.runner import Claim
from dipeo_kit import logs, rpc
from dipeo_protos.store.v1 import store_pb2

log = logs.get(__name__)

RECONNECT_S = 0.5
FAREWELL_S = 2.0
LOST_S = 20.0  # until the store has said what it is


class Session:
    """Keeps a session open for as long as `run` runs."""

    def __init__(self, executions: Executions, version: str) -> None:
        self._executions = executions
        self._version = version
        self._changed = asyncio.Event()
        self._releases: list[Claim] = []
        self._heartbeat_s, self._lost_s = LOST_S / 4, LOST_S
        self._heard_at = asyncio.get_running_loop().time()
        self.opened = asyncio.Event()
        executions.on_free = self._changed.set
        executions.on_release = self._release

    async def run(self) -> None:
        """Until cancelled; then the session is closed so that its work moves on at once."""
        while True:
            try:
                await self._live()
            except aio.AioRpcError as error:
                meant = rpc.error_of(error)
                log.warning("session.broken", error=str(meant))
                if meant.reason == "SESSION_LOST":
                    await self._lost()
            except TimeoutError:
                log.warning("session.broken", error=f"the store has said nothing for {self._lost_s:g} s")
            if asyncio.get_running_loop().time() - self._heard_at >= self._lost_s:
                await self._lost()
            await asyncio.sleep(RECONNECT_S)

    async def _live(self) -> None:
        stream: Any = self._executions.house.store.Session(metadata=rpc.metadata())
        try:
            if not await self._open(stream):
                return
            beat = asyncio.create_task(self._heartbeat(stream))
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

    async def _open(self, stream: Any) -> bool:
        """Resume what there is, if the store has not given it up; False when the stream ended."""
        executions = self._executions
        held = list(executions.held)
        opening = store_pb2.OpenSession(
            executor=EXECUTOR, version=self._version, resume_session_id=executions.session_id, holding=held
        )
        await stream.write(store_pb2.SessionRequest(open=opening))
        response = await self._read(stream)
        if response is aio.EOF:
            return False
        if response.opened.session_id != executions.session_id:
            await self._lost()
            executions.session_id = response.opened.session_id
        self._heartbeat_s, self._lost_s = response.opened.heartbeat_s, response.opened.lost_s
        self.opened.set()
        return True

    async def _read(self, stream: Any) -> Any:
        """The next message. Raises TimeoutError: a store that is silent for so long is gone."""
        async with asyncio.timeout(self._lost_s):
            response = await stream.read()
        self._heard_at = asyncio.get_running_loop().time()
        return response

    async def _listen(self, stream: Any) -> None:
        while (response := await self._read(stream)) is not aio.EOF:
            if response.HasField("work"):
                self._executions.take(response.work)
            elif response.HasField("signal"):
                self._executions.signal(response.signal)

    def _release(self, claim: Claim) -> None:
        self._releases.append(claim)
        self._changed.set()

    async def _heartbeat(self, stream: Any) -> None:
        """At the stated rhythm, and at once when a slot became free or something is given back."""
        while True:
            releases, self._releases = self._releases, []
            for claim in releases:
                release = store_pb2.Release(execution_id=claim.execution_id, fence=claim.fence)
                await stream.write(store_pb2.SessionRequest(release=release))
            slots = self._executions.free_slots
            await stream.write(store_pb2.SessionRequest(heartbeat=store_pb2.Heartbeat(free_slots=slots)))
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()

    async def _lost(self) -> None:
        self.opened.clear()
        self._executions.session_id = ""
        self._releases.clear()
        await self._executions.drop()

    async def _close(self, stream: Any, listening: "asyncio.Task[None]") -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await stream.write(store_pb2.SessionRequest(close=store_pb2.CloseSession()))
                await stream.done_writing()
                await listening
        except (aio.AioRpcError, asyncio.InvalidStateError, TimeoutError) as error:
            log.info("session.closed_by_store", error=str(error))
