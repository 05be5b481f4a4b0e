"""Databases behind one narrow seam: each method is one transaction, and all of them decide by journal.py."""

from collections.abc import Callable, Sequence
from typing import Protocol

from dipeo_kit.errors import DipeoError
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


class Backend(Protocol):
    """What service.py and sessions.py ask of a database. Unknown executions raise UnknownExecution."""

    # writes: durable when they return
    async def append(self, appends: Sequence[Append]) -> list[Appended | DipeoError]: ...
    async def create(self, new: NewExecution) -> Created: ...
    async def post_signal(self, signal: Signal) -> Posted: ...
    async def answer(
        self, execution_id: str, *, node: str, interaction_id: str, response: str, responder: str
    ) -> Answered: ...
    async def open_session(self, session_id: str, executor: str, version: str) -> None: ...
    async def end_session(self, session_id: str, *, lost: bool) -> None: ...
    async def claim(self, session_id: str, limit: int) -> list[Work]: ...
    async def release(self, session_id: str, execution_id: str, fence: int) -> None: ...

    # reads
    async def next_due(self) -> int | None: ...
    async def execution(self, execution_id: str) -> Execution: ...
    async def executions(
        self, wanted: ExecutionFilter, *, before: tuple[int, int] | None, limit: int
    ) -> list[Execution]: ...
    async def node_runs(self, execution_id: str) -> list[NodeRun]: ...
    async def interactions(self, execution_id: str, *, open_only: bool) -> list[Interaction]: ...
    async def messages(self, execution_id: str, *, after_seq: int, limit: int) -> list[Message]: ...
    async def journal(self, execution_id: str, *, after_seq: int, limit: int) -> JournalPage: ...
    async def recovery(self, execution_id: str, fence: int) -> Recovery: ...

    async def close(self) -> None: ...
