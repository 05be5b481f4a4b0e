"""Connections to Postgres: pools that come back by themselves, text with any character, driver errors as ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from dipeo_kit import logs
from dipeo_store import errors

log = logs.get(__name__)

# Statements of the append path always find their rows by index; planned once per connection, they must not depend on
# how empty a table was at that moment.
WRITER_SETTINGS = {
    "application_name": "dipeo-store",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
READER_SETTINGS = {"application_name": "dipeo-store", "jit": "off", "default_transaction_read_only": "on"}

_DOWN = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
# the rows themselves are at fault: an id used twice, a text too long for an index, a number too large for its column
ROW_REFUSED = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.ProgramLimitExceededError)
LOST_A_RACE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the database. `statement_cache` 0 is for transaction poolers, which also refuse server settings."""

    url: str
    pool_min: int = 2
    pool_max: int = 16
    statement_cache: int = 100
    connect_s: float = 5.0
    command_s: float = 10.0

    @property
    def name(self) -> str:
        """For people: without user and password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"

    def options(self, settings: dict[str, str]) -> dict[str, Any]:
        pooled = self.statement_cache == 0
        return {
            "dsn": self.url,
            "timeout": self.connect_s,
            "command_timeout": self.command_s,
            "statement_cache_size": self.statement_cache,
            "max_cached_statement_lifetime": 0,
            "server_settings": None if pooled else settings,
        }


# --- text ------------------------------------------------------------------------------------------------------------
# Postgres text holds every character but 0; it is written as two others, so that values come back as they went in.

_ESCAPE, _NUL = "\x1a", "\x1a0"


def encoded(text: str) -> bytes:
    if _ESCAPE in text or "\x00" in text:
        text = text.replace(_ESCAPE, _ESCAPE * 2).replace("\x00", _NUL)
    return text.encode()


def decoded(data: bytes) -> str:
    text = data.decode()
    if _ESCAPE not in text:
        return text
    return _ESCAPE.join(part.replace(_NUL, "\x00") for part in text.split(_ESCAPE * 2))


async def prepare(connection: "asyncpg.Connection") -> None:
    """Not for text[], which asyncpg keeps to itself: arrays of free text are varchar[]."""
    for name in ("text", "varchar"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=encoded, decoder=decoded, format="binary")


# --- errors ----------------------------------------------------------------------------------------------------------


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Driver errors become ours, cause kept; the words of the driver go to the log. ROW_REFUSED and LOST_A_RACE, which
    say nothing about the database, come as they are.
    """
    try:
        yield
    except (*ROW_REFUSED, *LOST_A_RACE):
        raise
    except asyncpg.DiskFullError as error:
        log.error("database.full", database=name, error=str(error))
        raise errors.DiskFull("the disk of the database is full; it goes on when there is room again") from error
    except _DOWN as error:
        log.error("database.failed", database=name, error=str(error), kind=type(error).__name__)
        raise errors.DatabaseFailed(
            f"the database {name} does not answer ({type(error).__name__}); try again"
        ) from error


# --- connections -----------------------------------------------------------------------------------------------------


class Database:
    """Pools for writes and for reads; a connection that broke is replaced when it is needed next."""

    def __init__(self, access: Access, writers: "asyncpg.Pool", readers: "asyncpg.Pool") -> None:
        self.access, self.name = access, access.name
        self._writers, self._readers = writers, readers

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["asyncpg.Connection"]:
        """Durable at the end of the block. Raises DatabaseFailed, OutcomeUnknown, DiskFull; ROW_REFUSED and
        LOST_A_RACE come as they are.
        """
        async with self._connection(self._writers) as db:
            transaction = db.transaction()
            with translated(self.name):
                await transaction.start()
                try:
                    yield db
                except TimeoutError:  # who is silent would not answer a rollback either
                    raise
                except BaseException:
                    with contextlib.suppress(*_DOWN):
                        await transaction.rollback()
                    raise
            try:
                with translated(self.name):
                    await transaction.commit()
            except errors.DatabaseFailed as error:
                raise errors.OutcomeUnknown(str(error)) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["asyncpg.Connection"]:
        """A connection for statements that each see their own moment. Raises DatabaseFailed."""
        async with self._connection(self._readers) as db:
            with translated(self.name):
                yield db

    @asynccontextmanager
    async def _connection(self, pool: "asyncpg.Pool") -> AsyncIterator["asyncpg.Connection"]:
        with translated(self.name):
            db = await pool.acquire(timeout=self.access.connect_s)
        try:
            yield db
        except errors.DatabaseFailed as error:
            if isinstance(error.__cause__, TimeoutError):
                db.terminate()  # else the pool waits for it
            raise
        finally:
            with contextlib.suppress(*_DOWN):  # what broke is replaced at the next acquire
                await pool.release(db, timeout=self.access.connect_s)


@asynccontextmanager
async def connect(access: Access) -> AsyncIterator["asyncpg.Connection"]:
    """One connection of its own, outside the pools. Raises DatabaseFailed."""
    with translated(access.name):
        connection = await asyncpg.connect(**access.options({"application_name": "dipeo-store"}))
    try:
        with translated(access.name):
            await prepare(connection)
        yield connection
    finally:
        await shut(connection)


async def shut(connection: "asyncpg.Connection") -> None:
    """Close, however dead it is."""
    try:
        await connection.close(timeout=1)
    except _DOWN:
        connection.terminate()


@asynccontextmanager
async def open_database(access: Access) -> AsyncIterator[Database]:
    """Raises DatabaseFailed when it cannot be reached now."""
    async with _pool(access, WRITER_SETTINGS) as writers, _pool(access, READER_SETTINGS) as readers:
        yield Database(access, writers, readers)


@asynccontextmanager
async def _pool(access: Access, settings: dict[str, str]) -> AsyncIterator["asyncpg.Pool"]:
    async def nothing(_: object) -> None:
        """Connections are used for transactions only; there is no session state to reset."""

    pool = asyncpg.create_pool(
        min_size=access.pool_min, max_size=access.pool_max, init=prepare, reset=nothing, **access.options(settings)
    )
    with translated(access.name):
        await pool
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(2):
                await pool.close()
        except _DOWN:
            pool.terminate()
