"""The captured source of a run: the diagram and every file it names, so that recovery rereads nothing. (decision 43)"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from dipeo_executor.files import FileMissing, PathOutsideProject, ProjectFiles
from dipeo_executor.formats.document import MAX_CHARACTERS
from dipeo_executor.nodes.base import NodeError
from dipeo_executor.sources import Lookup


@dataclass(frozen=True, slots=True)
class Bundle:
    """`files`: name as asked for -> what was found there, failures included. A SourceFiles without a disk.

    `uploads`: of a run in a workspace, its files: name -> sha256; None = the run works in the project itself.
    """

    text: str
    path: str
    format: str
    files: Mapping[str, Lookup]
    uploads: Mapping[str, str] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)  # see changes.applied

    def read(self, name: str) -> Lookup:
        return self.files.get(name, Lookup(None, "not captured when the run was submitted"))

    def to_bytes(self) -> bytes:
        files = {name: {"text": found.text, "problem": found.problem} for name, found in self.files.items()}
        bundle = {"format": self.format, "path": self.path, "text": self.text, "files": files}
        uploads = {} if self.uploads is None else {"uploads": self.uploads}
        return orjson.dumps(bundle | uploads | ({"changes": self.changes} if self.changes else {}))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Bundle":
        """Raises ValueError or KeyError when the bytes are none of ours."""
        raw = orjson.loads(data)
        files = {name: Lookup(found["text"], found["problem"]) for name, found in raw["files"].items()}
        return cls(raw["text"], raw["path"], raw["format"], files, raw.get("uploads"), raw.get("changes", {}))


class ProjectSource:
    """A SourceFiles over the project folder that keeps every answer, so that a bundle can give the same ones."""

    def __init__(self, base: Path) -> None:
        self._files = ProjectFiles(base, max_bytes=MAX_CHARACTERS)
        self._seen: dict[str, Lookup] = {}

    def read(self, name: str) -> Lookup:
        if name not in self._seen:
            self._seen[name] = self._read(name)
        return self._seen[name]

    def _read(self, name: str) -> Lookup:
        try:
            return Lookup(self._files.read_text(name).removeprefix("\ufeff"))
        except FileMissing:
            return Lookup(None, "not found")
        except PathOutsideProject:
            return Lookup(None, "closed: outside the project root, or DiPeO's own state")
        except NodeError as error:
            return Lookup(None, str(error))

    def bundle(self, text: str, *, path: str, format: str) -> Bundle:
        return Bundle(text, path, format, dict(self._seen))
