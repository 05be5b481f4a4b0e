"""`dipeo list`: the project's diagrams (spec/cli.md §8.3). The executor tells which files are diagrams.

Without a stack, and where none may be started, the names of the files have to do.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dipeo_cli import operations, output, push, stack
from dipeo_cli.config import Config
from dipeo_cli.errors import Unreachable, Usage
from dipeo_cli.tables import columns

FORMATS = {".light.": "light", ".readable.": "readable", ".native.": "native"}
SKIPPED = ("node_modules", "generated", "__pycache__", "venv")
Json = dict[str, Any]


def list_(config: Config, query: str, *, root: str, published: bool, format: str, as_json: bool) -> int:
    folder = push.FOLDER if published else _folder(config, root)
    if published and config.api_url:
        where, files = config.api_url, _published(config)
    else:
        where = str(config.base / folder)
        there = _files(config, folder) if config.api_url or (config.base / folder).is_dir() else []
        files = [{**it, "name": Path(it["path"]).stem} for it in there]
    found = [it for it in files if (not format or it["format"] == format) and _fits(query, it)]
    if as_json:
        output.document({"diagrams": found})
    elif not found:
        output.say(f"no diagrams found in {where}")
    else:
        rows = [("PATH", "FORMAT", "NODES", "")]
        rows += [(it["path"], it["format"], _text(it["nodes"]), _text(it["description"])) for it in found]
        output.answer(columns(rows, right=[2]))
    return 0


def _files(config: Config, folder: str) -> list[Json]:
    try:
        with stack.connect(config) as gateway:
            found: list[Json] = gateway.execute(operations.FIND_DIAGRAMS, {"folder": folder})["findDiagrams"]
            return found
    except Unreachable:
        if config.api_url:
            raise
        return list(_by_name(config.base, folder))


def _published(config: Config) -> list[Json]:
    """Of a gateway elsewhere, which has no files: `path` is the address it has for MCP clients."""
    with stack.connect(config) as gateway:
        return [
            {"name": it["name"], "path": it["uri"], "format": it["format"], "nodes": None, "description": None}
            for it in gateway.published()
        ]


def _folder(config: Config, root: str) -> str:
    folder = (Path.cwd() / root).resolve() if root else config.base
    if not folder.is_dir() or not folder.is_relative_to(config.base):
        raise Usage(f"--root {root}: no folder of the project {config.base}")
    return str(folder.relative_to(config.base))


def _fits(query: str, it: Json) -> bool:
    return query.casefold() in f"{it['path']} {it['description'] or ''}".casefold()


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _by_name(base: Path, folder: str) -> Iterator[Json]:
    paths: list[str] = []
    for place, folders, names in os.walk(base / folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in SKIPPED]
        paths += [Path(place, name).relative_to(base).as_posix() for name in names]
    for path in sorted(paths):
        format = next((word for part, word in FORMATS.items() if part in path.rsplit("/", 1)[-1]), None)
        if format and path.endswith((".yaml", ".yml", ".json")):
            yield {"name": path, "path": path, "format": format, "nodes": None, "description": None}
