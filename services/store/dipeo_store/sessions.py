"""Executors that are connected: who is alive, who gets which work, who is told of which signal. (§16.4)"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager

from dipeo_kit import ids, logs
from dipeo_kit.errors import DipeoError, Overloaded, Unavailable
from dipeo_store import observed
from dipeo_store.backends import Backend
from dipeo_store.errors import OutcomeUnknown, SessionLost
from dipeo_store.model import Signal, Work

log = logs.get(__name__)

MEASURE_S = 5.0
RETRY_S = 1.0  # after the database failed


class Alive:
    """To an executor that shows life: so does the store."""


class ExecutorSession:
    """One executor process, as long as its stream lives."""

    def __init__(
        self, session_id: str, executor: str, on_late: Callable[["ExecutorSession"], None], lost_s: float
    ) -> None:
        self.session_id, self.executor = session_id, executor
        self.free_slots = 0
        self.outbox: asyncio.Queue[Work | Signal | Alive | DipeoError | None] = asyncio.Queue()
        self.fresh = True  # heard since other stores were last told that it lives
        self._told: set[str] = set()
        self._on_late, self._lost_s = on_late, lost_s
        self._watchdog = asyncio.get_running_loop().call_later(lost_s, on_late, self)

    def heard(self) -> None:
        """A sign of life."""
        self.fresh = True
        self._watchdog.cancel()
        self._watchdog = asyncio.get_running_loop().call_later(self._lost_s, self._on_late, self)

    def quiet(self) -> None:
        self._watchdog.cancel()

    def tell(self, signal: Signal) -> None:
        self._told.add(signal.signal_id)
        self.outbox.put_nowait(signal)

    def remind(self, signals: Sequence[Signal]) -> None:
        """All that is left for it in the inbox: what it was not told yet, it is told now."""
        for signal in signals:
            if signal.signal_id not in self._told:
                self.outbox.put_nowait(signal)
        self._told = {signal.signal_id for signal in signals}

    async def deliveries(self) -> AsyncIterator[Work | Signal | Alive]:
        """What to send, until the session is over. Raises what ended it, if not the executor itself."""
        while (item := await self.outbox.get()) is not None:
            if isinstance(item, DipeoError):
                raise item
            yield item


class Sessions:
    """The sessions of this store process, and the one task that gives work to them."""

    def __init__(self, backend: Backend, *, lost_s: float) -> None:
        self._backend, self._lost_s = backend, lost_s
        self._alive: dict[str, ExecutorSession] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopped = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Give work while the block runs; at its end every stream ends and nothing is taken from anybody:
        the next store finds the sessions lost.
        """
        tasks = [asyncio.create_task(self._dispatch()), asyncio.create_task(self._measure())]
        try:
            yield
        finally:
            self._stopped = True
            for session in self._alive.values():
                session.quiet()
                session.outbox.put_nowait(Unavailable("the store is stopping; open a session with the next one"))
            self._alive.clear()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *self._ending, return_exceptions=True)

    async def open(
        self, executor: str, version: str, *, resume: str = "", holding: Sequence[str] = ()
    ) -> ExecutorSession:
        """A new session, or the one to resume if nobody has given it up: then it keeps `holding` and nothing else."""
        if self._stopped:
            raise Unavailable("the store is stopping; open a session with the next one")
        resumed = bool(resume) and await self._backend.resume_session(resume, holding)
        session_id = resume if resumed else ids.new_hex()
        if not resumed:
            await self._backend.open_session(session_id, executor, version)
        session = ExecutorSession(session_id, executor, self._late, self._lost_s)
        if before := self._alive.get(session_id):  # its stream broke, which we have not noticed yet
            before.quiet()
            before.outbox.put_nowait(None)
        self._alive[session_id] = session
        observed.sessions.set(len(self._alive))
        log.info("session.opened", session_id=session_id, executor=executor, resumed=resumed)
        return session

    def heartbeat(self, session: ExecutorSession, free_slots: int) -> None:
        session.heard()
        session.outbox.put_nowait(Alive())
        session.free_slots = free_slots
        self.work_may_be_ready()

    async def release(self, session: ExecutorSession, execution_id: str, fence: int) -> None:
        session.heard()
        if not await self._released(session, execution_id, fence):
            self._later(self._insist_on_release(session, execution_id, fence))

    async def _released(self, session: ExecutorSession, execution_id: str, fence: int) -> bool:
        """False when the database fails."""
        try:
            await self._backend.release(session.session_id, execution_id, fence)
        except DipeoError as error:
            log.warning("work.not_released", execution_id=execution_id, error=str(error))
            return not isinstance(error, Overloaded | Unavailable)
        self.work_may_be_ready()
        return True

    async def _insist_on_release(self, session: ExecutorSession, execution_id: str, fence: int) -> None:
        """Its holder runs it no more and says so only once; all it holds goes back anyway when the session ends."""
        while self._alive.get(session.session_id) is session:
            await asyncio.sleep(RETRY_S)
            if await self._released(session, execution_id, fence):
                return

    def tell(self, session_id: str, signal: Signal) -> None:
        """Pass a durable signal on; when the session has just gone, the next holder finds it in the inbox."""
        if session := self._alive.get(session_id):
            session.tell(signal)

    def work_may_be_ready(self) -> None:
        self._wake.set()

    @property
    def alive(self) -> Mapping[str, ExecutorSession]:
        return self._alive

    def gone(self, session_id: str) -> None:
        """Another store has ended it."""
        if session := self._alive.get(session_id):
            self._fail(session, SessionLost(f"session {session_id} was given up; open a new one"))

    def close(self, session: ExecutorSession) -> None:
        """The executor says goodbye: what it still holds is free at once."""
        self._end(session, lost=False)

    def lose(self, session: ExecutorSession) -> None:
        """The stream broke. Nothing happens to a session that is over already."""
        self._end(session, lost=True)

    def _late(self, session: ExecutorSession) -> None:
        message = f"session {session.session_id}: no heartbeat for {self._lost_s:g} s; open a new one"
        self._fail(session, SessionLost(message))

    def _fail(self, session: ExecutorSession, error: DipeoError) -> None:
        session.outbox.put_nowait(error)
        self._end(session, lost=True)

    def _end(self, session: ExecutorSession, *, lost: bool) -> None:
        if self._alive.get(session.session_id) is not session:
            return  # over already, or resumed on another stream
        del self._alive[session.session_id]
        observed.sessions.set(len(self._alive))
        session.quiet()
        if lost:
            session.outbox.put_nowait(None)
        log.info("session.ended", session_id=session.session_id, executor=session.executor, lost=lost)
        self._later(self._give_back(session, lost=lost))  # outlives the stream that ended

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _give_back(self, session: ExecutorSession, *, lost: bool) -> None:
        while True:
            try:
                await self._backend.end_session(session.session_id, lost=lost)
            except DipeoError as error:
                if self._stopped:
                    return
                log.error("session.not_ended", session_id=session.session_id, error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                session.outbox.put_nowait(None)  # a farewell is over when it is durable
                self.work_may_be_ready()
                return

    async def _dispatch(self) -> None:
        while True:
            self._wake.clear()
            try:
                wait_s = await self._give_work()
            except DipeoError as error:
                log.error("work.not_given", error=str(error))
                wait_s = RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _measure(self) -> None:
        """Tell how long the queue is; executors are scaled by it."""
        while True:
            with contextlib.suppress(DipeoError):  # the dispatcher says so
                waiting, held = await self._backend.queue()
                observed.work_ready.set(waiting)
                observed.work_held.set(held)
            await asyncio.sleep(MEASURE_S)

    async def _give_work(self) -> float | None:
        """Fill free slots, the emptiest session first; seconds until it is worth looking again, None = until woken."""
        due_s = await self._backend.next_due_s() if any(each.free_slots > 0 for each in self._alive.values()) else None
        if due_s is None or due_s > 0:
            return due_s
        for session in sorted(self._alive.values(), key=lambda each: -each.free_slots):
            if session.free_slots > 0 and session.session_id in self._alive:
                await self._give(session)
        return 0 if any(each.free_slots > 0 for each in self._alive.values()) else None

    async def _give(self, session: ExecutorSession) -> None:
        try:
            works = await self._backend.claim(session.session_id, session.free_slots)
        except SessionLost:
            return
        except OutcomeUnknown:  # it may hold what it was never told of: nobody would run that
            self._fail(session, SessionLost(f"session {session.session_id}: the database failed; open a new one"))
            raise
        self._deliver(session, works)

    def _deliver(self, session: ExecutorSession, works: list[Work]) -> None:
        session.free_slots -= len(works)
        for work in works:
            session.outbox.put_nowait(work)
            for signal in work.signals:
                session.tell(signal)
