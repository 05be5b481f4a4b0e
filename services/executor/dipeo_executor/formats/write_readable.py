"""Diagram -> readable YAML. (spec/formats.md §5.2, §6.1)"""

from typing import Any

from dipeo_executor.formats.model import NODE_TYPES, Diagram, handle_words
from dipeo_executor.formats.readable import POSITION
from dipeo_executor.formats.writing import (
    Written,
    arrows_of,
    metadata_fields,
    names_of,
    person_fields,
    properties,
    reference,
)
from dipeo_executor.formats.yamltext import Inline, dump


def write(diagram: Diagram) -> str:
    names = [name.strip() or f"node_{index}" for index, name in enumerate(names_of(diagram.nodes))]
    document: dict[str, Any] = {"version": "readable"}
    if metadata := metadata_fields(diagram.metadata):
        document["metadata"] = metadata
    if diagram.persons:
        document["persons"] = [{person.label: person_fields(person)} for person in diagram.persons]
    document["nodes"] = [
        {_title(name, node.type, round(node.x), round(node.y)): properties(node, diagram, names)}
        for node, name in zip(diagram.nodes, names, strict=True)
    ]
    if flow := _flow(diagram, names):
        document["flow"] = flow
    return dump(document)


def _title(name: str, node_type: str, x: int, y: int) -> str:
    titled = f"{name} [{node_type}]"
    return f"{titled} @({x},{y})" if x or y or POSITION.match(name) else titled


def _flow(diagram: Diagram, names: list[str]) -> list[dict[str, Any]]:
    """Arrows in order; neighbours that leave the same node stand together."""
    groups: list[tuple[str, list[Any]]] = []
    for arrow in arrows_of(diagram):
        source, destination = _destination(arrow, diagram, names)
        if groups and groups[-1][0] == source:
            groups[-1][1].append(destination)
        else:
            groups.append((source, [destination]))
    return [{source: found[0] if len(found) == 1 else found} for source, found in groups]


def _destination(arrow: Written, diagram: Diagram, names: list[str]) -> tuple[str, Any]:
    """(the source as it is written, a name or a map)"""
    source, leaves = _end(arrow.source, arrow.handle, "output", diagram, names)
    to, enters = _end(arrow.target, arrow.target_handle, "input", diagram, names)
    entry = {
        "to": to,
        "from": leaves,
        "in": enters,
        "as": arrow.content_type if arrow.content_type != "raw_text" else "",
        "naming": arrow.label,
        "priority": arrow.priority,
        "data": arrow.data,
        "id": arrow.id,
    }
    entry = {key: value for key, value in entry.items() if value}
    return source, to if list(entry) == ["to"] else Inline(entry)


def _end(index: int, handle: str, direction: str, diagram: Diagram, names: list[str]) -> tuple[str, str]:
    """(name, handle named apart); a handle that this type does not have is written into the name."""
    node, name = diagram.nodes[index], names[index]
    if handle == "default" or node.type not in NODE_TYPES or handle in handle_words(node.type, direction):
        return name, handle if handle != "default" else ""
    return reference(name, handle, direction, dict(zip(names, diagram.nodes, strict=True))), ""
