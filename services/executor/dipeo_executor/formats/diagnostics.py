"""Problems of a diagram: one shape, stable codes, all of a file in one report. (decision 16; docs/diagnostics.md)"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from dipeo_executor.formats.positions import Path, Positions

Severity = Literal["error", "warning", "info"]

# code -> phase, severity, what it means. docs/diagnostics.md is this table for readers; a test holds them together.
CODES: dict[str, tuple[str, Severity, str]] = {
    "L1": ("LOAD", "error", "The text is too large, too deeply nested, or its aliases expand to too many values."),
    "L2": ("LOAD", "error", "The text is not well-formed YAML or JSON."),
    "L3": ("LOAD", "error", "The file is empty or is not a map of sections."),
    "L4": ("LOAD", "error", "The format cannot be told, or is not one of light, native, readable."),
    "L5": ("LOAD", "error", "The format asked for contradicts the file name."),
    "L7": ("LOAD", "error", "A section has the wrong shape."),
    "L8": ("LOAD", "error", "Two nodes have the same label, so an arrow could mean either."),
    "L9": ("LOAD", "error", "A connection names a node that does not exist."),
    "L10": ("LOAD", "error", "A handle in brackets does not exist on this type of node."),
    "L11": ("LOAD", "warning", "The word after the underscore is no handle; `default` is used."),
    "L12": ("LOAD", "error", "A connection or arrow has an unusable field."),
    "L13": ("LOAD", "error", "A node has an unusable label, position or property name."),
    "L14": ("LOAD", "error", "A person has an unusable field."),
    "L15": ("LOAD", "warning", "An entry of a list or map is not a map and is skipped."),
    "L16": ("LOAD", "warning", "A key is not known here and has no effect."),
    "L17": ("LOAD", "warning", "A key stands twice in one map; the last one counts."),
    "V1": ("VALIDATION", "error", "The diagram has no nodes."),
    "V2": ("VALIDATION", "error", "Two nodes have the same id."),
    "V3": ("LOAD", "error", "The type of a node is missing or unknown."),
    "V4": ("VALIDATION", "error", "There is no start node."),
    "V5": ("VALIDATION", "warning", "There is no endpoint, so outputs may not be saved."),
    "V6": ("VALIDATION", "error", "The source of an arrow is not a handle id."),
    "V7": ("VALIDATION", "error", "The target of an arrow is not a handle id."),
    "V8": ("VALIDATION", "error", "An arrow leads from or to a node that does not exist."),
    "V9": ("VALIDATION", "error", "An arrow starts at an input or ends at an output."),
    "V10": ("VALIDATION", "error", "An arrow leads into a start node."),
    "V11": ("VALIDATION", "error", "An arrow leaves an endpoint."),
    "V12": ("VALIDATION", "warning", "A condition has no arrow for one of its branches."),
    "V13": ("VALIDATION", "warning", "An arrow uses a handle that this type of node does not have."),
    "V14": ("VALIDATION", "error", 'A node id contains "/", which separates the levels of sub-diagrams.'),
    "T1": ("NODE_TRANSFORMATION", "error", "A property is missing or has the wrong type or value."),
    "T2": ("NODE_TRANSFORMATION", "error", "A node that asks a person names none."),
    "T3": ("NODE_TRANSFORMATION", "error", "max_iteration is below 1."),
    "T4": ("NODE_TRANSFORMATION", "error", "A custom condition has no expression."),
    "T5": ("NODE_TRANSFORMATION", "error", "A start node triggered by a hook names no hook_event."),
    "T6": ("NODE_TRANSFORMATION", "error", "A node names a person that the diagram does not have."),
    "T7": ("NODE_TRANSFORMATION", "error", "The service of a person is unknown."),
    "T8": ("NODE_TRANSFORMATION", "error", "The expression of a condition is malformed."),
    "T9": (
        "NODE_TRANSFORMATION",
        "error",
        "A file that the diagram needs is missing. A warning when inline text exists.",
    ),
    "T10": ("NODE_TRANSFORMATION", "error", "A sub-diagram is not named, not found, invalid, or contains itself."),
    "T11": ("NODE_TRANSFORMATION", "error", "A code_job has no code. A warning when it has both code and file_path."),
    "T12": ("NODE_TRANSFORMATION", "warning", "A property is not known for this type of node and has no effect."),
    "T13": ("NODE_TRANSFORMATION", "info", "A property is spelled in an outdated way."),
    "T14": ("NODE_TRANSFORMATION", "error", "node_indices names a node that does not exist."),
    "T15": ("NODE_TRANSFORMATION", "warning", "A node that asks a person has no prompt. An error for llm_decision."),
    "T17": ("NODE_TRANSFORMATION", "warning", "A start node has custom_data that its trigger_mode does not use."),
    "T18": ("NODE_TRANSFORMATION", "warning", "A node lacks a property without which running it fails."),
    "T19": ("NODE_TRANSFORMATION", "error", "A person is given a tool that its service does not have."),
    "T20": (
        "NODE_TRANSFORMATION",
        "warning",
        "A person names no model, and its service has no default: only the mock can answer.",
    ),
    "E1": ("EDGE_BUILDING", "error", "The content type of an arrow is unknown."),
    "E3": ("EDGE_BUILDING", "error", "Two arrows have the same id."),
    "O1": ("OPTIMIZATION", "warning", "A node cannot be reached from any start node."),
    "O2": ("OPTIMIZATION", "warning", "Nodes form a cycle that no condition can leave."),
    "O3": ("OPTIMIZATION", "warning", "Two arrows deliver to the same input of a node, so one value is lost."),
    "X1": ("EXPORT", "error", "A node cannot be written into a script."),
}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem. `line` and `column` count from 1, 0 = unknown; "" = none in the other fields."""

    phase: str
    code: str
    severity: Severity
    message: str
    node_id: str = ""
    label: str = ""
    arrow_id: str = ""
    field: str = ""
    line: int = 0
    column: int = 0
    suggestion: str = ""


@dataclass(slots=True)
class Report:
    """Collects the problems of one text."""

    positions: Positions = field(default_factory=Positions)
    found: list[Diagnostic] = field(default_factory=list)

    def add(
        self,
        code: str,
        message: str,
        at: Path = (),
        *,
        severity: Severity | None = None,
        mark: tuple[int, int] | None = None,
        node_id: str = "",
        label: str = "",
        arrow_id: str = "",
        field: str = "",
        suggestion: str = "",
    ) -> None:
        """`at` is a path in the document; `mark` a line and column that are already known."""
        phase, usual, _ = CODES[code]
        line, column = mark or self.positions.of(at)
        self.found.append(
            Diagnostic(
                phase, code, severity or usual, message, node_id, label, arrow_id, field, line, column, suggestion
            )
        )

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.found)

    def in_file_order(self) -> tuple[Diagnostic, ...]:
        return tuple(sorted(self.found, key=lambda problem: (problem.line, problem.column)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A suggestion, or ""."""
    folded = {word.casefold(): word for word in known}
    close = get_close_matches(name.casefold()[:200], folded, n=1, cutoff=0.6)
    return f'did you mean "{folded[close[0]]}"?' if close else ""


def listed(words: Iterable[str]) -> str:
    """Words for a sentence, at most 20 of them."""
    all_words = list(words)
    return ", ".join(all_words[:20]) + (" …" if len(all_words) > 20 else "")


def shown(value: Any) -> str:
    """A value for a sentence: as JSON, at most 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
