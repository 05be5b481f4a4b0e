"""The published diagrams of a project: what lies in BASE/projects/mcp-diagrams (spec/cli.md §6.4, spec/mcp.md §3.4)."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dipeo_cli import lookup
from dipeo_cli.errors import CliError
from dipeo_cli.push import FOLDER, SUFFIXES
from dipeo_kit import errors, logs, publishing
from dipeo_mcp.catalogue import Entry

log = logs.get(__name__)

EVERY_S = 0.5
_FORMATS = {".light": "light", ".readable": "readable", ".native": "native"}


class Folder:
    """A catalogue whose diagrams are files: people edit them, and what they save is published."""

    def __init__(self, base: Path) -> None:
        self._base = base.resolve()
        self._folder = self._base / FOLDER
        self._read: dict[Path, tuple[tuple[int, int], Entry | None]] = {}

    async def published(self) -> Sequence[Entry]:
        found: dict[str, Entry] = {}
        known = self._read
        self._read = {}
        for path, stamp in self._files():
            kept = known.get(path)
            entry = kept[1] if kept and kept[0] == stamp else self._entry(path, stamp)
            self._read[path] = (stamp, entry)
            if entry is None:
                continue
            if entry.name in found:
                log.warning("mcp.two_files_of_one_name", diagram=entry.name, ignored=path.name)
                continue
            found[entry.name] = entry
        return list(found.values())

    async def find(self, name: str) -> Entry | None:
        """A diagram of the project by its bare name, where the commands look for it."""
        try:
            path = lookup.find(name, "", self._base, self._base)
        except CliError:
            return None
        if not path.name.endswith(SUFFIXES) or not path.resolve().is_relative_to(self._base):
            return None
        found = path.stat()
        return self._entry(path, (found.st_mtime_ns, found.st_size))

    async def put(self, name: str, text: str, format: str, *, overwrite: bool) -> bool:
        there = list(self._of(name))
        if there and not overwrite:
            raise errors.AlreadyExists(f'the diagram "{name}" exists; give overwrite: true to replace it')
        path = self._folder / f"{name}{'.json' if format == 'native' else '.yaml'}"
        draft = path.with_name(f".{path.name}.new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
            for other in there:
                if other != path:
                    other.unlink()
        except OSError as error:
            raise errors.Unavailable(f"the diagram cannot be written: {error.strerror}") from error
        return bool(there)

    async def remove(self, name: str) -> bool:
        there = list(self._of(name))
        try:
            for path in there:
                path.unlink()
        except OSError as error:
            raise errors.Unavailable(f"the diagram cannot be removed: {error.strerror}") from error
        return bool(there)

    async def changes(self) -> AsyncIterator[None]:
        seen = list(self._files())
        while True:
            await asyncio.sleep(EVERY_S)
            now = list(self._files())
            if now != seen:
                seen = now
                yield None

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        """(path, what changes when its content does) of every file that may be a diagram, by name."""
        try:
            entries = sorted(os.scandir(self._folder), key=lambda entry: entry.name)
        except OSError:
            return
        for entry in entries:
            with suppress(OSError):  # it may go away while we look
                path = Path(entry.path)
                if entry.name.endswith(SUFFIXES) and entry.is_file() and path.resolve().is_relative_to(self._base):
                    yield path, (entry.stat().st_mtime_ns, entry.stat().st_size)

    def _of(self, name: str) -> Iterator[Path]:
        return (path for path, _ in self._files() if name_of(path) == name)

    def _entry(self, path: Path, stamp: tuple[int, int]) -> Entry | None:
        """None for what cannot be offered; the log says why."""
        name = name_of(path)
        if not publishing.is_name(name) or stamp[1] > publishing.MAX_SOURCE_BYTES:
            log.warning("mcp.not_published", file=path.name, reason="its name or its size is not fit to be published")
            return None
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            log.warning("mcp.not_published", file=path.name, reason=str(error))
            return None
        format = next((word for part, word in _FORMATS.items() if part in path.suffixes), "")
        if path.suffix == ".json":
            format = "native"
        updated_at = datetime.fromtimestamp(stamp[0] / 1e9, UTC)
        relative = path.resolve().relative_to(self._base).as_posix()
        return Entry(name, text, format, f"{stamp[0]}-{stamp[1]}", updated_at, relative)


def name_of(path: Path) -> str:
    """The name a file is published under: its own, without the suffix of its format."""
    suffix = next(suffix for suffix in SUFFIXES if path.name.endswith(suffix))
    return path.name.removesuffix(suffix)
