"""`dipeo-store migrate | verify | backup | rebuild`: what people do to a database by hand. (store contract 16.9, 18)"""

import argparse
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from dipeo_kit.errors import NotSupported
from dipeo_store.audit import problems
from dipeo_store.backends import migrations, sqlite_audit, sqlite_backup
from dipeo_store.backends.sqlite import open_sqlite, translated

if TYPE_CHECKING:
    from dipeo_store.settings import Settings


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("dipeo-store", description="The store of DiPeO; without a command it serves.")
    commands = made.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve, the default")
    commands.add_parser("migrate", help="bring the schema of the database up to date")
    commands.add_parser("verify", help="check every journal, and that the tables say what the journals say")
    backup = commands.add_parser("backup", help="copy a SQLite database, also while a store serves it")
    backup.add_argument(
        "subject", metavar="FILE", nargs="?", default="", help="default: a new one in backup/ beside it"
    )
    rebuild = commands.add_parser("rebuild", help="make the tables of one execution anew from its journal")
    rebuild.add_argument("subject", metavar="ID")
    return made


async def run(command: str, settings: "Settings", subject: str) -> int:
    """Exit code: 0, or 1 when verify found something. Raises DipeoError."""
    if command == "migrate":
        await _migrate(settings)
    elif command == "rebuild":
        await _rebuild(settings, subject)
        print(f"{subject} is rebuilt from its journal")
    elif command == "backup":
        print(_backup(settings, subject))
    else:
        return await _verify(settings)
    return 0


async def _migrate(settings: "Settings") -> None:
    if settings.is_postgres:
        from dipeo_store.backends import postgres_migrations

        known = migrations.load(migrations.SQL / "postgres")
        applied = await postgres_migrations.migrate(settings.access, known)
        names = ", ".join(f"{each.version:04} {each.name}" for each in applied)
        print(f"applied: {names or 'nothing, the schema is up to date'}")
    else:
        async with open_sqlite(settings.file, publish=lambda _: None, clock=_now, hand_over=settings.hand_over):
            print(f"{settings.file} is up to date")


async def _verify(settings: "Settings") -> int:
    found = checked = 0
    async for sentences in _audited(settings):
        checked += 1
        found += len(sentences)
        for sentence in sentences:
            print(sentence)
    print(f"{checked} executions checked, {found} problems found", file=sys.stderr)
    return 1 if found else 0


async def _audited(settings: "Settings") -> AsyncIterator[list[str]]:
    """Problems of each execution, one after another, at one moment of the database."""
    if settings.is_postgres:
        from dipeo_store.backends import postgres_audit

        async with postgres_audit.reading(settings.access) as db:
            async for run_, execution_id in postgres_audit.executions(db):
                yield problems(run_, execution_id, await postgres_audit.snapshot(db, run_))
    else:
        with translated(settings.file), sqlite_audit.reading(settings.file) as file:
            for run_, execution_id in sqlite_audit.executions(file):
                yield problems(run_, execution_id, sqlite_audit.snapshot(file, run_))


def _backup(settings: "Settings", file: str) -> Path:
    """The copy. Raises Unusable, NotSupported."""
    if settings.is_postgres:
        raise NotSupported("a Postgres database is backed up with its own tools, e.g. pg_dump")
    if file:
        sqlite_backup.copy(settings.file, Path(file))
        return Path(file)
    return sqlite_backup.rotate(settings.file)


async def _rebuild(settings: "Settings", execution_id: str) -> None:
    if settings.is_postgres:
        from dipeo_store.backends import postgres_audit
        from dipeo_store.backends.postgres_database import open_database
        from dipeo_store.backends.postgres_writes import Transaction

        async with open_database(settings.access) as database, database.transaction() as db:
            await postgres_audit.rebuild(Transaction(db), execution_id)
    else:
        async with open_sqlite(
            settings.file, publish=lambda _: None, clock=_now, hand_over=settings.hand_over
        ) as backend:
            await backend.rebuild(execution_id)


def _now() -> int:
    return time.time_ns() // 1000
