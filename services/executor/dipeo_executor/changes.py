"""Properties of nodes that a caller sets for one run, over those of the diagram. (command line contract 14.4)"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dipeo_executor.formats.model import Diagram, DiagramNode
from dipeo_kit.errors import BadInput


def applied(diagram: Diagram, changes: Mapping[str, Any]) -> Diagram:
    """`changes`: "LABEL.property" or "id.property.part" -> value. Raises BadInput for a node there is not."""
    nodes = {node.id: node for node in diagram.nodes}
    for key, value in changes.items():
        node, path = _target(list(nodes.values()), key)
        nodes[node.id] = replace(node, data=_with(node.data, path, value))
    return replace(diagram, nodes=tuple(nodes.values()))


def _target(nodes: list[DiagramNode], key: str) -> tuple[DiagramNode, list[str]]:
    """Labels may hold dots: the longest one that fits is meant."""
    for name, path in _splits(key):
        for node in nodes:
            if name in (node.label, node.id):
                return node, path
    raise BadInput(f"{key}: there is no such node; there are {', '.join(node.name for node in nodes)}")


def _splits(key: str) -> Iterator[tuple[str, list[str]]]:
    steps = key.split(".")
    for at in range(len(steps) - 1, 0, -1):
        yield ".".join(steps[:at]), steps[at:]


def _with(data: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    inner = data.get(path[0])
    if len(path) > 1:
        value = _with(inner if isinstance(inner, Mapping) else {}, path[1:], value)
    return {**data, path[0]: value}
