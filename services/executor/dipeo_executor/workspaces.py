"""Where runs of a remote executor work: what clients sent, kept once by content, and a folder per execution made of it.

    ROOT/blobs/ab/abcdef…      ROOT/runs/exec_…/      ROOT/nothing/   the empty project of everything else

Executors that take over each other's runs share ROOT. What nobody used for `keep_days` is removed at start.
"""

import hashlib
import os
import posixpath
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import orjson

from dipeo_executor.files import STATE_FOLDER
from dipeo_kit.errors import BadInput, NotFound

MAX_FILE_BYTES = 10 * 1024 * 1024  # of one file, either way: a gRPC message holds 16 MiB
MAX_LISTED = 10_000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LEFT_OUT = frozenset({STATE_FOLDER, "__pycache__"})


@dataclass(frozen=True, slots=True)
class Written:
    """A file a run made or changed."""

    name: str
    size: int
    sha256: str


class Workspaces:
    def __init__(self, root: Path, *, keep_days: float = 7) -> None:
        root = root.resolve()
        self._blobs, self._runs, self.nothing = root / "blobs", root / "runs", root / "nothing"
        for folder in (self._blobs, self._runs, self.nothing):
            folder.mkdir(parents=True, exist_ok=True)
        self._sweep(keep_days * 86400)

    # --- contents ----------------------------------------------------------------------------------------------------

    def keep(self, contents: Iterable[bytes]) -> None:
        """Raises BadInput for a file that is too large."""
        for content in contents:
            if len(content) > MAX_FILE_BYTES:
                raise BadInput(f"uploads: a file has {len(content):,} bytes; up to {MAX_FILE_BYTES:,} are taken")
            path = self._blob(hashlib.sha256(content).hexdigest())
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                draft = path.with_name(f".{uuid4().hex}")
                draft.write_bytes(content)
                draft.replace(path)

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Those that are not here, each once; the others are kept for a while longer."""
        return [digest for digest in dict.fromkeys(digests) if digest and not self._touched(digest)]

    def _touched(self, digest: str) -> bool:
        try:
            os.utime(self._blob(digest))
        except FileNotFoundError:
            return False
        return True

    def read(self, digest: str) -> bytes:
        return self._blob(digest).read_bytes()

    def _blob(self, digest: str) -> Path:
        return self._blobs / digest[:2] / digest

    # --- workspaces --------------------------------------------------------------------------------------------------

    def make(self, execution_id: str, uploads: Mapping[str, str]) -> Path:
        """The folder of an execution, as it is if it is there already. Raises NotFound naming a file that is gone."""
        made = self._runs / execution_id
        if made.exists():
            return made
        draft = self._runs / f".{execution_id}.{uuid4().hex}"
        draft.mkdir()
        for name, digest in uploads.items():
            if not digest:
                continue
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.write_bytes(self.read(digest))  # a copy: the run may change it
            except FileNotFoundError:
                shutil.rmtree(draft)
                problem = f'"{name}" of {execution_id} is not here; executors must share DIPEO_EXECUTOR_WORKSPACES'
                raise NotFound(problem) from None
        self._manifest(execution_id).write_bytes(orjson.dumps(dict(uploads)))
        try:
            draft.rename(made)
        except OSError:  # another executor was faster
            shutil.rmtree(draft)
        return made

    def written(self, execution_id: str) -> list[Written]:
        """By name; what was uploaded and is unchanged is left out. Raises NotFound."""
        folder = self._folder(execution_id)
        uploads = orjson.loads(self._manifest(execution_id).read_bytes())
        found = []
        for path in _files(folder):
            name = path.relative_to(folder).as_posix()
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if uploads.get(name) != digest:
                found.append(Written(name, path.stat().st_size, digest))
        return sorted(found, key=lambda it: it.name)[:MAX_LISTED]

    def file(self, execution_id: str, name: str) -> bytes:
        """Raises NotFound, BadInput."""
        path = self._folder(execution_id) / checked_name(name)
        if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(self._runs.resolve()):
            raise NotFound(f'{execution_id} has no file "{name}"')
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInput(f'"{name}" has {path.stat().st_size:,} bytes; up to {MAX_FILE_BYTES:,} are handed out')
        return path.read_bytes()

    def _manifest(self, execution_id: str) -> Path:
        return self._runs / f"{execution_id}.json"

    def _folder(self, execution_id: str) -> Path:
        folder = self._runs / execution_id
        if not folder.is_dir():
            raise NotFound(f"{execution_id} has no workspace here, or not any more")
        return folder

    def _sweep(self, age_s: float) -> None:
        before = time.time() - age_s
        for old in [*self._runs.iterdir(), *self._blobs.glob("*/*")]:
            if old.stat().st_mtime < before:
                shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)


def checked_uploads(files: Mapping[str, str]) -> dict[str, str]:
    """Raises BadInput for a name or digest that makes no sense."""
    for name, digest in files.items():
        checked_name(name)
        if digest and not _DIGEST.fullmatch(digest):
            raise BadInput(f'uploads: "{digest[:80]}" of "{name}" is no SHA-256 in lower-case hex')
    return dict(files)


def checked_name(name: str) -> str:
    """A plain relative path, as it would be written. Raises BadInput."""
    parts = name.split("/")
    if (
        name != posixpath.normpath(name)
        or posixpath.isabs(name)
        or parts[0] in ("..", ".", STATE_FOLDER)
        or "\0" in name
    ):
        raise BadInput(f'uploads: "{name[:200]}" is no path below a project root')
    return name


def _files(folder: Path) -> Iterator[Path]:
    """Regular files, links not followed."""
    for entry in folder.iterdir():
        if entry.name in _LEFT_OUT or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.is_file():
            yield entry
