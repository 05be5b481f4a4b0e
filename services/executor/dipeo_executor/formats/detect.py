"""Which format a text is in: one detector for everybody. (spec/formats.md §2)"""

import posixpath
from collections.abc import Mapping
from typing import Any, Literal

from dipeo_executor.formats.diagnostics import Report

Format = Literal["light", "native", "readable"]
FORMATS: tuple[Format, ...] = ("light", "native", "readable")

SUFFIXES: dict[Format, tuple[str, ...]] = {
    "light": (".light.yaml", ".light.yml", ".light.json"),
    "readable": (".readable.yaml", ".readable.yml"),
    "native": (".native.json",),
}


def format_of_name(path: str) -> Format | None:
    """The format a file name promises."""
    name = path.casefold()
    return next((word for word, suffixes in SUFFIXES.items() if name.endswith(suffixes)), None)


def name_of(path: str) -> str:
    """A file's name without the suffix of its format."""
    name = posixpath.basename(path)
    suffixes = [suffix for known in SUFFIXES.values() for suffix in known] + [".yaml", ".yml", ".json"]
    return next((name.removesuffix(suffix) for suffix in suffixes if name.endswith(suffix)), name)


def format_of_content(value: Mapping[Any, Any]) -> Format | None:
    for key in ("version", "format"):
        for word in FORMATS:
            if value.get(key) == word:
                return word
    nodes = value.get("nodes")
    if "flow" in value:
        return "readable"
    if "connections" in value:
        return "light"
    if "arrows" in value or isinstance(nodes, dict):
        return "native"
    if isinstance(nodes, list):
        named = nodes and all(isinstance(entry, dict) and len(entry) == 1 for entry in nodes)
        return "readable" if named else "light"
    return None


def asked_format(flag: str, path: str, report: Report) -> Format | None:
    """What the flag and the file name say before the text is read; L4 or L5 is reported when they make no sense."""
    promised = format_of_name(path)
    if not flag:
        return promised
    asked = next((word for word in FORMATS if word == flag), None)
    if asked is None:
        report.add("L4", f'there is no format "{flag}"; there are {", ".join(FORMATS)}')
    elif promised and promised != asked:
        report.add(
            "L5",
            f"the format asked for is {asked}, but the file name {path} says {promised}",
            suggestion=f"ask for {promised}, or rename the file",
        )
    return asked
