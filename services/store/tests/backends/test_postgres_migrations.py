"""Case 27: migrations on Postgres, also of two stores that start together."""

import asyncio
import re
import sqlite3

import asyncpg
import postgres
import pytest

from dipeo_kit import ids
from dipeo_store.backends.migrations import SQL, Migration, load, migrate_sqlite
from dipeo_store.backends.postgres_database import Access
from dipeo_store.backends.postgres_migrations import check, migrate
from dipeo_store.errors import Unusable

ONE = Migration(1, "one", "CREATE TABLE a (x integer); -- a remark; with a semicolon\nINSERT INTO a VALUES (1);\n")
TWO = Migration(2, "two", "ALTER TABLE a ADD COLUMN y integer;\nUPDATE a SET y = x + 1;\n")
BROKEN = Migration(2, "two", "ALTER TABLE a ADD COLUMN y integer;\nUPDATE nowhere SET y = 1;\n")


@pytest.fixture
async def url(postgres_server: tuple[str, str]):
    name = f"empty_{ids.new_hex()}"
    await postgres.execute(postgres_server[0], f"CREATE DATABASE {name}")
    yield postgres.database(postgres_server[0], name)
    await postgres.execute(postgres_server[0], f"DROP DATABASE {name} WITH (FORCE)")


async def _rows(url: str, sql: str) -> list[tuple]:
    db = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await db.fetch(sql)]
    finally:
        await db.close()


async def test_case_27_step_by_step_keeps_the_data(url):
    assert await migrate(Access(url), [ONE]) == [ONE]
    assert await migrate(Access(url), [ONE, TWO]) == [TWO]
    assert await migrate(Access(url), [ONE, TWO]) == []
    assert await _rows(url, "SELECT x, y FROM a") == [(1, 2)]


async def test_case_27_a_step_interrupted_in_the_middle_runs_again(url):
    with pytest.raises(Exception, match="database"):
        await migrate(Access(url), [ONE, BROKEN])
    assert await _rows(url, "SELECT version FROM schema_migrations") == [(1,)]
    await migrate(Access(url), [ONE, TWO])
    assert await _rows(url, "SELECT x, y FROM a") == [(1, 2)]


async def test_case_27_of_two_that_start_together_one_applies(url):
    known = load(SQL / "postgres")
    applied = await asyncio.gather(*(migrate(Access(url), known) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(known)]
    await check(Access(url), known)


async def test_case_27_a_newer_a_changed_and_an_older_database_are_refused(url):
    with pytest.raises(Unusable, match=r"lacks migration 0001 \(one\); run `dipeo-store migrate`"):
        await check(Access(url), [ONE])
    await migrate(Access(url), [ONE, TWO])
    with pytest.raises(Unusable, match="has schema 2, which this DiPeO does not know yet"):
        await migrate(Access(url), [ONE])
    with pytest.raises(Unusable, match=r"migration 0001 \(one\) was applied with other contents"):
        await check(Access(url), [ONE._replace(sql="CREATE TABLE b (x integer);"), TWO])


ONLY_ON_POSTGRES = {
    ("sessions", "heartbeat_at"),  # on SQLite one process sees every heartbeat
    ("signals", "id"),  # on SQLite the rowid
}


async def test_case_27_both_dialects_end_with_the_same_tables_and_columns(url, tmp_path):
    numbers = [[(each.version, each.name) for each in load(SQL / dialect)] for dialect in ("sqlite", "postgres")]
    assert numbers[0] == numbers[1]
    await migrate(Access(url), load(SQL / "postgres"))
    ours = set(
        await _rows(url, "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
    )
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    migrate_sqlite(db, load(SQL / "sqlite"), file=tmp_path / "x.db", now_us=1)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    theirs = {
        (table, column)
        for table in tables
        if not re.match("sqlite_", table)
        for (column,) in db.execute(f"SELECT name FROM pragma_table_info('{table}')")
    }
    db.close()
    assert ours - ONLY_ON_POSTGRES == theirs
