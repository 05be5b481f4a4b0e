"""Finding the diagram a command names (spec/formats.md §11.1)."""

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from dipeo_cli.errors import CliError, NotFound

EXTENSIONS = {
    "light": (".light.yaml", ".light.yml", ".yaml", ".yml"),
    "native": (".native.json", ".json"),
    "readable": (".readable.yaml", ".readable.yml", ".yaml", ".yml"),
}
Item = TypeVar("Item")
FOLDERS = ("examples", "examples/simple_diagrams", "projects", "projects/mcp-diagrams", "files", "")


@dataclass(frozen=True, slots=True)
class Diagram:
    """A diagram's text as it goes to the gateway; nothing here reads it (decision 25)."""

    text: str
    path: str  # relative to BASE when inside it, else absolute; "" for stdin
    format: str  # light, native, readable; "" = let the executor tell
    name: str  # as people see it


def load(name: str, format: str, base: Path) -> Diagram:
    """Read the diagram a command names. Raises NotFound, listing the places tried."""
    path = find(name, format, base, Path.cwd())
    return Diagram(read_text(path), relative(path, base), format, name)


def relative(path: Path, base: Path) -> str:
    resolved = path.resolve()
    shown = resolved.relative_to(base) if resolved.is_relative_to(base) else resolved
    return os.fsencode(shown).decode("utf-8", "replace")  # what the file system holds need not be text


def read_text(path: Path) -> str:
    """Raises CliError when the file cannot be read or is no UTF-8 text."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CliError(
            f"{path} is not UTF-8 text: bad byte at offset {error.start}", code="diagram_invalid", exit_code=1
        ) from error
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}", code="bad_input", exit_code=1) from error


def find(name: str, format: str, base: Path, cwd: Path) -> Path:
    """The file meant by a path or a bare name; `format` narrows the extensions tried."""
    folders = _unique([cwd, *(base / folder for folder in FOLDERS)])
    extensions = _unique(
        [extension for known in ([format] if format else EXTENSIONS) for extension in EXTENSIONS[known]]
    )
    everything = _unique([*extensions, *(extension for known in EXTENSIONS.values() for extension in known)])
    candidates = [cwd / name]
    if not Path(name).suffix:
        candidates += [folder / f"{name}{extension}" for extension in extensions for folder in folders]
    candidates += [folder / f"{name}{extension}" for folder in folders for extension in ("", *everything)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if (cwd / name).is_dir():
        raise NotFound(f"{name} is a folder, not a diagram", hint=f"`dipeo list --root {name}` shows those in it")
    places = ", ".join(str(folder) for folder in folders if folder.is_dir())
    raise NotFound(
        f"diagram {name} not found; tried it with {', '.join(everything)} in {places}", hint=_nearest(name, folders)
    )


def _nearest(name: str, folders: list[Path]) -> str:
    suffixes = tuple(extension for known in EXTENSIONS.values() for extension in known)
    files = {
        path.name
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.name.endswith(suffixes) and path.is_file()
    }
    close = get_close_matches(Path(name).name, sorted(files), n=3, cutoff=0.4)
    return f"did you mean {', '.join(close)}?" if close else ""


def _unique(items: list[Item]) -> list[Item]:
    return list(dict.fromkeys(items))
