"""The project's files, for nodes. (decisions 14 and 41, node contract 2.6)"""

import contextlib
import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from dipeo_executor.nodes.base import NodeError

MAX_BYTES = 50 * 1024 * 1024
STATE_FOLDER = ".dipeo"  # holds keys and tokens of the local stack


class PathOutsideProject(NodeError):
    """The path leaves the project root, or points at DiPeO's own state."""


class FileMissing(NodeError):
    """What was looked for is not there."""


class FileUnusable(NodeError):
    """There is something, but it cannot be read or written as asked."""


class ProjectFiles:
    """nodes.base.Files over one folder. Every path is contained in `base` after symlink resolution."""

    def __init__(self, base: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._base = base.resolve()
        self._max_bytes = max_bytes

    def resolve(self, name: str) -> str:
        try:
            path = (self._base / name).resolve()
        except (ValueError, OSError, RuntimeError) as error:  # a null character, a name too long, a symlink loop
            raise FileUnusable(f'"{name[:200]}" is not a usable file name: {error}') from None
        if not path.is_relative_to(self._base):
            raise PathOutsideProject(f'"{name}" lies outside the project root; name a file inside it')
        if path.is_relative_to(self._base / STATE_FOLDER):
            raise PathOutsideProject(f'"{name}" lies in {STATE_FOLDER}, which is closed to diagrams')
        return str(path)

    def glob(self, pattern: str) -> list[str]:
        """Files only, sorted; `**` goes down any number of folders."""
        root = f"{self._base}{os.sep}"
        # not Path.glob: there ** finds folders only before 3.13, and hidden ones such as .git
        found = glob.glob(pattern.removeprefix(root), root_dir=self._base, recursive=True)  # noqa: PTH207
        return sorted(name for name in set(found) if self._is_file(name))

    def _is_file(self, name: str) -> bool:
        try:
            return Path(self.resolve(name)).is_file()
        except PathOutsideProject:
            return False

    def exists(self, name: str) -> bool:
        return Path(self.resolve(name)).exists()

    def read_text(self, name: str) -> str:
        with _errors_of(name):
            return self.read_bytes(name).decode()

    def read_bytes(self, name: str) -> bytes:
        path = Path(self.resolve(name))
        with _errors_of(name):
            if not path.exists():
                raise FileMissing(f'there is no file "{name}" in the project root')
            size = path.stat().st_size
            if not path.is_file():
                raise FileUnusable(f'"{name}" is a folder, not a file')
            if size > self._max_bytes:
                raise FileUnusable(f'"{name}" has {size:,} bytes; files up to {self._max_bytes:,} are read')
            return path.read_bytes()

    def write_text(self, name: str, text: str) -> int:
        return self.write_bytes(name, self._data(name, text))

    def write_bytes(self, name: str, data: bytes) -> int:
        path = Path(self.resolve(name))
        unfinished = path.with_name(f".{path.name[:100]}.{uuid4().hex}.tmp")
        with _errors_of(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with unfinished.open("xb") as file:
                    if path.exists():
                        os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        return len(data)

    def append_text(self, name: str, text: str) -> int:
        """One write at the end of the file, so lines of nodes that append at once do not mix."""
        data = self._data(name, text)
        path = Path(self.resolve(name))
        with _errors_of(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab", buffering=0) as file:
                file.write(data)
        return len(data)

    def _data(self, name: str, text: str) -> bytes:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise FileUnusable(f'the text for "{name}" is not Unicode') from None
        if len(data) > self._max_bytes:
            raise FileUnusable(f'"{name}" would have {len(data):,} bytes; files up to {self._max_bytes:,} are written')
        return data


@contextlib.contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """The system's errors in words that name the file as the user wrote it, never the server's path."""
    try:
        yield
    except UnicodeDecodeError:
        raise FileUnusable(f'"{name}" is not UTF-8 text') from None
    except OSError as error:
        raise FileUnusable(f'"{name}": {error.strerror or type(error).__name__}') from error
