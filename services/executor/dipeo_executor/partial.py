"""The text a running node makes, told to those who watch: at most a few times a second, and only what changed."""

import asyncio
from collections.abc import Callable

EVERY_S = 0.2
MAX_CHARACTERS = 4_000  # of the end of the text: an event per fifth of a second must not carry a book


class Partial:
    """Of one attempt. `tell` gets the end of the text and how many characters there are in all."""

    def __init__(self, tell: Callable[[str, int], None]) -> None:
        self._tell = tell
        self._end, self._size = "", 0
        self._timer: asyncio.TimerHandle | None = None

    def more(self, piece: str) -> None:
        self._end = (self._end + piece)[-MAX_CHARACTERS:]
        self._size += len(piece)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._due)

    def close(self) -> None:
        """Nothing is told any more: the output is there, or there is none."""
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> None:
        self._timer = None
        self._tell(self._end, self._size)
