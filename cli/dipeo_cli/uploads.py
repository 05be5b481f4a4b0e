"""What a remote executor gets of the project: the files it asks for, each once, none from outside (decision 25).

Hidden files and what lies in hidden folders (.env, .git, .dipeo) never leave: no gateway may ask for keys.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from dipeo_cli import output
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, EXIT_USAGE, CliError, FilesWanted

Json = dict[str, Any]
Answer = TypeVar("Answer")
ROUNDS = 100  # each brings something new, so this is for gateways that ask for ever
BATCH_BYTES = 6 * 1024 * 1024
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_MATCHES = 1000


def with_files(config: Config, ask: Callable[[Json | None], Answer]) -> Answer:
    """Ask, and ask again with what is wanted until the executor has it. A local stack wants nothing."""
    offer, uploads = Offer(config.base), None  # type: Offer, Json | None
    for _ in range(ROUNDS):
        try:
            return ask(uploads)
        except FilesWanted as error:
            uploads = offer.more(error.context.get("wanted") or {})
            if config.verbosity:
                for line in offer.told():
                    output.say(line)
    raise CliError("the executor asks for files for ever", code="internal", exit_code=3)


class Offer:
    """Everything said about the project's files so far."""

    def __init__(self, base: Path) -> None:
        self._base = base.resolve()
        self._files: dict[str, str] = {}  # name -> sha256; "" = there is none
        self._paths: dict[str, Path] = {}  # sha256 -> where it is
        self._lines: list[str] = []

    def more(self, wanted: Json) -> Json:
        """The uploads that answer a question. Raises CliError for a file that is too large, or a question repeated."""
        before = len(self._files)
        for name in wanted.get("names") or ():
            self._files.setdefault(name, "")
            for each in self._matches(name):
                self._add(each)
        contents = self._contents(wanted.get("contents") or [])
        if len(self._files) == before and not contents:
            raise CliError("the executor asks again for what it was told", code="internal", exit_code=3)
        return {"files": self._files, "contents": contents}

    def told(self) -> list[str]:
        """What was sent since the last time, for -v."""
        lines, self._lines = self._lines, []
        return lines

    def _matches(self, name: str) -> Iterator[str]:
        """Names of files that exist below the project, for a name or a pattern."""
        if self._allowed(self._base / name):
            yield name
        elif any(sign in name for sign in "*?[") and not Path(name).is_absolute():
            found = (path for path in sorted(self._base.glob(name)) if self._allowed(path))
            for path in islice(found, MAX_MATCHES):
                yield path.relative_to(self._base).as_posix()

    def _allowed(self, path: Path) -> bool:
        try:
            inside = path.resolve().relative_to(self._base)
            named = path.relative_to(self._base)
        except ValueError:
            return False
        hidden = any(part.startswith(".") for part in (*inside.parts, *named.parts))
        return not hidden and path.is_file()

    def _add(self, name: str) -> None:
        path = self._base / name
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            problem = f"{name} has {size:,} bytes; a remote executor takes files up to {MAX_FILE_BYTES:,}"
            raise CliError(problem, code="bad_input", exit_code=EXIT_NEGATIVE)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self._files[name], self._paths[digest] = digest, path

    def _contents(self, digests: list[str]) -> list[str]:
        """As many as fit into one request; the executor asks again. Raises CliError for a file that changed."""
        contents: list[str] = []
        room = BATCH_BYTES
        for digest in digests:
            path = self._paths.get(digest)
            if path is None:
                continue
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != digest:
                problem = f"{path.relative_to(self._base)} changed while it was sent; run it again"
                raise CliError(problem, code="conflict", exit_code=EXIT_NEGATIVE)
            if contents and len(data) > room:
                break
            room -= len(data)
            contents.append(base64.b64encode(data).decode())
            self._lines.append(f"uploaded {path.relative_to(self._base)} ({len(data):,} bytes)")
        return contents


# --- and back --------------------------------------------------------------------------------------------------------


def fetch(files: list[Json], read: Callable[[str], bytes], folder: Path) -> Iterator[str]:
    """Write what a run made into `folder`, and name each file as it is there.

    A file that is not given (it is too large) is told, and the others come all the same. Raises CliError.
    """
    root, kept_back = folder.resolve(), 0
    for each in files:
        path = (root / each["name"]).resolve()
        if not path.is_relative_to(root):
            raise CliError(f"the gateway names a file outside {folder}: {each['name']}", code="internal", exit_code=3)
        try:
            content = read(each["name"])
        except CliError as error:
            if error.exit_code not in (EXIT_NEGATIVE, EXIT_USAGE):
                raise
            output.error(str(error), error.hint)
            kept_back += 1
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise CliError(f"cannot write {path}: {error.strerror}", code="bad_input", exit_code=1) from error
        yield str(folder / each["name"])
    if kept_back:
        problem = f"{kept_back} of {len(files)} files did not come back"
        raise CliError(problem, code="bad_input", exit_code=EXIT_NEGATIVE)
