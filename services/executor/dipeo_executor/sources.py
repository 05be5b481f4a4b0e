"""Files that a diagram names: where they are looked for, and who reads them. (node contract 6.3, 12.1; decision 41)"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

NAME_SUFFIXES: dict[str, tuple[str, ...]] = {
    "light": (".light.yaml", ".light.yml", ".yaml", ".yml"),
    "native": (".native.json", ".json"),
    "readable": (".readable.yaml", ".readable.yml", ".yaml", ".yml"),
}
DIAGRAM_FOLDERS = ("", "files", "projects", "examples")  # under BASE, after the parent diagram's own folder


@dataclass(frozen=True, slots=True)
class Lookup:
    """What reading a name gave: a text, or why there is none."""

    text: str | None
    problem: str = ""


class SourceFiles(Protocol):
    def read(self, name: str) -> Lookup:
        """The text of a file; `name` is relative to BASE or absolute. Never raises."""


@dataclass(frozen=True, slots=True)
class Found:
    """The first place that has a text, or none and every place tried."""

    text: str | None
    place: str
    tried: tuple[str, ...]


def first_found(places: Sequence[str], files: SourceFiles) -> Found:
    tried: list[str] = []
    for place in dict.fromkeys(places):
        lookup = files.read(place)
        if lookup.text is not None:
            return Found(lookup.text, place, tuple(tried))
        tried.append(f"{place} ({lookup.problem})")
    return Found(None, "", tuple(tried))


def shown_places(tried: Sequence[str]) -> str:
    """The places for a message: one name per folder, and whatever failed otherwise than by absence."""
    folders: dict[str, str] = {}
    odd = [place for place in tried if not place.endswith("(not found)")]
    for place in tried:
        folders.setdefault(posixpath.dirname(place), place)
    return ", ".join(dict.fromkeys([*folders.values(), *odd]))


def folder_of(diagram_path: str) -> str | None:
    """The folder of the diagram's file as a name relative to BASE or absolute; None when there is no file."""
    return posixpath.dirname(diagram_path) if diagram_path else None


def _join(folder: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(folder, name))


def prompt_places(name: str, diagram_path: str) -> list[str]:
    if posixpath.isabs(name):
        return [posixpath.normpath(name)]
    places = [_join("", name)] if name.startswith(("projects/", "files/")) else []
    folder = folder_of(diagram_path)
    if folder is not None:
        places += [_join(folder, name), _join(f"{folder}/prompts" if folder else "prompts", name)]
        if "prompts/" in name:
            places.append(_join(f"{folder}/prompts" if folder else "prompts", name.replace("prompts/", "", 1)))
    return [*places, _join("files/prompts", name)]


def diagram_places(name: str, format_hint: str, parent_path: str) -> list[str]:
    """Parent's folder, BASE, BASE/files, BASE/projects, BASE/examples, each with every extension."""
    ordered = sorted(NAME_SUFFIXES, key=lambda word: word != format_hint)
    suffixes = list(dict.fromkeys(suffix for word in ordered for suffix in NAME_SUFFIXES[word]))
    has_suffix = name.endswith(tuple(suffixes))
    names = [name] if has_suffix else [name + suffix for suffix in suffixes]
    folder = folder_of(parent_path)
    folders = [*([folder] if folder is not None else []), *DIAGRAM_FOLDERS]
    return [_join(folder, each) for folder in folders for each in names]
