"""Which files under the project root are diagrams: `dipeo list`."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dipeo_executor.formats.detect import Format, name_of
from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.document import MAX_CHARACTERS
from dipeo_executor.formats.loading import load
from dipeo_executor.formats.model import Diagram

SUFFIXES = (".yaml", ".yml", ".json")
SKIPPED = ("node_modules", "generated", "__pycache__", "venv")
MAX_FILES = 5_000  # looked into, so that a home folder as BASE ends


@dataclass(frozen=True, slots=True)
class Found:
    path: str  # relative to BASE
    name: str
    format: Format
    diagram: Diagram
    modified_ms: int


def find(base: Path, folder: Path) -> list[Found]:
    """Sorted by path. Files that cannot be read, and those that are something else, are left out."""
    candidates = (path for path, _ in zip(_files(folder), range(MAX_FILES), strict=False))
    return sorted((found for path in candidates if (found := _look(path, base))), key=lambda found: found.path)


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED)
        yield from (Path(place, name) for name in sorted(names) if name.lower().endswith(SUFFIXES))


def _look(path: Path, base: Path) -> Found | None:
    try:
        if path.stat().st_size > MAX_CHARACTERS:
            return None
        text, modified_ms = path.read_text(encoding="utf-8-sig"), path.stat().st_mtime_ns // 1_000_000
    except (OSError, UnicodeDecodeError):
        return None
    name = path.relative_to(base).as_posix()
    report = Report()
    diagram, format = load(text, path=name, report=report)
    if diagram is None or format is None or not any(node.type == "start" for node in diagram.nodes):
        return None
    return Found(name, name_of(name), format, diagram, modified_ms)
