"""What the store does by itself from time to time: removes what is old, ends what should have ended. (§16.6, §16.8)"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from dipeo_kit import logs
from dipeo_kit.errors import DipeoError
from dipeo_store.backends import Backend
from dipeo_store.sessions import Sessions

log = logs.get(__name__)

DAY_US = 24 * 3600 * 1_000_000
UNUSED_BLOBS_US = DAY_US  # an upload has so long to be referred to
DEADLINE_SWEEP_S = 5.0
GRACE_US = 30_000_000  # after the deadline the executor has so long; after our abort signal once more


class Retained(NamedTuple):
    """How much was removed."""

    executions: int = 0
    logs: int = 0  # executions whose log texts were emptied
    blobs: int = 0

    def plus(self, other: "Retained") -> "Retained":
        return Retained(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Ages(NamedTuple):
    """In microseconds since the end of an execution; 0 = for ever."""

    keep_us: int
    logs_us: int


async def retain(backend: Backend, ages: Ages) -> Retained:
    """All that may go now, a bearable piece at a time."""
    total = Retained()
    while True:
        removed = Retained(
            await backend.remove_ended(ages.keep_us) if ages.keep_us else 0,
            await backend.empty_logs(ages.logs_us) if ages.logs_us else 0,
            await backend.remove_blobs(UNUSED_BLOBS_US),
        )
        if not any(removed):
            return total
        total = total.plus(removed)
        await asyncio.sleep(0)  # others write between two pieces


@asynccontextmanager
async def sweeping(backend: Backend, sessions: Sessions, ages: Ages, *, every_s: float) -> AsyncIterator[None]:
    """Sweep while the block runs."""

    async def old() -> None:
        removed = await retain(backend, ages)
        if any(removed):
            log.info("retention.swept", **removed._asdict())

    async def late() -> None:
        for signal, holder in await backend.abort_late(GRACE_US):
            log.warning("deadline.passed", execution_id=signal.execution_id)
            sessions.tell(holder, signal)
        for execution_id in await backend.fail_hung(GRACE_US):
            log.error("deadline.enforced", execution_id=execution_id)

    tasks = [asyncio.create_task(_again(old, every_s)), asyncio.create_task(_again(late, DEADLINE_SWEEP_S))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _again(sweep: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        try:
            await sweep()
        except DipeoError as error:
            log.error("sweep.failed", error=str(error))
        await asyncio.sleep(every_s)
