"""Diagram -> light YAML. (spec/formats.md §6.1)"""

from typing import Any

from dipeo_executor.formats.model import Diagram, DiagramPerson
from dipeo_executor.formats.writing import arrows_of, metadata_fields, names_of, person_fields, properties, reference
from dipeo_executor.formats.yamltext import Inline, dump


def write(diagram: Diagram) -> str:
    names = names_of(diagram.nodes)
    document: dict[str, Any] = {"version": "light"}
    if metadata := metadata_fields(diagram.metadata):
        document["metadata"] = metadata
    if diagram.persons:
        document["persons"] = _persons(diagram.persons)
    document["nodes"] = _nodes(diagram, names)
    if connections := _connections(diagram, names):
        document["connections"] = connections
    return dump(document)


def _persons(persons: tuple[DiagramPerson, ...]) -> Any:
    """By label; a list when two share one."""
    if len({person.label for person in persons}) == len(persons) and not any(it.label[:2] == "__" for it in persons):
        return {person.label: person_fields(person) for person in persons}
    return [{"name": person.label, **person_fields(person)} for person in persons]


def _nodes(diagram: Diagram, names: list[str]) -> list[dict[str, Any]]:
    entries = []
    for index, (node, name) in enumerate(zip(diagram.nodes, names, strict=True)):
        unnamed = not node.label and name == node.id == f"node_{index}"
        entry: dict[str, Any] = {} if unnamed else {"label": name}
        entry |= {"type": node.type, "position": Inline(x=round(node.x), y=round(node.y))}
        entries.append(entry | properties(node, diagram, names))
    return entries


def _connections(diagram: Diagram, names: list[str]) -> list[dict[str, Any]]:
    named = dict(zip(names, diagram.nodes, strict=True))
    connections = []
    for arrow in arrows_of(diagram):
        entry: dict[str, Any] = {
            "from": reference(names[arrow.source], arrow.handle, "output", named),
            "to": reference(names[arrow.target], arrow.target_handle, "input", named),
        }
        if arrow.content_type != "raw_text":
            entry["content_type"] = arrow.content_type
        if arrow.label:
            entry["label"] = arrow.label
        if arrow.priority:
            entry["execution_priority"] = arrow.priority
        data = ({"id": arrow.id} if arrow.id else {}) | arrow.data
        connections.append(entry | {"data": data} if data else Inline(entry))
    return connections
