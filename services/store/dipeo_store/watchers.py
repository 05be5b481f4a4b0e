"""Who follows which execution, and how history meets the live journal without gap or repetition. (§16.7)"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager

from dipeo_kit.errors import Unavailable
from dipeo_store import observed
from dipeo_store.backends import Backend
from dipeo_store.errors import SlowReader
from dipeo_store.journal import ends_execution
from dipeo_store.model import Event, Published

HISTORY_PAGE = 500


class _Watcher:
    """Events that were committed and not delivered yet, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.events: list[Event] = []
        self.overflowed = False
        self.stopped = False
        self.behind = False  # the journal has more than was offered: another store wrote it
        self.last = 0  # seq that was delivered
        self.news = asyncio.Event()

    def offer(self, events: Sequence[Event]) -> None:
        if len(self.events) + len(events) > self.limit:
            self.overflowed = True
            self.events.clear()
        if not self.overflowed:
            self.events.extend(events)
        self.news.set()

    def restart(self) -> None:
        """What came so far is committed, so the next page of history has it."""
        self.events.clear()
        self.overflowed = self.behind = False

    async def take(self) -> list[Event]:
        await self.news.wait()
        self.news.clear()
        events, self.events = self.events, []
        return events


class Watchers:
    """In memory, fed by the committer after each commit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._watchers: defaultdict[str, set[_Watcher]] = defaultdict(set)
        self._stopped = False

    def publish(self, published: Sequence[Published]) -> None:
        for execution_id, events in published:
            for watcher in self._watchers.get(execution_id, ()):
                watcher.offer(events)

    def watched(self) -> dict[str, int]:
        """What is followed, with the last seq that every reader of it has."""
        return {
            execution_id: min(watcher.last for watcher in watchers) for execution_id, watchers in self._watchers.items()
        }

    def changed(self, heads: Mapping[str, int]) -> None:
        """Another store may have written: readers that are behind these seqs look into the journal."""
        for execution_id, head_seq in heads.items():
            for watcher in self._watchers.get(execution_id, ()):
                if watcher.last < head_seq:
                    watcher.behind = True
                    watcher.news.set()

    def stop(self) -> None:
        """End every watch; the readers come back to the next store."""
        self._stopped = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.stopped = True
                watcher.news.set()

    async def watch(self, backend: Backend, execution_id: str, after_seq: int) -> AsyncIterator[Sequence[Event]]:
        """Every event after `after_seq` once, in order, until the terminal one.

        Raises UnknownExecution, SlowReader, Unavailable (the store is stopping).
        """
        with self._registered(execution_id) as watcher:  # first, so that nothing falls between history and live
            watcher.last = after_seq
            live = False
            while True:
                if live:
                    events = await self._live(execution_id, watcher)
                    live = not watcher.behind
                else:
                    watcher.restart()
                    page = await backend.journal(execution_id, after_seq=watcher.last, limit=HISTORY_PAGE)
                    events = page.events
                    if not events and page.terminal:
                        return
                    live = watcher.last + len(events) >= page.head_seq and not watcher.overflowed
                if events:
                    yield events
                    watcher.last = events[-1].seq
                    if ends_execution(events[-1]):
                        return

    async def _live(self, execution_id: str, watcher: _Watcher) -> Sequence[Event]:
        """What comes next without a gap; none when the journal must be read first."""
        events = [event for event in await watcher.take() if event.seq > watcher.last]
        if watcher.stopped:
            raise Unavailable("the store is stopping; watch again")
        if watcher.overflowed:
            raise SlowReader(execution_id, watcher.last)
        if events and events[0].seq > watcher.last + 1:
            watcher.behind = True
        return () if watcher.behind else events

    @contextmanager
    def _registered(self, execution_id: str) -> Iterator[_Watcher]:
        if self._stopped:
            raise Unavailable("the store is stopping; watch again")
        watcher = _Watcher(self._limit)
        self._watchers[execution_id].add(watcher)
        observed.watches.set(sum(map(len, self._watchers.values())))
        try:
            yield watcher
        finally:
            self._watchers[execution_id].discard(watcher)
            if not self._watchers[execution_id]:
                del self._watchers[execution_id]
            observed.watches.set(sum(map(len, self._watchers.values())))
