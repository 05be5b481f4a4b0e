"""At most so many requests in so much time, per provider and executor. (node contract 20.3)"""

import asyncio
from collections import deque
from typing import Protocol

from dipeo_executor.providers.manifest import RateLimit


class Limiter(Protocol):
    async def acquire(self) -> None:
        """Waits for a turn."""


def limiter(rate: RateLimit) -> Limiter | None:
    """None when there is no limit. Buckets start full; the fixed window slides, which is never more than it allows."""
    if rate.algorithm == "none":
        return None
    if rate.algorithm in ("sliding_window", "fixed_window"):
        return Window(rate.capacity, rate.window_size_sec)
    from aiolimiter import AsyncLimiter

    return AsyncLimiter(rate.capacity, rate.capacity / rate.refill_per_sec)


class Window:
    """No more than `capacity` turns within any `seconds`."""

    def __init__(self, capacity: int, seconds: float) -> None:
        self._seconds = seconds
        self._turns: deque[float] = deque(maxlen=capacity)
        self._lock = asyncio.Lock()

    async def acquire(self) -> None:
        now = asyncio.get_running_loop().time
        async with self._lock:  # held while waiting: turns go in the order they were asked for
            if len(self._turns) == self._turns.maxlen:
                await asyncio.sleep(max(0.0, self._turns[0] + self._seconds - now()))
            self._turns.append(now())
