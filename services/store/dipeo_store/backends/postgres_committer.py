"""Group commit on Postgres: a few committers, each of which takes what has arrived and writes it in one transaction.

As on SQLite nobody waits for company (decision 31): with one writer its whole batch is one commit, with many writers
commits run side by side and the database joins their flushes to disk. Which committer an execution meets does not
matter: its writer sends the next append when the last is answered, and rows are locked in one order. (§16.3; splitting
batches by a hash of the execution id costs a fifth with ten executions, measured)
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from dipeo_kit.errors import DipeoError, Unavailable
from dipeo_store.committer import MAX_UNITS, MAX_WAITING, Committed
from dipeo_store.model import Append, Appended, Published

Outcome = Appended | DipeoError


class _Job(NamedTuple):
    appends: Sequence[Append]
    answer: asyncio.Future[list[Outcome]]


class Committers:
    """All of one store process."""

    def __init__(
        self,
        number: int,
        commit: Callable[[Sequence[Append]], Awaitable[Committed]],
        publish: Callable[[Sequence[Published]], None],
    ) -> None:
        self._commit, self._publish = commit, publish
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Condition()
        self._waiting = 0
        self._closed = False
        self._tasks = [asyncio.create_task(self._work(), name="committer") for _ in range(number)]

    async def submit(self, appends: Sequence[Append]) -> list[Outcome]:
        """Outcomes in order, once they are durable. Raises Unavailable when full or stopped."""
        if self._closed or self._waiting + len(appends) > MAX_WAITING:
            raise Unavailable("the store is stopping" if self._closed else "the store has too much to write; try again")
        job = _Job(appends, asyncio.get_running_loop().create_future())
        self._waiting += len(appends)
        self._jobs.append(job)
        async with self._arrived:
            self._arrived.notify()
        return await job.answer

    async def close(self) -> None:
        """Commit what waits, then stop."""
        self._closed = True
        async with self._arrived:
            self._arrived.notify_all()
        await asyncio.gather(*self._tasks)

    async def _work(self) -> None:
        while True:
            async with self._arrived:
                await self._arrived.wait_for(lambda: self._jobs or self._closed)
                jobs = self._next_group()
            if not jobs:
                return
            appends = [append for job in jobs for append in job.appends]
            try:
                committed = await self._commit(appends)
            except Exception as error:  # noqa: BLE001 the top of the task: without it every caller would hang
                failure = error if isinstance(error, DipeoError) else RuntimeError(f"commit failed: {error!r}")
                committed = Committed([failure] * len(appends), [])
            self._answer(jobs, committed.outcomes)
            self._publish(committed.published)

    def _next_group(self) -> list[_Job]:
        jobs: list[_Job] = []
        size = 0
        while self._jobs and size < MAX_UNITS:
            jobs.append(self._jobs.popleft())
            size += len(jobs[-1].appends)
        return jobs

    def _answer(self, jobs: list[_Job], outcomes: list[Outcome]) -> None:
        start = 0
        for job in jobs:
            end = start + len(job.appends)
            if not job.answer.done():  # the caller may have gone; what it asked for is done all the same
                job.answer.set_result(outcomes[start:end])
            start = end
        self._waiting -= start
