"""Where things stand in a text: path in the document -> line and column, both from 1.

Looked up only when a diagnostic is made, so a healthy diagram pays nothing.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from json.decoder import scanstring  # type: ignore[attr-defined]  # json.loads reads its strings with it
from typing import Any

import yaml

Path = tuple[Any, ...]  # keys and list indexes from the top of the document
Mark = tuple[int, int]  # line and column; (0, 0) = unknown


class Positions:
    """Positions of a text that has none: everything is unknown."""

    def of(self, path: Path) -> Mark:
        """Where the key or list item at the path begins, else the nearest thing around it."""
        return self._find(path)[0]

    def of_value(self, path: Path) -> Mark:
        """Where the value at the path begins."""
        return self._find(path)[1]

    def _find(self, path: Path) -> tuple[Mark, Mark]:
        return (0, 0), (0, 0)


class YamlPositions(Positions):
    def __init__(self, node: yaml.Node) -> None:
        self._node = node

    def _find(self, path: Path) -> tuple[Mark, Mark]:
        node = self._node
        found = (mark_of(node.start_mark), mark_of(node.start_mark))
        for step in path:
            if isinstance(node, yaml.MappingNode):
                entry = next((entry for entry in reversed(node.value) if _is_key(entry[0], step)), None)
                if entry is None:
                    break
                found = (mark_of(entry[0].start_mark), mark_of(entry[1].start_mark))
                node = entry[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                found = (mark_of(node.start_mark), mark_of(node.start_mark))
            else:
                break
        return found


def _is_key(node: yaml.Node, step: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == str(step)


def mark_of(mark: Any) -> Mark:
    """PyYAML's mark, which counts from 0 and may be None."""
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


@dataclass(frozen=True, slots=True)
class Spot:
    """A JSON value: the offset where it begins, and its entries as key -> (offset of the key, value)."""

    offset: int
    entries: dict[Any, tuple[int, "Spot"]]


class JsonPositions(Positions):
    """Positions of a text that json.loads has accepted, nested far less than the interpreter's recursion limit."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _root(self) -> Spot:
        return self._scan(self._skip(0))[0]

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self._text))]

    def _find(self, path: Path) -> tuple[Mark, Mark]:
        spot = self._root
        offset = spot.offset
        for step in path:
            if step not in spot.entries:
                break
            offset, spot = spot.entries[step]
        return self._mark(offset), self._mark(spot.offset)

    def _mark(self, offset: int) -> Mark:
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def _skip(self, offset: int) -> int:
        return SPACE.match(self._text, offset).end()  # type: ignore[union-attr]  # matches the empty string too

    def _scan(self, begin: int) -> tuple[Spot, int]:
        """The value at `begin` and the offset after it."""
        entries: dict[Any, tuple[int, Spot]] = {}
        spot = Spot(begin, entries)
        opening = self._text[begin]
        if opening == '"':
            return spot, scanstring(self._text, begin + 1)[1]
        if opening not in "{[":
            return spot, PLAIN.match(self._text, begin).end()  # type: ignore[union-attr]  # valid JSON: one is there
        offset = self._skip(begin + 1)
        while self._text[offset] not in "}]":
            key_offset, key = offset, len(entries)
            if opening == "{":
                key, offset = scanstring(self._text, offset + 1)
                offset = self._skip(self._skip(offset) + 1)  # past the colon
            value, offset = self._scan(offset)
            entries[key] = (key_offset, value)
            offset = self._skip(offset)
            if self._text[offset] == ",":
                offset = self._skip(offset + 1)
        return spot, offset + 1


SPACE = re.compile(r"[ \t\n\r]*")
PLAIN = re.compile(r"[^,\]}\s]+")
