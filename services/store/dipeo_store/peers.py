"""Several stores on one database: what one does reaches the readers and holders of the others. (§16.4, §16.7)

Polling is the truth, once a second; what others tell only makes it sooner. Every store may be the one that gives up
silent sessions, also those of stores that are gone.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from dipeo_kit import logs
from dipeo_kit.errors import DipeoError
from dipeo_store.backends import News, SharedBackend
from dipeo_store.sessions import Sessions
from dipeo_store.watchers import Watchers

log = logs.get(__name__)

POLL_S = 1.0


class Peers:
    """The tasks of one store."""

    def __init__(
        self, backend: SharedBackend, sessions: Sessions, watchers: Watchers, *, heartbeat_s: float, lost_s: float
    ) -> None:
        self._backend, self._sessions, self._watchers = backend, sessions, watchers
        self._renew_s = min(heartbeat_s, lost_s / 4)
        self._lost_s = lost_s
        self._look_now = asyncio.Event()
        self._in_touch_since: float | None = None  # loop time

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._every(POLL_S, self._look, self._look_now), name="peers.look"),
            asyncio.create_task(self._every(self._renew_s, self._renew, asyncio.Event()), name="peers.renew"),
        ]
        try:
            async with self._backend.hearing(self.heard):
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def heard(self, news: News) -> None:
        self._watchers.changed(news.heads)
        if news.work:
            self._sessions.work_may_be_ready()
        if news.all or news.sessions & self._sessions.alive.keys():
            self._look_now.set()

    async def _every(self, interval_s: float, do: Callable[[], Awaitable[None]], at_once: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await at_once.wait()
            at_once.clear()
            try:
                await do()
            except DipeoError as error:
                self._in_touch_since = None
                log.warning("peers.not_seen", error=str(error))

    async def _look(self) -> None:
        """Everything that someone here waits for."""
        watched = list(self._watchers.watched())
        if watched:
            self._watchers.changed(await self._backend.heads(watched))
        holders = list(self._sessions.alive)
        if holders:
            for session_id, signals in (await self._backend.signals_of(holders)).items():
                if session := self._sessions.alive.get(session_id):
                    session.remind(signals)
            self._sessions.work_may_be_ready()

    async def _renew(self) -> None:
        """Say that our sessions live, then look for those that nobody says it of.

        After an outage of the database every session looks silent, so first all stores get the time to speak.
        """
        heard = {each.session_id: each for each in self._sessions.alive.values() if each.fresh}
        for session in heard.values():
            session.fresh = False
        try:
            alive = await self._backend.renew(heard) if heard else set()
        except DipeoError:
            for session in heard.values():
                session.fresh = True
            raise
        for session_id in heard.keys() - alive:
            self._sessions.gone(session_id)
        now = asyncio.get_running_loop().time()
        if self._in_touch_since is None:
            self._in_touch_since = now
        if now - self._in_touch_since >= self._lost_s:
            for session_id in await self._backend.lose_silent_sessions(self._lost_s):
                log.info("session.lost", session_id=session_id)
                self._sessions.gone(session_id)
