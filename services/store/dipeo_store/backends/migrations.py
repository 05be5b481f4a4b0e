"""Numbered, forward-only migrations: one folder of .sql files per dialect, equal numbers. (spec/store.md §18)"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from dipeo_store.errors import Unusable

SQL = Path(__file__).parent / "sql"


class Migration(NamedTuple):
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load(folder: Path) -> list[Migration]:
    """The migrations of a dialect, in order: files named 0001_core.sql."""
    found = []
    for path in sorted(folder.glob("[0-9]*.sql")):
        version, _, name = path.stem.partition("_")
        found.append(Migration(int(version), name, path.read_text()))
    return found


def require_ours(file: Path) -> None:
    """Before anything is changed in it: a file with tables that no store made is left alone. Raises Unusable."""
    if not file.exists():
        return
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and "schema_migrations" not in tables:
        whose = "the original DiPeO, whose runs are not imported" if tables >= _OF_THE_ORIGINAL else "another program"
        raise Unusable(f"{file} is a database of {whose}; it was left as it is: choose another file")


_OF_THE_ORIGINAL = {"executions", "transitions"}


def migrate_sqlite(db: sqlite3.Connection, migrations: list[Migration], *, file: Path, now_us: int) -> None:
    """Bring the schema up to date, a transaction per step. `db` must be in autocommit mode.

    Raises Unusable when the file is newer than this program, or was made by a migration that has changed since.
    """
    db.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " checksum TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
    )
    applied = dict(db.execute("SELECT version, checksum FROM schema_migrations"))
    unknown = applied.keys() - {migration.version for migration in migrations}
    if unknown:
        raise Unusable(
            f"{file} has schema {max(unknown)}, which this DiPeO does not know yet: use the newer one that wrote it"
        )
    for migration in migrations:
        if migration.version not in applied:
            _apply(db, migration, now_us)
        elif applied[migration.version] != migration.checksum:
            raise Unusable(
                f"{file}: migration {migration.version:04} ({migration.name}) was applied with other contents; "
                "use the DiPeO that made this file, or move the file away to start afresh"
            )


def _apply(db: sqlite3.Connection, migration: Migration, now_us: int) -> None:
    with db:
        db.execute("BEGIN EXCLUSIVE")
        for statement in statements(migration.sql):
            db.execute(statement)
        db.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, ?)",
            (migration.version, migration.name, migration.checksum, now_us),
        )
        db.execute(f"PRAGMA user_version = {migration.version}")


def statements(sql: str) -> Iterator[str]:
    """executescript would commit after each; a migration is one transaction."""
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
