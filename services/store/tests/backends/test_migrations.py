"""Case 27: migrations on SQLite."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dipeo_store.backends.migrations import SQL, Migration, load, migrate_sqlite
from dipeo_store.errors import Unusable

ONE = Migration(1, "one", "CREATE TABLE a (x INTEGER); -- a remark; with a semicolon\nINSERT INTO a VALUES (1);\n")
TWO = Migration(2, "two", "ALTER TABLE a ADD COLUMN y INTEGER;\nUPDATE a SET y = x + 1;\n")
BROKEN = Migration(2, "two", "ALTER TABLE a ADD COLUMN y INTEGER;\nUPDATE nowhere SET y = 1;\n")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "m.db", isolation_level=None)
    yield connection
    connection.close()


def _migrate(db: sqlite3.Connection, *migrations: Migration) -> None:
    migrate_sqlite(db, list(migrations), file=Path("m.db"), now_us=1)


def _schema(db: sqlite3.Connection) -> list[tuple[str]]:
    return db.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()


def test_case_27_from_empty_and_step_by_step_end_alike_and_keep_the_data(db, tmp_path):
    _migrate(db, ONE)
    _migrate(db, ONE, TWO)
    _migrate(db, ONE, TWO)
    assert db.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]
    assert db.execute("PRAGMA user_version").fetchone() == (2,)
    other = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    _migrate(other, ONE, TWO)
    assert _schema(other) == _schema(db)
    other.close()


def test_case_27_a_step_interrupted_in_the_middle_runs_again(db):
    with pytest.raises(sqlite3.OperationalError):
        _migrate(db, ONE, BROKEN)
    assert db.execute("SELECT version FROM schema_migrations").fetchall() == [(1,)]
    _migrate(db, ONE, TWO)
    assert db.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]


def test_case_27_a_newer_database_is_refused(db):
    _migrate(db, ONE, TWO)
    with pytest.raises(Unusable, match=r"m\.db has schema 2, which this DiPeO does not know yet"):
        _migrate(db, ONE)


def test_case_27_a_migration_that_was_edited_is_refused(db):
    _migrate(db, ONE)
    with pytest.raises(Unusable, match=r"m\.db: migration 0001 \(one\) was applied with other contents"):
        _migrate(db, ONE._replace(sql="CREATE TABLE b (x INTEGER);"))


def test_the_migrations_of_this_release_are_numbered_without_gap_and_apply(db):
    migrations = load(SQL / "sqlite")
    assert [each.version for each in migrations] == list(range(1, len(migrations) + 1))
    _migrate(db, *migrations)
    strict = db.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict")
    assert [name for (name,) in strict if not name.startswith("sqlite_")] == []
