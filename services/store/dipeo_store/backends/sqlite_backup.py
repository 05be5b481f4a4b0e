"""Copies of a SQLite file, also while a store serves it; is it sound after a crash? (spec/store.md §16.9)"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from dipeo_kit import logs
from dipeo_kit.errors import DipeoError
from dipeo_store import errors

log = logs.get(__name__)

KEPT = 7  # copies in the folder backup/
FIRST_LOOK_S = 60.0  # a store that has just started has better to do
LOOK_S = 600.0
CHECKED_BYTES = 512 * 1024 * 1024  # a larger file takes too long at a start: `dipeo-store verify`


def require_sound(file: Path) -> None:
    """After a stop that left a log to replay. Raises Unusable, sqlite3.Error."""
    log_left = file.with_name(f"{file.name}-wal")
    if not log_left.exists() or not log_left.stat().st_size or file.stat().st_size > CHECKED_BYTES:
        return
    with closing(sqlite3.connect(file)) as db:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        log.error("database.damaged", file=str(file), found=found)
        raise errors.Unusable(f"{file} is damaged; move it away, and put the last copy of backup/ in its place")


@asynccontextmanager
async def daily(file: Path, every_h: float) -> AsyncIterator[None]:
    """Copy the file whenever the last copy is so old, during the block; 0 = never."""
    task = asyncio.create_task(_copying(file, every_h * 3600)) if every_h else None
    try:
        yield
    finally:
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _copying(file: Path, every_s: float) -> None:
    await asyncio.sleep(FIRST_LOOK_S)
    while True:
        try:
            if time.time() - max((copy.stat().st_mtime for copy in _copies(file)), default=0.0) >= every_s:
                log.info("backup.made", file=str(await asyncio.to_thread(rotate, file)))
        except (DipeoError, OSError) as error:
            log.error("backup.failed", error=str(error))
        await asyncio.sleep(LOOK_S)


def _copies(file: Path) -> list[Path]:
    """Oldest first."""
    return sorted((file.parent / "backup").glob(f"{file.stem}-*.db"))


def rotate(file: Path) -> Path:
    """A new copy in backup/ beside the file; the oldest beyond KEPT go. Raises Unusable."""
    made = file.parent / "backup" / f"{file.stem}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.db"
    copy(file, made)
    for old in _copies(file)[:-KEPT]:
        old.unlink()
    return made


def copy(file: Path, target: Path) -> None:
    """All that was committed at one moment, whole or not at all. Keys in it stay encrypted. Raises Unusable."""
    if not file.exists():
        raise errors.Unusable(f"{file} does not exist; nothing was ever stored there")
    draft = target.with_name(f"{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _copy(file, draft)
        draft.replace(target)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise errors.Unusable(f"cannot write {target}: {error}") from error


def _copy(file: Path, draft: Path) -> None:
    source = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    target = sqlite3.connect(draft)
    try:
        source.backup(target)  # in one step: a store that writes meanwhile would make it begin anew
        target.execute("PRAGMA journal_mode = DELETE")  # one file, complete by itself
    finally:
        target.close()
        source.close()
