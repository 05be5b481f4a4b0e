"""Native JSON: the model as it is. (spec/formats.md §4)"""

import re
from collections.abc import Mapping
from typing import Any

from dipeo_executor.formats.diagnostics import Report, shown
from dipeo_executor.formats.model import (
    HANDLE_LABELS,
    Arrow,
    Diagram,
    DiagramNode,
    DiagramPerson,
    Handle,
    usual_handles,
)
from dipeo_executor.formats.positions import Path
from dipeo_executor.formats.sections import (
    content_type_of,
    metadata_of,
    named_mappings,
    number_of,
    person_of,
    text_of,
    warn_unknown,
)

TOP = ("nodes", "arrows", "handles", "persons", "metadata", "name", "description", "version", "format", "budget")
OLD_BRANCH = re.compile(r"_(true|false)_(input|output)$")


def read(document: Mapping[Any, Any], report: Report) -> Diagram:
    warn_unknown(document, TOP, "the diagram", (), report)
    nodes = [_node(at, entry, report) for at, entry in named_mappings(document.get("nodes"), "nodes", report)]
    arrows = [_arrow(at, entry, report) for at, entry in named_mappings(document.get("arrows"), "arrows", report)]
    handles = [
        handle
        for at, entry in named_mappings(document.get("handles"), "handles", report)
        if (handle := handle_of(at, entry, report))
    ]
    persons = [person(at, entry, report) for at, entry in named_mappings(document.get("persons"), "persons", report)]
    listed_nodes = {handle.node_id for handle in handles}
    for node in nodes:
        if node.id not in listed_nodes:
            handles += usual_handles(node)
    return Diagram(tuple(nodes), tuple(arrows), tuple(handles), tuple(persons), metadata_of(document, report))


def _id(entry: Mapping[Any, Any], at: Path, what: str, code: str, report: Report) -> str:
    value = text_of(entry.get("id"))
    if not value:
        report.add(code, f"{what} needs an id, a text, not {shown(entry.get('id'))}", at, field="id")
        return f"{at[0]}[{at[1]}]"
    return value


def _node(at: Path, entry: Mapping[Any, Any], report: Report) -> DiagramNode:
    node_id = _id(entry, at, "a node", "L13", report)
    warn_unknown(entry, ("id", "type", "position", "data"), f'node "{node_id}"', at, report)
    data = entry.get("data")
    if data is not None and not isinstance(data, dict):
        report.add("L13", f'node "{node_id}": data must be a map, not {shown(data)}', (*at, "data"), node_id=node_id)
        data = None
    given = {str(key): value for key, value in (data or {}).items() if value is not None}
    label = text_of(given.pop("label", None))
    if label is None:
        report.add("L13", f'node "{node_id}": label must be text', (*at, "data", "label"), node_id=node_id)
    x, y = position_of(entry.get("position"), node_id, (*at, "position"), report)
    fields = {key: (*at, "data", key) for key in given}
    node_type = entry.get("type")
    return DiagramNode(node_id, node_type if isinstance(node_type, str) else "", label or "", x, y, given, at, fields)


def position_of(value: Any, node_id: str, at: Path, report: Report) -> tuple[float, float]:
    """(x, y) of a `{x, y}` map; (0, 0) when there is none."""
    if value is None or value == {}:
        return 0, 0
    x, y = (number_of(value.get("x")), number_of(value.get("y"))) if isinstance(value, dict) else (None, None)
    if x is None or y is None:
        problem = f'node "{node_id}": position must be {{x: number, y: number}}, not {shown(value)}'
        report.add("L13", problem, at, node_id=node_id, field="position")
        return 0, 0
    warn_unknown(value, ("x", "y"), f'node "{node_id}": position', at, report)
    return x, y


def _arrow(at: Path, entry: Mapping[Any, Any], report: Report) -> Arrow:
    arrow_id = _id(entry, at, "an arrow", "L12", report)
    what = f'arrow "{arrow_id}"'
    known = ("id", "source", "target", "content_type", "label", "execution_priority", "data")
    warn_unknown(entry, known, what, at, report)
    return Arrow(
        arrow_id,
        OLD_BRANCH.sub(r"_cond\1_\2", text_of(entry.get("source")) or ""),
        OLD_BRANCH.sub(r"_cond\1_\2", text_of(entry.get("target")) or ""),
        content_type_of(entry.get("content_type"), (*at, "content_type"), report, arrow_id=arrow_id),
        **arrow_fields(entry, what, arrow_id, at, report),
        at=at,
    )


def arrow_fields(entry: Mapping[Any, Any], what: str, arrow_id: str, at: Path, report: Report) -> dict[str, Any]:
    """Label, priority and data of an arrow in either format; L12 for unusable ones."""
    label, priority = text_of(entry.get("label")), number_of(entry.get("execution_priority", 0) or 0)
    data = entry.get("data")
    for key, bad, wanted in (
        ("label", label is None, "text"),
        ("execution_priority", priority is None, "a number"),
        ("data", data is not None and not isinstance(data, dict), "a map"),
    ):
        if bad:
            problem = f"{what}: {key} must be {wanted}, not {shown(entry.get(key))}"
            report.add("L12", problem, (*at, key), arrow_id=arrow_id, field=key)
    return {
        "label": label or "",
        "execution_priority": priority or 0,
        "data": dict(data) if isinstance(data, dict) else {},
    }


def handle_of(at: Path, entry: Mapping[Any, Any], report: Report) -> Handle | None:
    """Handles are cosmetic (arrows name theirs themselves), so an odd one is skipped with a warning."""
    label = {"true": "condtrue", "false": "condfalse"}.get(str(entry.get("label")), str(entry.get("label")))
    direction, node_id = str(entry.get("direction")), str(entry.get("node_id"))
    if label not in HANDLE_LABELS or direction not in ("input", "output"):
        report.add("L15", f"the handle {shown(entry.get('id'))} is skipped: it has no known label and direction", at)
        return None
    position = entry.get("position")
    return Handle(
        OLD_BRANCH.sub(r"_cond\1_\2", str(entry.get("id"))),
        node_id,
        label,
        direction,
        str(entry.get("data_type") or "any"),
        position if isinstance(position, str) else None,
    )


def person(at: Path, entry: Mapping[Any, Any], report: Report) -> DiagramPerson:
    person_id = _id(entry, at, "a person", "L14", report)
    warn_unknown(entry, ("id", "label", "type", "llm_config"), f'person "{person_id}"', at, report)
    config = entry.get("llm_config")
    if not isinstance(config, dict):
        report.add("L14", f'person "{person_id}" needs llm_config, a map', (*at, "llm_config"), label=person_id)
        config = {}
    return person_of(person_id, text_of(entry.get("label")) or person_id, config, (*at, "llm_config"), report)
