"""Databases behind one narrow seam: each method is one transaction, and all of them decide by journal.py."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from dipeo_kit.errors import DipeoError
from dipeo_store.backends.content import Content
from dipeo_store.model import (
    Answered,
    Append,
    Appended,
    Created,
    Execution,
    ExecutionFilter,
    Interaction,
    JournalPage,
    Message,
    MessageFilter,
    NewExecution,
    NodeRun,
    Posted,
    Published,
    Recovery,
    Signal,
    Work,
)

Clock = Callable[[], int]  # microseconds since 1970 UTC
Publish = Callable[[Sequence[Published]], None]  # called on the event loop, after the commit


class Backend(Content, Protocol):
    """What service.py and sessions.py ask of a database. Unknown executions raise UnknownExecution."""

    # writes: durable when they return
    async def append(self, appends: Sequence[Append]) -> list[Appended | DipeoError]: ...
    async def create(self, new: NewExecution) -> Created: ...
    async def post_signal(self, signal: Signal) -> Posted: ...
    async def answer(
        self, execution_id: str, *, node: str, interaction_id: str, response: str, responder: str
    ) -> Answered: ...
    async def open_session(self, session_id: str, executor: str, version: str) -> None: ...
    async def resume_session(self, session_id: str, holding: Collection[str]) -> bool:
        """Whether it goes on; what it holds besides `holding` goes back to the queue."""
        ...

    async def end_session(self, session_id: str, *, lost: bool) -> None: ...
    async def claim(self, session_id: str, limit: int) -> list[Work]: ...
    async def release(self, session_id: str, execution_id: str, fence: int) -> None: ...

    # reads
    async def next_due_s(self) -> float | None: ...
    async def queue(self) -> tuple[int, int]: ...
    async def execution(self, execution_id: str) -> Execution: ...
    async def executions(
        self, wanted: ExecutionFilter, *, before: tuple[int, int] | None, limit: int
    ) -> list[Execution]: ...
    async def node_runs(self, execution_id: str) -> list[NodeRun]: ...
    async def interactions(self, execution_id: str, *, open_only: bool) -> list[Interaction]: ...
    async def messages(
        self, execution_id: str, wanted: MessageFilter, *, after_seq: int, limit: int
    ) -> list[Message]: ...
    async def journal(self, execution_id: str, *, after_seq: int, limit: int) -> JournalPage: ...
    async def journal_bytes(self, execution_id: str) -> int: ...
    async def recovery(self, execution_id: str, fence: int) -> Recovery: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class News:
    """What another store on the same database did. `all`: nobody knows what, look at everything."""

    heads: Mapping[str, int]  # execution id -> seq its journal has come to
    sessions: frozenset[str]  # holders for whom signals were left
    work: bool  # an execution may be taken
    all: bool = False


class SharedBackend(Backend, Protocol):
    """A database that several stores may use at once (peers.py)."""

    async def renew(self, session_ids: Collection[str]) -> set[str]:
        """They live; answers with those that nobody has given up."""
        ...

    async def lose_silent_sessions(self, lost_s: float) -> list[str]:
        """Give up the sessions of any store that have shown no life for so long."""
        ...

    async def heads(self, execution_ids: Sequence[str]) -> dict[str, int]: ...
    async def signals_of(self, session_ids: Sequence[str]) -> dict[str, list[Signal]]: ...
    def hearing(self, heard: Callable[[News], None]) -> AbstractAsyncContextManager[None]: ...
