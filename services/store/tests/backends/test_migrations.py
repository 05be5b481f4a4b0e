"""Case 27: migrations on SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dipeo_store.backends.migrations import SQL, Migration, load, migrate_sqlite
from dipeo_store.errors import Unusable
from dipeo_store.main import running
from dipeo_store.settings import Settings

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


ORIGINAL = """
CREATE TABLE executions (execution_id TEXT PRIMARY KEY, status TEXT NOT NULL, diagram_id TEXT, started_at TEXT NOT NULL,
  ended_at TEXT, node_states TEXT NOT NULL, node_outputs TEXT NOT NULL, llm_usage TEXT NOT NULL, error TEXT,
  variables TEXT NOT NULL, exec_counts TEXT NOT NULL DEFAULT '{}', executed_nodes TEXT NOT NULL DEFAULT '[]',
  metrics TEXT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, access_count INTEGER DEFAULT 0,
  last_accessed TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE transitions (id TEXT PRIMARY KEY, execution_id TEXT NOT NULL, node_id TEXT, phase TEXT NOT NULL,
  seq INTEGER NOT NULL, payload TEXT NOT NULL, created_at TEXT NOT NULL DEFAULT (datetime('now')));
INSERT INTO executions (execution_id, status, started_at, node_states, node_outputs, llm_usage, variables)
  VALUES ('exec_0123456789abcdef0123456789abcdef', 'running', '2025-01-01T00:00:00', '{}', '{}', '{}', '{}');
INSERT INTO transitions (id, execution_id, phase, seq, payload)
  VALUES ('x:1', 'exec_0123456789abcdef0123456789abcdef', 'EXECUTION_STARTED', 1, '{}');
"""


@pytest.mark.parametrize(
    ("made_by", "whose"),
    [(ORIGINAL, "the original DiPeO, whose runs are not imported"), ("CREATE TABLE notes (x)", "another program")],
)
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
async def test_case_28_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path, made_by, whose, mode):
    """Decision 21: nothing is imported. A user who points the store at such a file loses nothing and is told so."""
    file = tmp_path / "dipeo_state.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.executescript(made_by)
        before = list(db.iterdump())
    for _ in range(2):
        with pytest.raises(Unusable, match=f"dipeo_state.db is a database of {whose}.*choose another file"):
            async with running(Settings(url=f"sqlite:///{file}", listen=f"unix:{tmp_path}/s")):
                pass
    with closing(sqlite3.connect(file)) as db:
        assert list(db.iterdump()) == before
        assert db.execute("PRAGMA journal_mode").fetchone() == (mode.lower(),)


def test_the_migrations_of_this_release_are_numbered_without_gap_and_apply(db):
    migrations = load(SQL / "sqlite")
    assert [each.version for each in migrations] == list(range(1, len(migrations) + 1))
    _migrate(db, *migrations)
    strict = db.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict")
    assert [name for (name,) in strict if not name.startswith("sqlite_")] == []
