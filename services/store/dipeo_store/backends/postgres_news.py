"""What stores on one database tell each other by NOTIFY: hints only, the journal and the polls are the truth.

Never inside a transaction that writes: NOTIFY there takes a lock over the whole database at commit. So a connection of
its own sends at most one message per 20 ms, and another listens. (spec/store.md §16.7)
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson

from dipeo_kit import ids, logs
from dipeo_kit.errors import DipeoError
from dipeo_store.backends import News
from dipeo_store.backends.postgres_database import Access, connect, translated

log = logs.get(__name__)

CHANNEL = "dipeo_store"
MIN_GAP_S = 0.02
MAX_BYTES = 7000  # Postgres allows 8000
PING_S, PING_TIMEOUT_S = 10.0, 5.0
RECONNECT_S = (0.1, 0.5, 1.0, 2.0, 5.0)


ANYTHING = News({}, frozenset(), work=True, all=True)


def encoded(sender: str, heads: Mapping[str, int], sessions: Iterable[str], *, work: bool) -> str:
    """At most MAX_BYTES; what does not fit becomes "look at everything"."""
    message: dict[str, Any] = {"from": sender, "heads": heads, "sessions": list(sessions), "work": work}
    text = orjson.dumps(message)
    return text.decode() if len(text) <= MAX_BYTES else orjson.dumps({"from": sender, "all": True}).decode()


def decoded(text: str, me: str) -> News | None:
    """None for what this store sent itself."""
    message = orjson.loads(text)
    if message["from"] == me:
        return None
    if message.get("all"):
        return ANYTHING
    return News(message["heads"], frozenset(message["sessions"]), message["work"])


class Exchange:
    """Sends what this store did, passes on what others did."""

    def __init__(self, access: Access) -> None:
        self._access, self._me = access, ids.new_hex()
        self._heads: dict[str, int] = {}
        self._sessions: set[str] = set()
        self._work = False
        self._arrived = asyncio.Event()

    def advanced(self, execution_id: str, head_seq: int) -> None:
        self._heads[execution_id] = head_seq
        self._arrived.set()

    def signalled(self, session_id: str) -> None:
        self._sessions.add(session_id)
        self._arrived.set()

    def work_is_ready(self) -> None:
        self._work = True
        self._arrived.set()

    @asynccontextmanager
    async def running(self, heard: Callable[[News], None]) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._forever(self._send)),
            asyncio.create_task(self._forever(self._listen, heard)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _forever(self, use: Callable[..., Any], *args: Any) -> None:
        """A connection of its own, made anew when it breaks."""
        tries = 0
        while True:
            try:
                async with connect(self._access) as db:
                    tries = 0
                    with translated(self._access.name):
                        await use(db, *args)
            except DipeoError as error:
                log.warning("notify.broken", error=str(error))
            await asyncio.sleep(RECONNECT_S[min(tries, len(RECONNECT_S) - 1)] * random.uniform(0.5, 1))
            tries += 1

    async def _send(self, db: "asyncpg.Connection") -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            message = encoded(self._me, self._heads, self._sessions, work=self._work)
            self._heads, self._sessions, self._work = {}, set(), False
            await db.execute("SELECT pg_notify($1, $2)", CHANNEL, message)
            await asyncio.sleep(MIN_GAP_S)

    async def _listen(self, db: "asyncpg.Connection", heard: Callable[[News], None]) -> None:
        """Raises when the connection is dead; a silent death shows within PING_S + PING_TIMEOUT_S."""

        def notified(_db: object, _pid: int, _channel: str, text: str) -> None:
            if news := decoded(text, self._me):
                heard(news)

        died = asyncio.Event()
        db.add_termination_listener(lambda _: died.set())
        await db.add_listener(CHANNEL, notified)
        heard(ANYTHING)  # while nobody listened
        while not died.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_S):
                    await died.wait()
            await db.execute("SELECT 1", timeout=PING_TIMEOUT_S)
