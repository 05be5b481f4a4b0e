"""Postgres: any number of stores on one database; appends in shards, everything else a transaction each. (§16.3)"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeVar

from dipeo_kit.errors import BadInput, DipeoError
from dipeo_store import errors, model
from dipeo_store.backends import (
    News,
    Publish,
    migrations,
    postgres_inbox,
    postgres_migrations,
    postgres_reads,
    postgres_sessions,
)
from dipeo_store.backends.postgres_committer import Committers
from dipeo_store.backends.postgres_content import PostgresContent
from dipeo_store.backends.postgres_database import LOST_A_RACE, ROW_REFUSED, Access, Database, open_database
from dipeo_store.backends.postgres_news import Exchange
from dipeo_store.backends.postgres_retention import PostgresRetention
from dipeo_store.backends.postgres_writes import TRIES, Transaction, commit
from dipeo_store.committer import Committed
from dipeo_store.errors import DatabaseFailed
from dipeo_store.journal import HandOver, Heads

Result = TypeVar("Result")


@asynccontextmanager
async def open_postgres(
    access: Access, *, publish: Publish, hand_over: HandOver, auto_migrate: bool, notify: bool, committers: int
) -> AsyncIterator["PostgresBackend"]:
    """Raises Unusable: the schema is not ours, or the database cannot be reached."""
    known = migrations.load(migrations.SQL / "postgres")
    try:
        if auto_migrate:
            await postgres_migrations.migrate(access, known)
        else:
            await postgres_migrations.check(access, known)
        async with open_database(access) as database:
            exchange = Exchange(access) if notify else None
            backend = PostgresBackend(database, exchange, publish=publish, hand_over=hand_over, committers=committers)
            try:
                yield backend
            finally:
                await backend.close()
    except DatabaseFailed as error:
        raise errors.Unusable(f"cannot open {access.name}: {error.__cause__}") from error


class PostgresBackend(PostgresContent, PostgresRetention):
    """dipeo_store.backends.SharedBackend on one Postgres database."""

    def __init__(
        self, database: Database, exchange: Exchange | None, *, publish: Publish, hand_over: HandOver, committers: int
    ) -> None:
        self._database, self._exchange, self._publish = database, exchange, publish
        self._hand_over = hand_over
        self._known: Heads = {}
        self._committers = Committers(committers, self._commit, self._published)

    async def close(self) -> None:
        await self._committers.close()

    def hearing(self, heard: Callable[[News], None]) -> AbstractAsyncContextManager[None]:
        """Calls `heard` with what other stores tell, during the block."""
        return self._exchange.running(heard) if self._exchange else nullcontext()

    # --- writes ---

    async def append(self, appends: Sequence[model.Append]) -> list[model.Appended | DipeoError]:
        return await self._committers.submit(appends)

    async def create(self, new: model.NewExecution) -> model.Created:
        created = await self._operate(postgres_inbox.create, new)
        if created.created and created.claim is None:
            self._tell(Exchange.work_is_ready)
        return created

    async def post_signal(self, signal: model.Signal) -> model.Posted:
        posted = await self._operate(postgres_inbox.post_signal, signal)
        if posted.holder:
            self._tell(Exchange.signalled, posted.holder)
        return posted

    async def answer(
        self, execution_id: str, *, node: str, interaction_id: str, response: str, responder: str
    ) -> model.Answered:
        fields = {"node": node, "interaction_id": interaction_id, "response": response, "responder": responder}
        answered = await self._operate(postgres_inbox.answer, execution_id, **fields)
        if answered.holder:
            self._tell(Exchange.signalled, answered.holder)
        return answered

    async def open_session(self, session_id: str, executor: str, version: str) -> None:
        await self._operate(postgres_sessions.open_session, session_id, executor, version)

    async def resume_session(self, session_id: str, holding: Collection[str]) -> bool:
        return await self._operate(postgres_sessions.resume_session, session_id, holding)

    async def end_session(self, session_id: str, *, lost: bool) -> None:
        given_back = await self._operate(
            postgres_sessions.end_session, session_id, lost=lost, hand_over=self._hand_over
        )
        if given_back:
            self._tell(Exchange.work_is_ready)

    async def claim(self, session_id: str, limit: int) -> list[model.Work]:
        return await self._operate(postgres_sessions.claim, session_id, limit)

    async def release(self, session_id: str, execution_id: str, fence: int) -> None:
        await self._operate(postgres_sessions.release, session_id, execution_id, fence)
        self._tell(Exchange.work_is_ready)

    async def _operate(self, operation: Callable[..., Awaitable[Result]], *args: Any, **kwargs: Any) -> Result:
        """One transaction, tried again when it lost a race."""
        for tries in range(1, TRIES + 1):
            try:
                async with self._database.transaction() as db:
                    tx = Transaction(db)
                    result = await operation(tx, *args, **kwargs)
                    await tx.flush()
            except ROW_REFUSED as error:
                raise BadInput(f"the database refuses a value: {error}") from error
            except LOST_A_RACE as error:
                if tries == TRIES:
                    raise DatabaseFailed("the database is too busy; try again") from error
            else:
                self._published(tx.published)
                return result
        raise AssertionError("unreachable")

    async def _commit(self, appends: Sequence[model.Append]) -> Committed:
        return await commit(self._database, appends, self._known)

    def _published(self, published: Sequence[model.Published]) -> None:
        self._publish(published)
        if self._exchange:
            for execution_id, events in published:
                self._exchange.advanced(execution_id, events[-1].seq)

    def _tell(self, what: Callable[..., None], *args: str) -> None:
        if self._exchange:
            what(self._exchange, *args)

    # --- several stores on one database ---

    async def renew(self, session_ids: Collection[str]) -> set[str]:
        return await self._operate(postgres_sessions.renew, session_ids)

    async def lose_silent_sessions(self, lost_s: float) -> list[str]:
        lost = await self._operate(postgres_sessions.lose_silent_sessions, lost_s=lost_s, hand_over=self._hand_over)
        if lost:
            self._tell(Exchange.work_is_ready)
        return lost

    async def heads(self, execution_ids: Sequence[str]) -> dict[str, int]:
        return await self._read(postgres_reads.heads, execution_ids)

    async def signals_of(self, session_ids: Sequence[str]) -> dict[str, list[model.Signal]]:
        return await self._read(postgres_reads.signals_of, session_ids)

    # --- reads ---

    async def next_due_s(self) -> float | None:
        return await self._read(postgres_reads.next_due_s)

    async def queue(self) -> tuple[int, int]:
        return await self._read(postgres_reads.queue)

    async def execution(self, execution_id: str) -> model.Execution:
        return await self._read(postgres_reads.execution, execution_id)

    async def executions(
        self, wanted: model.ExecutionFilter, *, before: tuple[int, int] | None, limit: int
    ) -> list[model.Execution]:
        return await self._read(postgres_reads.executions, wanted, before, limit)

    async def node_runs(self, execution_id: str) -> list[model.NodeRun]:
        return await self._read(postgres_reads.node_runs, execution_id)

    async def interactions(self, execution_id: str, *, open_only: bool) -> list[model.Interaction]:
        return await self._read(postgres_reads.interactions, execution_id, open_only)

    async def messages(
        self, execution_id: str, wanted: model.MessageFilter, *, after_seq: int, limit: int
    ) -> list[model.Message]:
        return await self._read(postgres_reads.messages, execution_id, wanted, after_seq, limit)

    async def journal(self, execution_id: str, *, after_seq: int, limit: int) -> model.JournalPage:
        return await self._read(postgres_reads.journal, execution_id, after_seq, limit)

    async def journal_bytes(self, execution_id: str) -> int:
        return await self._read(postgres_reads.journal_bytes, execution_id)

    async def recovery(self, execution_id: str, fence: int) -> model.Recovery:
        return await self._read(postgres_reads.recovery, execution_id, fence)

    async def _read(self, query: Callable[..., Awaitable[Result]], *args: Any) -> Result:
        """Asked again once when the connection turns out to be dead: it changes nothing."""
        try:
            async with self._database.reading() as db:
                return await query(db, *args)
        except DatabaseFailed as error:
            if isinstance(error.__cause__, TimeoutError):  # it had its time
                raise
            async with self._database.reading() as db:
                return await query(db, *args)
