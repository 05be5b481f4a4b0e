"""Ends of light connections: text -> node and handle. (spec/formats.md §3.4)"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dipeo_executor.formats.diagnostics import Report, did_you_mean
from dipeo_executor.formats.model import HANDLE_LABELS, NODE_TYPES, DiagramNode, handle_words
from dipeo_executor.formats.positions import Path
from dipeo_executor.formats.sections import known_words

BRACKET = re.compile(r"(.+?)\[([^\[\]]+)\]", re.DOTALL)
BRANCH_WORDS = {"true": "condtrue", "yes": "condtrue", "false": "condfalse", "no": "condfalse"}


@dataclass(frozen=True, slots=True)
class End:
    node: DiagramNode
    handle: str
    requires_first: bool = False  # written Label__first or Label[_first]


@dataclass(frozen=True, slots=True)
class Ends:
    """Resolves the ends of one connection. `nodes`: label, or id of a node without one -> node."""

    nodes: Mapping[str, DiagramNode]
    report: Report
    arrow_id: str

    def resolve(self, text: str, direction: str, at: Path) -> End | None:
        """None after L9 (no such node) or L10 (no such handle)."""
        if text in self.nodes:
            return End(self.nodes[text], "default")
        bracket = BRACKET.fullmatch(text.strip())
        if bracket and bracket[1].strip() in self.nodes:
            return self.bracketed(self.nodes[bracket[1].strip()], bracket[2].strip(), direction, at)
        split = None if bracket else self._split(text)
        if split:
            return self._underscored(*split, direction, at)
        name = bracket[1].strip() if bracket else text
        self.report.add(
            "L9",
            f'there is no node "{name}"; there are {known_words(self.nodes)}',
            at,
            arrow_id=self.arrow_id,
            field="to" if direction == "input" else "from",
            suggestion=did_you_mean(name, self.nodes),
        )
        return None

    def bracketed(self, node: DiagramNode, word: str, direction: str, at: Path) -> End | None:
        handle = _handle(word, node)
        available = handle_words(node.type, direction) if node.type in NODE_TYPES else HANDLE_LABELS
        if handle in available:
            return End(node, handle, requires_first=word == "_first")
        self.report.add(
            "L10",
            f'node "{node.name}" ({node.type}) has no {direction} handle "{word}"; it has {known_words(available)}',
            at,
            node_id=node.id,
            label=node.label,
            arrow_id=self.arrow_id,
            suggestion=did_you_mean(word, available),
        )
        return None

    def _split(self, text: str) -> tuple[DiagramNode, str] | None:
        parts = text.split("_")
        for length in range(len(parts) - 1, 0, -1):
            for joint in ("_", " "):
                node = self.nodes.get(joint.join(parts[:length]))
                if node:
                    return node, "_".join(parts[length:])
        return None

    def _underscored(self, node: DiagramNode, word: str, direction: str, at: Path) -> End:
        handle = _handle(word, node)
        if handle in HANDLE_LABELS:
            return End(node, handle, requires_first=word == "_first")
        self.report.add(
            "L11",
            f'"{word}" after node "{node.name}" is no handle; default is used',
            at,
            node_id=node.id,
            label=node.label,
            arrow_id=self.arrow_id,
            suggestion=did_you_mean(word, handle_words(node.type, direction)),
        )
        return End(node, "default")


def _handle(word: str, node: DiagramNode) -> str:
    """A handle word without decoration; true and false of a condition are its branches."""
    plain = word.removeprefix("_")
    return BRANCH_WORDS.get(plain.casefold(), plain) if node.type == "condition" else plain
