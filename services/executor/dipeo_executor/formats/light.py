"""Light YAML. (spec/formats.md §3)"""

from collections.abc import Mapping
from typing import Any

from dipeo_executor.formats.diagnostics import Report, shown
from dipeo_executor.formats.labelled import (
    arrow_between,
    by_name,
    handles_of,
    node_of,
    persons_in,
    propagate_content_types,
)
from dipeo_executor.formats.model import Arrow, Diagram, DiagramNode
from dipeo_executor.formats.native import arrow_fields
from dipeo_executor.formats.positions import Path
from dipeo_executor.formats.references import End, Ends
from dipeo_executor.formats.sections import content_type_of, mappings, metadata_of, warn_unknown

TOP = (
    "version",
    "format",
    "name",
    "description",
    "nodes",
    "connections",
    "persons",
    "handles",
    "metadata",
    "api_keys",
    "budget",
)


def read(document: Mapping[Any, Any], report: Report) -> Diagram:
    warn_unknown(document, (*TOP, "$schema"), "the diagram", (), report)
    persons = persons_in(document.get("persons"), report)
    person_ids = {person.label: person.id for person in reversed(persons)}
    nodes = [
        node_of(f"node_{index}", at, entry, person_ids, report)
        for index, (at, entry) in enumerate(mappings(document.get("nodes"), "nodes", report))
    ]
    names = by_name(nodes, report)
    arrows = [
        arrow
        for index, (at, entry) in enumerate(mappings(document.get("connections"), "connections", report))
        if (arrow := _arrow(index, at, entry, names, report))
    ]
    return Diagram(
        tuple(nodes),
        tuple(propagate_content_types(nodes, arrows)),
        tuple(handles_of(document, nodes, report)),
        tuple(persons),
        metadata_of(document, report),
    )


CONNECTION = ("from", "to", "content_type", "type", "label", "data", "execution_priority")


def _arrow(
    index: int, at: Path, entry: Mapping[Any, Any], names: Mapping[str, DiagramNode], report: Report
) -> Arrow | None:
    data = entry.get("data")
    arrow_id = str(data["id"]) if isinstance(data, dict) and data.get("id") else f"arrow_{index}"
    what = f"connection {index + 1}"
    warn_unknown(entry, CONNECTION, what, at, report)
    fields = arrow_fields(entry, what, arrow_id, at, report)
    type_key = "content_type" if entry.get("content_type") else "type"
    content_type = content_type_of(entry.get(type_key), (*at, type_key), report, arrow_id=arrow_id)
    ends = Ends(names, report, arrow_id)
    source = _end(ends, entry, "from", "output", what, at)
    target = _end(ends, entry, "to", "input", what, at)
    if source is None or target is None:
        return None
    return arrow_between(arrow_id, source, target, content_type, fields, at)


def _end(ends: Ends, entry: Mapping[Any, Any], key: str, direction: str, what: str, at: Path) -> End | None:
    text = entry.get(key)
    if isinstance(text, str) and text:
        return ends.resolve(text, direction, (*at, key))
    given = "is missing" if key not in entry else f"must be the label of a node, not {shown(text)}"
    suggestion = f'write "{text}" if that is a label' if isinstance(text, bool | int | float) else ""
    ends.report.add(
        "L12", f"{what}: {key} {given}", (*at, key), arrow_id=ends.arrow_id, field=key, suggestion=suggestion
    )
    return None
