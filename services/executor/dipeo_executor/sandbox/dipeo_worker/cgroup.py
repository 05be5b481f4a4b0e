"""Totals of a run: memory and processes of all its workers together. (cgroup v2, where a folder of it is ours)"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
WANTED = {"memory", "pids"}


def usable(given: str) -> str:
    """The folder to make the runs' groups in; "" if there is none. `given`: one that the operator made for this."""
    for folder in [Path(given)] if given else _own():
        with contextlib.suppress(OSError):
            handed_on = set((folder / "cgroup.subtree_control").read_text().split())
            if handed_on >= WANTED and os.access(folder, os.W_OK | os.X_OK):
                return str(folder)
    return ""


def _own() -> list[Path]:
    """The group we are in, and the one above it, whose children may have processes."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                folder = ROOT / line[4:]
                return [folder, folder.parent] if folder != ROOT else [folder]
    return []


class RunGroup:
    def __init__(self, parent: str, owner: int, run: str) -> None:
        self.folder = Path(parent, f"dipeo-{owner}-{run}")

    def make(self, memory_bytes: int, processes: int) -> None:
        """Raises OSError."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "memory.max").write_text(str(memory_bytes))
        (self.folder / "pids.max").write_text(str(processes))
        with contextlib.suppress(OSError):  # no swap accounting
            (self.folder / "memory.swap.max").write_text("0")

    def enter(self) -> None:
        (self.folder / "cgroup.procs").write_text("0")

    def end(self) -> None:
        """Kill what is left in it, and the group with it."""
        with contextlib.suppress(OSError):
            (self.folder / "cgroup.kill").write_text("1")
        with contextlib.suppress(OSError):
            self.folder.rmdir()
