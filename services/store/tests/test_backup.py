"""Copies of a database that is in use (spec/store.md §16.9)."""

import asyncio
import os
import shutil
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest
from store_client import Store, completed, started

from dipeo_kit.errors import NotSupported, Unavailable
from dipeo_store import admin
from dipeo_store.backends import sqlite_backup
from dipeo_store.main import running
from dipeo_store.settings import Settings


async def test_a_copy_made_under_load_is_whole_and_serves(sqlite_store: Store, tmp_path: Path, capsys):
    copied = tmp_path / "deep" / "copy.db"
    async with sqlite_store.session() as session:
        work = await sqlite_store.running(session)

        async def load() -> None:
            for n in range(100):
                await sqlite_store.append(work, started("a", n), completed("a", n))

        writing = asyncio.create_task(load())
        await sqlite_store.eventually(work.execution_id, "node_completed")
        before = await sqlite_store.journal(work.execution_id)
        assert await admin.run("backup", sqlite_store.settings, str(copied)) == 0
        await writing
    assert capsys.readouterr().out.endswith(f"{copied}\n")
    assert stat.S_IMODE(copied.stat().st_mode) == 0o600
    assert [path.name for path in copied.parent.iterdir()] == ["copy.db"]
    settings = sqlite_store.settings.model_copy(
        update={"url": f"sqlite:///{copied}", "listen": f"{sqlite_store.settings.listen}.copy"}
    )
    assert await admin.run("verify", settings, "") == 0
    restored = Store(settings, sqlite_store.clock, "")
    await restored.start()
    try:
        assert (await restored.journal(work.execution_id))[: len(before)] == before
    finally:
        await restored.stop()


async def test_without_a_name_the_last_seven_copies_are_kept(sqlite_store: Store):
    await sqlite_store.create()
    for _ in range(9):
        await admin.run("backup", sqlite_store.settings, "")
    copies = sorted((sqlite_store.settings.file.parent / "backup").iterdir())
    assert len(copies) == 7
    await admin.run("backup", sqlite_store.settings, "")
    assert copies[1:] == sorted((sqlite_store.settings.file.parent / "backup").iterdir())[:-1]


async def test_a_store_copies_its_file_by_itself_once_in_a_while(sqlite_store: Store, monkeypatch):
    monkeypatch.setattr(sqlite_backup, "FIRST_LOOK_S", 0.01)
    monkeypatch.setattr(sqlite_backup, "LOOK_S", 0.01)
    folder = sqlite_store.settings.file.parent / "backup"

    async def copies(number: int) -> list[Path]:
        async with asyncio.timeout(5):
            while len(found := sorted(folder.glob("*.db"))) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found

    await sqlite_store.restart()
    (first,) = await copies(1)
    os.utime(first, (0, time.time() - 23 * 3600))
    await sqlite_store.restart()
    await asyncio.sleep(0.1)  # some looks at it
    assert await copies(1) == [first]
    os.utime(first, (0, time.time() - 25 * 3600))
    assert len(await copies(2)) == 2


async def test_a_file_damaged_by_a_crash_is_refused_and_its_copies_are_named(sqlite_store: Store, tmp_path: Path):
    async with sqlite_store.session() as session:
        work = await sqlite_store.running(session)
        await sqlite_store.append(work, *(started("a", n) for n in range(200)))
        crashed = tmp_path / "state.db"  # as a kill would leave it
        for ending in ("", "-wal"):
            shutil.copy(f"{sqlite_store.settings.file}{ending}", f"{crashed}{ending}")
    whole = sqlite_store.settings.model_copy(update={"url": f"sqlite:///{crashed}", "listen": f"unix:{tmp_path}/s"})
    shutil.copytree(tmp_path, tmp_path / "sound")
    async with running(whole.model_copy(update={"url": f"sqlite:///{tmp_path}/sound/state.db"})):
        pass
    with closing(sqlite3.connect(crashed)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'transitions'").fetchone()
    with crashed.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 200)
    Path(f"{crashed}-wal").write_bytes(b"a torn log")
    with pytest.raises(Unavailable, match=r"state.db is damaged.*backup/"):
        async with running(whole):
            pass


async def test_what_cannot_be_copied_is_said(sqlite_settings: Settings, sqlite_store: Store, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot write"):
        await admin.run("backup", sqlite_store.settings, str(tmp_path / "file" / "x.db"))
    with pytest.raises(Unavailable, match="nothing was ever stored"):
        await admin.run("backup", sqlite_settings.model_copy(update={"url": f"sqlite:///{tmp_path}/no.db"}), "")
    with pytest.raises(NotSupported, match="pg_dump"):
        await admin.run("backup", sqlite_settings.model_copy(update={"url": "postgresql://x/y"}), "")
