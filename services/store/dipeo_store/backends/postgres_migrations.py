"""Migrations on Postgres: one store at a time, each step a transaction, forward only. (spec/store.md §18)"""

import asyncio

import asyncpg

from dipeo_store.backends.migrations import Migration
from dipeo_store.backends.postgres_database import Access, connect, translated
from dipeo_store.errors import Unusable

LOCK = 0x64695065_6F000001
LOCK_TRIES = 12  # of 5 s each: another store is migrating


async def migrate(access: Access, migrations: list[Migration]) -> list[Migration]:
    """Bring the schema up to date; returns what was missing.

    Raises Unusable when the database is newer than this program, or was made by a migration that has changed since.
    """
    async with connect(access) as db:
        with translated(access.name):
            await _lock(db, access.name)
            await db.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL,"
                " checksum text NOT NULL, applied_at bigint NOT NULL)"
            )
            missing = await _missing(db, migrations, access.name)
            for migration in missing:
                async with db.transaction():
                    await db.execute(migration.sql)
                    await db.execute(
                        "INSERT INTO schema_migrations VALUES"
                        " ($1, $2, $3, (extract(epoch FROM now()) * 1000000)::bigint)",
                        migration.version,
                        migration.name,
                        migration.checksum,
                    )
            return missing


async def check(access: Access, migrations: list[Migration]) -> None:
    """Raises Unusable unless the schema is exactly what this program knows."""
    async with connect(access) as db:
        with translated(access.name):
            made = await db.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
            missing = await _missing(db, migrations, access.name) if made else migrations
    if missing:
        raise Unusable(
            f"{access.name}: its schema lacks migration {missing[0].version:04} ({missing[0].name}); "
            "run `dipeo-store migrate`, or set DIPEO_STORE_AUTO_MIGRATE=on"
        )


async def _lock(db: "asyncpg.Connection", name: str) -> None:
    """Held until the connection closes."""
    await db.execute("SET lock_timeout = '5s'")
    for _ in range(LOCK_TRIES):
        try:
            await db.execute(f"SELECT pg_advisory_lock({LOCK})", timeout=10)
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0)
        else:
            return
    raise Unusable(f"{name}: another store has been migrating it for {LOCK_TRIES * 5} s; look at that one")


async def _missing(db: "asyncpg.Connection", migrations: list[Migration], name: str) -> list[Migration]:
    applied: dict[int, str] = dict(map(tuple, await db.fetch("SELECT version, checksum FROM schema_migrations")))
    unknown = applied.keys() - {migration.version for migration in migrations}
    if unknown:
        raise Unusable(
            f"{name} has schema {max(unknown)}, which this DiPeO does not know yet: use the newer one that wrote it"
        )
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise Unusable(
                f"{name}: migration {migration.version:04} ({migration.name}) was applied with other contents; "
                "use the DiPeO that made this database"
            )
    return [migration for migration in migrations if migration.version not in applied]
