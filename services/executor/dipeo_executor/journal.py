"""The executor's end of the append stream: one bidi call per process, one coalesced batch in flight (hot-path rules).

What arrives while a batch is in flight is the next batch; nothing waits for company. A broken stream is opened anew and
the same batch sent again: appends are idempotent by event id.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from grpc import aio

from dipeo_executor.errors import AppendRefused, StoreLost
from dipeo_kit import ids, logs, rpc
from dipeo_kit.errors import DipeoError
from dipeo_protos.store.v1 import events_pb2, store_pb2, store_pb2_grpc

log = logs.get(__name__)

MESSAGE_BYTES = 16 * 1024 * 1024  # of one message, unless a single event has more
RECONNECT_S = (0.05, 0.2, 0.5, 1.0, 2.0)


@dataclass(slots=True)
class _Waiting:
    append: store_pb2.ExecutionAppend
    done: asyncio.Future[int]


class Journal:
    """Appends for every execution of this process. Made by `open_journal`."""

    def __init__(self, stub: "store_pb2_grpc.StoreServiceAsyncStub", give_up_s: float) -> None:
        self._stub = stub
        self._give_up_s = give_up_s
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()

    async def append(
        self,
        execution_id: str,
        *,
        fence: int,
        expected_seq: int,
        events: Sequence[events_pb2.Event],
        trace_parent: str = "",
    ) -> int:
        """Make events durable, as a part of the trace given; returns the new head seq.

        Raises AppendRefused (FENCED, SEQ_MISMATCH, TERMINAL …), StoreLost when no store answers for too long.
        """
        for part in parts(events):  # more than one only where values are very large
            done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            append = store_pb2.ExecutionAppend(
                execution_id=execution_id,
                fence=fence,
                expected_seq=expected_seq,
                events=part,
                trace_parent=trace_parent,
            )
            self._waiting.append(_Waiting(append, done))
            self._arrived.set()
            expected_seq = await done
        return expected_seq

    async def give_up(
        self,
        execution_id: str,
        *,
        fence: int,
        expected_seq: int,
        message: str,
        type: str = "InternalError",
        code: str = "internal",
    ) -> None:
        """End a run that cannot go on, by a mistake of ours if nothing else is said. Never raises DipeoError."""
        error = events_pb2.Error(type=type, message=message, code=code)
        end = events_pb2.Event(event_id=ids.new_hex(), execution_failed=events_pb2.ExecutionFailed(error=error))
        end.at.GetCurrentTime()
        try:
            await self.append(execution_id, fence=fence, expected_seq=expected_seq, events=[end])
        except DipeoError as refused:
            log.warning("run.end_not_journaled", execution_id=execution_id, error=str(refused))

    async def run(self) -> None:
        """Send batches until cancelled."""
        stream: Any = None
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            batch = self._batch()
            if batch:
                stream = await self._deliver(stream, batch)

    def _batch(self) -> list[_Waiting]:
        """All that waits, as far as it fits into one message."""
        size, count = 0, 0
        for waiting in self._waiting:
            size += waiting.append.ByteSize()
            if count and size > MESSAGE_BYTES:
                self._arrived.set()  # the rest is the next batch
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _deliver(self, stream: Any, batch: list[_Waiting]) -> Any:
        request = store_pb2.AppendRequest(appends=[waiting.append for waiting in batch])
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._give_up_s
        tries = 0
        while True:
            try:
                stream = stream or self._stub.Append(metadata=rpc.metadata())
                async with asyncio.timeout(self._give_up_s / 4):  # a store that hangs: the next one may not
                    await stream.write(request)
                    response = await stream.read()
                if response is not aio.EOF:
                    _settle(batch, response)
                    return stream
            except (aio.AioRpcError, asyncio.InvalidStateError, TimeoutError) as error:
                log.warning("journal.stream_broken", error=str(error) or "no answer")
                if stream is not None:
                    stream.cancel()
            stream = None
            if loop.time() > give_up_at:
                for waiting in batch:
                    _fail(waiting, StoreLost(f"the store has not answered for {self._give_up_s:g} s"))
                return None
            await asyncio.sleep(RECONNECT_S[min(tries, len(RECONNECT_S) - 1)])
            tries += 1


def parts(events: Sequence[events_pb2.Event]) -> Iterator[Sequence[events_pb2.Event]]:
    """The events in order, in parts that fit one message; usually they are one."""
    start, size = 0, 0
    for index, event in enumerate(events):
        size += event.ByteSize()
        if size > MESSAGE_BYTES and index > start:
            yield events[start:index]
            start, size = index, event.ByteSize()
    yield events[start:]


def _settle(batch: list[_Waiting], response: store_pb2.AppendResponse) -> None:
    for waiting, result in zip(batch, response.results, strict=True):
        if result.reason:
            _fail(waiting, AppendRefused(result.message, reason=result.reason))
        elif not waiting.done.done():
            waiting.done.set_result(result.head_seq)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)


@asynccontextmanager
async def open_journal(stub: "store_pb2_grpc.StoreServiceAsyncStub", *, give_up_s: float) -> AsyncIterator[Journal]:
    """The append stream of this process; `give_up_s` seconds without a store fail what waits."""
    journal = Journal(stub, give_up_s)
    task = asyncio.create_task(journal.run(), name="journal")
    try:
        yield journal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
