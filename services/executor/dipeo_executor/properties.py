"""Properties of a node: names, then types. T1 to T5, T12 and T13 of spec/formats.md §9.3."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dipeo_executor.formats.diagnostics import Report, did_you_mean, shown
from dipeo_executor.formats.model import DiagramNode
from dipeo_executor.formats.positions import Path
from dipeo_executor.nodes.base import NodeType, Props

WITHOUT_EFFECT = frozenset({"flipped", "label"})  # presentation: neither unknown nor a property
ALIAS_WINS = {"code_job": ("filePath", "functionName")}  # as in the original (§3.3)
UNION_TAG = re.compile(r"str|int|float|bool|(dict|list)\[.*\]")  # what pydantic adds to the place of an error
WANTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "a map"),
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "list_type": "a list",
    "literal_error": "one of {expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}


@dataclass(frozen=True, slots=True)
class Given:
    """A node's properties under their proper names, and the spelling each was written in."""

    node: DiagramNode
    data: dict[str, Any]
    spelling: Mapping[str, str]

    def at(self, name: str) -> Path:
        return self.node.at_field(self.spelling.get(name, name))

    def add(self, report: Report, code: str, problem: str, field: str = "", **more: Any) -> None:
        """A diagnostic about this node, at the field's place."""
        node = self.node
        report.add(
            code,
            f'node "{node.name}" ({node.type}): {problem}',
            more.pop("at", self.at(field)),
            node_id=node.id,
            label=node.label,
            field=field,
            **more,
        )


def named(node: DiagramNode, node_type: NodeType, report: Report) -> Given:
    """Resolve other spellings and drop what no such node has."""
    known = node_type.props.model_fields
    data = {key: value for key, value in node.data.items() if key in known}
    spelling: dict[str, str] = {}
    given = Given(node, data, spelling)
    for key, value in node.data.items():
        proper = node_type.aliases.get(key)
        if key in known or key in WITHOUT_EFFECT:
            continue
        if proper is None:
            hint = did_you_mean(key, known)
            given.add(report, "T12", f'"{key}" is not a property and has no effect', key, suggestion=hint)
            continue
        used = proper not in data or key in ALIAS_WINS.get(node.type, ())
        if used:
            data[proper], spelling[proper] = value, key
        effect = "" if used else f" and has no effect beside {proper}"
        given.add(report, "T13", f'"{key}" is an outdated spelling{effect}', key, suggestion=f"write {proper}")
    return given


def checked(given: Given, node_type: NodeType, report: Report) -> Props | None:
    """The typed properties, or None after a diagnostic for each that does not fit."""
    try:
        return node_type.props.model_validate(given.data)
    except ValidationError as error:
        problems: dict[tuple[Any, ...], list[ErrorDetails]] = {}
        for problem in error.errors(include_url=False):
            place = tuple(part for part in problem["loc"] if not UNION_TAG.fullmatch(str(part)))
            problems.setdefault(place, []).append(problem)
        for place, details in problems.items():
            _report(given, place, details, report)
        return None


def _report(given: Given, place: tuple[Any, ...], problems: list[ErrorDetails], report: Report) -> None:
    first, kind = problems[0], problems[0]["type"]
    field = ".".join(map(str, place))
    at = (*given.at(str(place[0])), *place[1:]) if place else given.node.at
    if field == "person" and kind in ("missing", "string_too_short"):
        given.add(report, "T2", "it names no person", field, at=at, suggestion="set person to one of the persons")
    elif field == "max_iteration" and kind == "greater_than_equal":
        given.add(report, "T3", f"max_iteration must be at least 1, not {shown(first['input'])}", field, at=at)
    elif kind == "missing":
        given.add(report, "T1", f"{field} is missing", field, at=at)
    elif kind in ("value_error", "assertion_error"):
        code = "T5" if given.node.type == "start" else "T1"
        words = str(first.get("ctx", {}).get("error", first["msg"]))
        given.add(report, code, f"{field}: {words}" if field else words, field, at=at)
    else:
        wanted = " or ".join(dict.fromkeys(map(_wanted, problems)))
        value = first["input"]
        options = str(first.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
        hint = did_you_mean(value, options) if kind == "literal_error" and isinstance(value, str) else ""
        given.add(report, "T1", f"{field} must be {wanted}, not {shown(value)}", field, at=at, suggestion=hint)


def _wanted(problem: ErrorDetails) -> str:
    words = WANTED.get(problem["type"])
    return words.format_map(problem.get("ctx", {})) if words else problem["msg"]
