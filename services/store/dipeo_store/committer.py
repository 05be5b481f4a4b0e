"""Group commit: one thread owns the database connection and writes what has arrived in one transaction.

It never waits for company (decision 31): requests that come while a commit runs are the next group. Answers and
published events reach the event loop only after the commit (I5). When nothing else is to be written a small commit may
be made on the event loop itself: the hops to the thread and back cost a lone writer a third of a quick disk's commit.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from dipeo_kit.errors import DipeoError, Unavailable
from dipeo_store.model import Published

MAX_UNITS = 256  # of one transaction
MAX_WAITING = 10_000  # units; beyond it callers are told to come back later
SLOW_S = 0.003  # a commit on the loop that took longer
LEAVE_LOOP = 20  # keeps the next ones off it for so many times as long: of the loop's time a slow disk takes 5 %

Unit = TypeVar("Unit")


class Committed(NamedTuple):
    """What became of a group: an outcome per unit, in order, and what watchers may see now."""

    outcomes: list[Any]  # a value, or the DipeoError that refused this unit alone
    published: list[Published]


class _Job(NamedTuple, Generic[Unit]):
    units: Sequence[Unit]
    answer: asyncio.Future[list[Any]]


class Committer(Generic[Unit]):
    """Runs `commit(units)` on its own thread. `commit` returns only what is durable."""

    def __init__(
        self, commit: Callable[[Sequence[Unit]], Committed], publish: Callable[[Sequence[Published]], None]
    ) -> None:
        self._commit, self._publish = commit, publish
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Job[Unit] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._closed = False
        self._leave_loop_until = 0.0
        self._thread = threading.Thread(target=self._work, name="dipeo-store-writer", daemon=True)
        self._thread.start()

    async def submit(self, units: Sequence[Unit], *, small: bool = False) -> list[Any]:
        """Outcomes in order, once they are durable. Raises Unavailable when full or stopped.

        `small`: quick enough to be committed on the loop, if nothing waits and the disk was not slow lately.
        """
        if self._closed or self._waiting + len(units) > MAX_WAITING:
            raise Unavailable("the store is stopping" if self._closed else "the store has too much to write; try again")
        if small and not self._waiting and self._loop.time() >= self._leave_loop_until:
            return self._commit_here(units)
        job = _Job(units, self._loop.create_future())
        self._waiting += len(units)
        self._queue.put(job)
        return await job.answer

    def _commit_here(self, units: Sequence[Unit]) -> list[Any]:
        """Nothing waits, so the thread has nothing in hand and the connection is free."""
        begun = self._loop.time()
        committed = self._committed(units)
        now = self._loop.time()
        if now - begun > SLOW_S:
            self._leave_loop_until = now + LEAVE_LOOP * (now - begun)
        self._publish(committed.published)
        return committed.outcomes

    async def close(self) -> None:
        """Commit what waits, then stop."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while True:
            jobs, last = self._next_group()
            if jobs:
                committed = self._committed([unit for job in jobs for unit in job.units])
                self._loop.call_soon_threadsafe(self._answer, jobs, committed)
            if last:
                return

    def _committed(self, units: Sequence[Unit]) -> Committed:
        try:
            return self._commit(units)
        except Exception as error:  # noqa: BLE001 the top of the thread: without it every caller would hang
            failure = error if isinstance(error, DipeoError) else RuntimeError(f"commit failed: {error!r}")
            return Committed([failure] * len(units), [])

    def _next_group(self) -> tuple[list[_Job[Unit]], bool]:
        job = self._queue.get()
        jobs: list[_Job[Unit]] = []
        size = 0
        while job is not None:
            jobs.append(job)
            size += len(job.units)
            if size >= MAX_UNITS:
                return jobs, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _answer(self, jobs: list[_Job[Unit]], committed: Committed) -> None:
        start = 0
        for job in jobs:
            end = start + len(job.units)
            if not job.answer.done():  # the caller may have gone; what it asked for is done all the same
                job.answer.set_result(committed.outcomes[start:end])
            start = end
        self._waiting -= start
        self._publish(committed.published)
