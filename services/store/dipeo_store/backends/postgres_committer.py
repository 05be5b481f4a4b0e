"""Group commit on Postgres: each shard writes what has arrived for its executions in one transaction.

As on SQLite nobody waits for company (decision 31). An execution always meets the same shard, so its appends stay in
order; shards commit side by side, and the database joins their flushes to disk. (§16.3)
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from zlib import crc32

from dipeo_kit.errors import DipeoError, Unavailable
from dipeo_store.committer import MAX_UNITS, MAX_WAITING, Committed
from dipeo_store.model import Append, Appended, Published

Outcome = Appended | DipeoError


class _Job(NamedTuple):
    appends: Sequence[Append]
    answer: asyncio.Future[list[Outcome]]


class _Shard:
    def __init__(self, commit: Callable[[Sequence[Append]], Awaitable[Committed]]) -> None:
        self._commit = commit
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._closed = False
        self.waiting = 0

    def put(self, appends: Sequence[Append]) -> asyncio.Future[list[Outcome]]:
        job = _Job(appends, asyncio.get_running_loop().create_future())
        self.waiting += len(appends)
        self._jobs.append(job)
        self._arrived.set()
        return job.answer

    async def run(self, publish: Callable[[Sequence[Published]], None]) -> None:
        """Until closed and all that waited is answered."""
        while True:
            await self._arrived.wait()
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
            publish(committed.published)

    def _next_group(self) -> list[_Job]:
        jobs: list[_Job] = []
        size = 0
        while self._jobs and size < MAX_UNITS:
            jobs.append(self._jobs.popleft())
            size += len(jobs[-1].appends)
        if not self._jobs and not self._closed:
            self._arrived.clear()
        return jobs

    def _answer(self, jobs: list[_Job], outcomes: list[Outcome]) -> None:
        start = 0
        for job in jobs:
            end = start + len(job.appends)
            if not job.answer.done():  # the caller may have gone; what it asked for is done all the same
                job.answer.set_result(outcomes[start:end])
            start = end
        self.waiting -= start

    def close(self) -> None:
        self._closed = True
        self._arrived.set()


class Committers:
    """All shards of one store process."""

    def __init__(
        self,
        number: int,
        commit: Callable[[Sequence[Append]], Awaitable[Committed]],
        publish: Callable[[Sequence[Published]], None],
    ) -> None:
        self._shards = [_Shard(commit) for _ in range(number)]
        self._tasks = [asyncio.create_task(shard.run(publish), name="committer") for shard in self._shards]
        self._closed = False

    async def submit(self, appends: Sequence[Append]) -> list[Outcome]:
        """Outcomes in order, once they are durable. Raises Unavailable when full or stopped."""
        if self._closed or sum(shard.waiting for shard in self._shards) + len(appends) > MAX_WAITING:
            raise Unavailable("the store is stopping" if self._closed else "the store has too much to write; try again")
        places: dict[int, list[int]] = {}
        for place, append in enumerate(appends):
            places.setdefault(crc32(append.execution_id.encode()) % len(self._shards), []).append(place)
        answers = [self._shards[shard].put([appends[place] for place in mine]) for shard, mine in places.items()]
        outcomes: dict[int, Outcome] = {}
        for mine, found in zip(places.values(), await asyncio.gather(*answers), strict=True):
            outcomes.update(zip(mine, found, strict=True))
        return [outcomes[place] for place in range(len(appends))]

    async def close(self) -> None:
        """Commit what waits, then stop."""
        self._closed = True
        for shard in self._shards:
            shard.close()
        await asyncio.gather(*self._tasks)
