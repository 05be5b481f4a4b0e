"""Copies of a SQLite file, also while a store serves it. (spec/store.md §16.9)"""

import os
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dipeo_store import errors

KEPT = 7  # copies in the folder backup/


def rotate(file: Path) -> Path:
    """A new copy in backup/ beside the file; the oldest beyond KEPT go. Raises Unusable."""
    folder = file.parent / "backup"
    made = folder / f"{file.stem}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.db"
    copy(file, made)
    for old in sorted(folder.glob(f"{file.stem}-*.db"))[:-KEPT]:
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
