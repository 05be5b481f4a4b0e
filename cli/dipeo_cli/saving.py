"""Waiting for somebody to save a file. Polls: no library is worth loading for a few files."""

import time
from collections.abc import Sequence
from pathlib import Path

POLL_S = 0.2
Stamp = tuple[int, int]  # time of change in ns, size; (0, 0) while an editor has it replaced


def stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def wait(paths: Sequence[Path], seen: Sequence[Stamp]) -> None:
    """Return once all files are there and one is not what was seen."""
    while (0, 0) in (now := [stamp(path) for path in paths]) or now == list(seen):
        time.sleep(POLL_S)
