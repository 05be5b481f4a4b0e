"""SQLite: one file, one writer thread with FULL sync and group commit, read-only connections. (§16.3, decision 31)"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dipeo_kit import logs
from dipeo_kit.errors import DipeoError
from dipeo_store import errors, model
from dipeo_store.backends import (
    Clock,
    Publish,
    migrations,
    sqlite_audit,
    sqlite_backup,
    sqlite_inbox,
    sqlite_reads,
    sqlite_writes,
)
from dipeo_store.backends.sqlite_content import SqliteContent
from dipeo_store.backends.sqlite_retention import SqliteRetention
from dipeo_store.backends.sqlite_writes import Unit
from dipeo_store.committer import Committed, Committer
from dipeo_store.journal import HandOver, Heads

log = logs.get(__name__)

READERS = 3
CHECKPOINT_BYTES = 4 * 1024 * 1024  # 1000 pages, SQLite's own measure
PAGE_BYTES = 4096
WAL_LIMIT_BYTES = 64 * 1024 * 1024
SMALL_BYTES = 64 * 1024  # of values, in an append that may be committed on the event loop

Result = TypeVar("Result")


@contextmanager
def translated(file: Path) -> Iterator[None]:
    """Driver errors become ours, cause kept; the words of the driver go to the log."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        log.error("database.failed", file=str(file), error=str(error), code=name)
        if name in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
            raise errors.Unusable(f"{file} is damaged or is no SQLite database; restore it, or move it away") from error
        if name == "SQLITE_FULL":
            raise errors.DiskFull("the disk of the store is full; it goes on when there is room again") from error
        raise errors.DatabaseFailed(f"the database of the store failed ({name}); its log says more") from error


@asynccontextmanager
async def open_sqlite(
    file: Path, *, publish: Publish, clock: Clock, hand_over: HandOver
) -> AsyncIterator["SqliteBackend"]:
    """Own `file` until the end of the block: migrated, writable, every session of before lost.

    Raises Unusable, naming the file and what would help.
    """
    with _owned(file):
        with translated(file):
            sqlite_backup.require_sound(file)  # first: whoever else opens and closes it replays the log of a crash
            migrations.require_ours(file)
        async with _opened(file, publish=publish, clock=clock, hand_over=hand_over) as backend:
            yield backend


@asynccontextmanager
async def _opened(file: Path, *, publish: Publish, clock: Clock, hand_over: HandOver) -> AsyncIterator["SqliteBackend"]:
    with _connected(file) as writer, _connected(file) as checkpointer:
        with translated(file):
            migrations.migrate_sqlite(writer, migrations.load(migrations.SQL / "sqlite"), file=file, now_us=clock())
            lose = partial(sqlite_inbox.lose_all_sessions, hand_over=hand_over)
            sqlite_writes.commit(writer, [lose], now=clock())
        backend = SqliteBackend(file, writer, checkpointer, publish=publish, clock=clock, hand_over=hand_over)
        try:
            yield backend
        finally:
            await backend.close()


@contextmanager
def _owned(file: Path) -> Iterator[None]:
    """A lock beside the file: SQLite's own would keep our readers out as well.

    A record lock, which no forked child inherits: a worker that outlives a killed store does not keep the next one out.
    Such a lock knows processes only, hence the list of what this one owns.
    """
    file = file.absolute()
    in_use = errors.Unusable(f"{file} is in use by another store; stop that one, or choose another file")
    if file in _owned_here:
        raise in_use
    path = file.with_name(file.name + ".lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.Unusable(
            f"cannot write {path}: {error.strerror}; the store needs a folder it may write to"
        ) from error
    try:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise in_use from error
        _owned_here.add(file)
        yield
    finally:
        os.close(lock)
        _owned_here.discard(file)


_owned_here: set[Path] = set()


@contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    """A writing connection in autocommit mode. Raises Unusable."""
    try:
        db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=5)
    except sqlite3.Error as error:
        raise errors.Unusable(f"cannot open {file}: {error}") from error
    try:
        with translated(file):
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect on a new file only
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA wal_autocheckpoint = 0")  # off the writer's path, see _checkpoint
        yield db
    finally:
        db.close()


