"""Diagram -> native JSON: the model as it is. (spec/formats.md §6.1)"""

import json
from dataclasses import asdict
from typing import Any

from dipeo_executor.formats.model import Arrow, Diagram, DiagramNode, DiagramPerson
from dipeo_executor.formats.writing import metadata_fields


def write(diagram: Diagram) -> str:
    """Raises ValueError when a value cannot be written as JSON (an infinite number)."""
    document: dict[str, Any] = {
        "nodes": {node.id: _node(node) for node in diagram.nodes},
        "handles": {
            it.id: {key: value for key, value in asdict(it).items() if value is not None} for it in diagram.handles
        },
        "arrows": {arrow.id: _arrow(arrow) for arrow in diagram.arrows},
        "persons": {person.id: _person(person) for person in diagram.persons},
    }
    if metadata := metadata_fields(diagram.metadata):
        document["metadata"] = metadata
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _node(node: DiagramNode) -> dict[str, Any]:
    label = {"label": node.label} if node.label else {}
    data = {key: value for key, value in node.data.items() if key != "label" and not key.startswith("resolved_")}
    return {
        "id": node.id,
        "type": node.type,
        "position": {"x": _number(node.x), "y": _number(node.y)},
        "data": label | data,
    }


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _arrow(arrow: Arrow) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": arrow.id, "source": arrow.source, "target": arrow.target}
    more = {
        "content_type": arrow.content_type,
        "label": arrow.label,
        "execution_priority": arrow.execution_priority,
        "data": dict(arrow.data),
    }
    return entry | {key: value for key, value in more.items() if value}


def _person(person: DiagramPerson) -> dict[str, Any]:
    config = {"service": person.service, "model": person.model, "api_key_id": person.api_key_id}
    more = {"system_prompt": person.system_prompt, "prompt_file": person.prompt_file, "base_url": person.base_url}
    config |= {key: value for key, value in more.items() if value}
    return {"id": person.id, "label": person.label, "type": "person", "llm_config": config}
