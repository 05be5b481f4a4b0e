"""Files of a client as the compiler sees them; the files a remote executor asks for, and those a project lacks."""

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from dipeo_executor.bundle import Bundle
from dipeo_executor.files import STATE_FOLDER
from dipeo_executor.nodes import code_job, db, diff_patch, json_schema_validator, template_job
from dipeo_executor.program import Node, Program
from dipeo_executor.sources import Lookup
from dipeo_executor.workspaces import Workspaces


class UploadedSource:
    """A SourceFiles over what a client sent."""

    def __init__(self, workspaces: Workspaces, files: Mapping[str, str]) -> None:
        self._workspaces, self._files = workspaces, files
        self._seen: dict[str, Lookup] = {}
        self._wanted: dict[str, None] = {}

    def read(self, name: str) -> Lookup:
        if name not in self._seen:
            self._seen[name] = self._read(name)
        return self._seen[name]

    def _read(self, name: str) -> Lookup:
        plain = posixpath.normpath(name)
        if posixpath.isabs(plain) or plain.split("/")[0] in ("..", STATE_FOLDER):
            return Lookup(None, "closed: outside the project root, or DiPeO's own state")
        if plain not in self._files:
            self._wanted[plain] = None
        if not self._files.get(plain):
            return Lookup(None, "not found")
        try:
            return Lookup(self._workspaces.read(self._files[plain]).decode().removeprefix("\ufeff"))
        except UnicodeDecodeError:
            return Lookup(None, f'"{name}" is not UTF-8 text')

    def wanted_for(self, program: Program | None) -> list[str]:
        """Names the client has said nothing about, in the order they came up: at compile time, then at run time."""
        later = needed_later(program) if program and not self._wanted else ()
        return [*self._wanted, *(name for name in dict.fromkeys(later) if name not in self._files)]

    def bundle(self, text: str, *, path: str, format: str) -> Bundle:
        return Bundle(text, path, format, dict(self._seen), dict(self._files))


def needed_later(program: Program) -> Iterator[str]:
    """Files that nodes read while they run, as far as their names are written out, and patterns of such files."""
    for node in program.nodes:
        if node.child is not None:
            yield from needed_later(node.child)
        for name in _names(node):
            plain = posixpath.normpath(name)
            if name and "{" not in name and not posixpath.isabs(plain) and not plain.startswith(".."):
                yield plain


def absent(program: Program, base: Path) -> list[str]:
    """Of `needed_later`: what the project lacks, and is neither written by the diagram nor allowed to be missing."""
    needless = set(_needless(program))
    names = (name for name in needed_later(program) if not any(sign in name for sign in "*?["))
    return [name for name in dict.fromkeys(names) if name not in needless and not (base / name).exists()]


def _needless(program: Program) -> Iterator[str]:
    for node in program.nodes:
        if node.child is not None:
            yield from _needless(node.child)
        if isinstance(node.props, db.Props) and (node.props.operation != "read" or node.props.missing_ok):
            file = node.props.file
            yield from map(posixpath.normpath, [file] if isinstance(file, str) else file)


def _names(node: Node) -> Iterator[str]:
    props = node.props
    match props:
        case db.Props() if props.operation != "write":  # what is only written need not be there before
            yield from [props.file] if isinstance(props.file, str) else props.file
        case code_job.Props() if props.file_path:
            yield props.file_path
            yield f"{posixpath.dirname(props.file_path) or '.'}/*.py"  # what it may import
        case template_job.Props() if props.template_path:
            yield props.template_path
        case json_schema_validator.Props():
            yield from (props.schema_path, props.data_path)
        case diff_patch.Props():
            yield props.target_path
