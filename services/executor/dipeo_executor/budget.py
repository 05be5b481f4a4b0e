"""The deadline of a run: measured from its start, standing still while nothing but a human is awaited (decision 36)."""

import asyncio
from collections.abc import Callable


class Budget:
    """Counts spent seconds from time stamps it is told; the same live and in replay."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s  # 0 = none
        self.spent_s = 0.0
        self._since: float | None = None  # None = standing still

    def observe(self, now: float, *, ticking: bool) -> None:
        """What has passed since the last call counts if the budget was ticking then; from now on it ticks or not."""
        if self._since is not None:
            self.spent_s += max(0.0, now - self._since)
        self._since = now if ticking else None

    @property
    def left_s(self) -> float | None:
        """None = without limit, or standing still."""
        if not self.timeout_s or self._since is None:
            return None
        return max(0.0, self.timeout_s - self.spent_s)


class Alarm:
    """Calls `ring` on the event loop after `left_s` seconds, those between `stop` and `go` not counted."""

    def __init__(self, left_s: float, ring: Callable[[], None]) -> None:
        self._left_s, self._ring = left_s, ring
        self._timer: asyncio.TimerHandle | None = None

    def go(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._left_s, self._ring)

    def stop(self) -> None:
        if self._timer is not None:
            self._left_s = max(0.0, self._timer.when() - asyncio.get_running_loop().time())
            self._timer.cancel()
            self._timer = None