class SqliteBackend(SqliteContent, SqliteRetention):
    """dipeo_store.backends.Backend on one SQLite file."""

    def __init__(
        self,
        file: Path,
        writer: sqlite3.Connection,
        checkpointer: sqlite3.Connection,
        *,
        publish: Publish,
        clock: Clock,
        hand_over: HandOver,
    ) -> None:
        self._file, self._clock, self._hand_over = file, clock, hand_over
        self._writer, self._checkpointer = writer, checkpointer
        self._wal = file.with_name(file.name + "-wal")
        self._heads: Heads = {}  # nobody else writes to this file
        self._wal_is_long = False
        self._written = 0  # bytes since the last checkpoint, estimated
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, "dipeo-store-reader", initializer=self._connect_reader)
        self._background = ThreadPoolExecutor(1, "dipeo-store-checkpoint")
        self._committer: Committer[Unit] = Committer(self._commit, publish)

    async def close(self) -> None:
        await self._committer.close()
        self._readers.shutdown()
        self._background.shutdown()
        for connection in self._connections:
            connection.close()

    # --- writes ---

    async def append(self, appends: Sequence[model.Append]) -> list[model.Appended | DipeoError]:
        small = len(appends) == 1 and not self._wal_is_long and sum(it.size for it in appends[0].events) < SMALL_BYTES
        return await self._committer.submit(appends, small=small)

    async def create(self, new: model.NewExecution) -> model.Created:
        return await self._operate(sqlite_inbox.create, new)

    async def post_signal(self, signal: model.Signal) -> model.Posted:
        return await self._operate(sqlite_inbox.post_signal, signal)

    async def answer(
        self, execution_id: str, *, node: str, interaction_id: str, response: str, responder: str
    ) -> model.Answered:
        fields = {"node": node, "interaction_id": interaction_id, "response": response, "responder": responder}
        return await self._operate(sqlite_inbox.answer, execution_id, **fields)

    async def open_session(self, session_id: str, executor: str, version: str) -> None:
        await self._operate(sqlite_inbox.open_session, session_id, executor, version)

    async def resume_session(self, session_id: str, holding: Collection[str]) -> bool:
        """Never: a session ends with its stream, and a store that starts finds none alive."""
        return False

    async def end_session(self, session_id: str, *, lost: bool) -> None:
        await self._operate(sqlite_inbox.end_session, session_id, lost=lost, hand_over=self._hand_over)

    async def claim(self, session_id: str, limit: int) -> list[model.Work]:
        return await self._operate(sqlite_inbox.claim, session_id, limit)

    async def release(self, session_id: str, execution_id: str, fence: int) -> None:
        await self._operate(sqlite_inbox.release, session_id, execution_id, fence)

    async def rebuild(self, execution_id: str) -> None:
        """The projections of one execution anew, from its journal. Raises UnknownExecution."""
        await self._operate(sqlite_audit.rebuild, execution_id)

    async def _operate(self, operation: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        (outcome,) = await self._committer.submit([lambda tx: operation(tx, *args, **kwargs)])
        if isinstance(outcome, Exception):
            raise outcome
        result: Result = outcome
        return result

    def _commit(self, units: Sequence[Unit]) -> Committed:
        """On the writer's thread, or on the loop while that thread has nothing to do."""
        with translated(self._file):
            committed = sqlite_writes.commit(self._writer, units, now=self._clock(), heads=self._heads)
        self._keep_wal_short(units, committed)
        return committed

    def _keep_wal_short(self, units: Sequence[Unit], committed: Committed) -> None:
        """Checkpoints beside the writer, by an estimate of what was written: about a page more than each event.

        Under steady load one never catches up with the writer, so the file would grow for ever: the commit after it has
        become long restarts it, on the writer's thread (see append).
        """
        events = [event for published in committed.published for event in published.events]
        self._written += PAGE_BYTES * (len(units) + len(events)) + sum(event.size for event in events)
        if self._written > CHECKPOINT_BYTES:
            self._written = 0
            self._background.submit(self._checkpoint)
        with contextlib.suppress(OSError, DipeoError), translated(self._file):  # the group is durable already
            if self._wal_is_long:
                self._restart_wal()
            self._wal_is_long = self._wal.stat().st_size > WAL_LIMIT_BYTES

    def _checkpoint(self) -> None:
        with translated(self._file):
            self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _restart_wal(self) -> None:
        self._writer.execute("PRAGMA busy_timeout = 0")  # a reader in the way: next time
        self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.execute("PRAGMA busy_timeout = 5000")

    # --- reads ---

    async def next_due_s(self) -> float | None:
        due = await self._read(sqlite_reads.next_due)
        return None if due is None else (due - self._clock()) / 1_000_000

    async def queue(self) -> tuple[int, int]:
        return await self._read(sqlite_reads.queue)

    async def execution(self, execution_id: str) -> model.Execution:
        return await self._read(sqlite_reads.execution, execution_id)

    async def executions(
        self, wanted: model.ExecutionFilter, *, before: tuple[int, int] | None, limit: int
    ) -> list[model.Execution]:
        return await self._read(sqlite_reads.executions, wanted, before, limit)

    async def node_runs(self, execution_id: str) -> list[model.NodeRun]:
        return await self._read(sqlite_reads.node_runs, execution_id)

    async def interactions(self, execution_id: str, *, open_only: bool) -> list[model.Interaction]:
        return await self._read(sqlite_reads.interactions, execution_id, open_only)

    async def messages(
        self, execution_id: str, wanted: model.MessageFilter, *, after_seq: int, limit: int
    ) -> list[model.Message]:
        return await self._read(sqlite_reads.messages, execution_id, wanted, after_seq, limit)

    async def journal(self, execution_id: str, *, after_seq: int, limit: int) -> model.JournalPage:
        return await self._read(sqlite_reads.journal, execution_id, after_seq, limit)

    async def journal_bytes(self, execution_id: str) -> int:
        return await self._read(sqlite_reads.journal_bytes, execution_id)

    async def recovery(self, execution_id: str, fence: int) -> model.Recovery:
        return await self._read(sqlite_reads.recovery, execution_id, fence)

    async def _read(self, query: Callable[..., Result], *args: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._query, query, args)

    def _query(self, query: Callable[..., Result], args: tuple[Any, ...]) -> Result:
        db: sqlite3.Connection = self._local.db
        with translated(self._file):
            db.execute("BEGIN")
            try:
                return query(db, *args)
            finally:
                db.execute("COMMIT")

    def _connect_reader(self) -> None:
        db = sqlite3.connect(
            f"{self._file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA query_only = ON")
        db.create_function("casefold", 1, str.casefold, deterministic=True)
        self._local.db = db
        self._connections.append(db)
