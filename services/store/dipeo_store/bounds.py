"""How much one execution may journal (I8). Values kept as blobs do not count: a journal is what replay has to read."""

from collections.abc import Awaitable, Callable

from dipeo_kit import logs
from dipeo_kit.errors import DipeoError
from dipeo_store.errors import InvalidEvent, JournalFull
from dipeo_store.journal import ends_execution
from dipeo_store.model import Append, Appended

log = logs.get(__name__)

NEW_SEQ = 2  # up to it a journal is too small to be asked for
LARGE = 0.2  # of what is allowed; said once
MAX_KNOWN = 10_000  # executions; beyond it all are counted anew


class Bounds:
    """Counts the bytes of running executions: from the database when one is first seen, then along with its appends.

    With several stores each counts what comes through itself, which is all as long as an executor stays with one.
    """

    def __init__(self, journal_bytes: Callable[[str], Awaitable[int]], *, max_events: int, max_bytes: int) -> None:
        self._journal_bytes, self._max_events, self._max_bytes = journal_bytes, max_events, max_bytes
        self._known: dict[str, int] = {}

    async def checked(self, append: Append | InvalidEvent) -> Append | InvalidEvent | JournalFull:
        """Only its end fits into a journal that is full."""
        if isinstance(append, InvalidEvent) or not append.events or ends_execution(append.events[-1]):
            return append
        if append.expected_seq + len(append.events) > self._max_events:
            return JournalFull(append.execution_id, f"{self._max_events} events")
        if await self._bytes_before(append) + _bytes(append) > self._max_bytes:
            return JournalFull(append.execution_id, f"{self._max_bytes // 1024**2} MiB")
        return append

    async def _bytes_before(self, append: Append) -> int:
        known = self._known.get(append.execution_id)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = await self._journal_bytes(append.execution_id) if append.expected_seq > NEW_SEQ else 0
            self._known[append.execution_id] = known
        return known

    def count(self, append: Append, outcome: Appended | DipeoError) -> None:
        """After an append that was let through."""
        if not isinstance(outcome, Appended) or outcome.duplicate:
            return
        before = self._known.pop(append.execution_id, None)
        if before is None or (append.events and ends_execution(append.events[-1])):
            return
        after = self._known[append.execution_id] = before + _bytes(append)
        if before < LARGE * self._max_bytes <= after:
            log.warning("journal.large", execution_id=append.execution_id, bytes=after, allowed=self._max_bytes)


def _bytes(append: Append) -> int:
    return sum(len(event.payload) for event in append.events)
