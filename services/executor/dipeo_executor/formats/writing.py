"""What the writers of light and readable share: labels as references, properties under their proper names. (§6.1)"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.labelled import ALIASES, STRUCTURE
from dipeo_executor.formats.model import (
    BRANCHES,
    CONTENT_TYPES,
    NATIVE_CONTENT_TYPES,
    Arrow,
    Diagram,
    DiagramNode,
    DiagramPerson,
    Metadata,
    parse_handle_id,
)
from dipeo_executor.formats.references import Ends

WITHOUT_EFFECT = {"person_job": ("memory_profile", "memory_config", "memory_settings")}  # light reads them otherwise


def names_of(nodes: Sequence[DiagramNode]) -> list[str]:
    """A name of its own for each node: its label, and for the second of two `label~1`."""
    wanted = {node.name for node in nodes}
    names: list[str] = []
    for node in nodes:
        name, number = node.name, 0
        while name in names or (number and name in wanted):
            number += 1
            name = f"{node.name}~{number}"
        names.append(name)
    return names


def reference(text: str, handle: str, direction: str, named: Mapping[str, DiagramNode]) -> str:
    """How an arrow names the handle of the node called `text` so that it is read as meant."""
    if handle == "default":
        return text
    for candidate in (f"{text}[{handle}]", f"{text}_{handle}"):
        end = Ends(named, report := Report(), "").resolve(candidate, direction, ())
        if end and not report.found and (end.node, end.handle) == (named[text], handle):
            return candidate
    return f"{text}[{handle}]"


def canonical(node_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Properties under their proper names, without what a reader adds or texts captured from files."""
    renamed = {old: new for old, new in ALIASES.get(node_type, {}).items() if old in data and new not in data}
    dropped = WITHOUT_EFFECT.get(node_type, ())
    proper = {
        renamed.get(key, key): value
        for key, value in data.items()
        if key not in dropped and not key.startswith("resolved_")
    }
    if node_type == "start":
        empty = [key for key in ("custom_data", "output_data_structure") if proper.get(key) == {}]
        proper = {key: value for key, value in proper.items() if key not in empty}
    return proper


def properties(it: DiagramNode, diagram: Diagram, names: Sequence[str]) -> dict[str, Any]:
    """A node's properties as light writes them: persons and nodes by name, odd names inside `props`."""
    data = canonical(it.type, it.data)
    if isinstance(data.get("person"), str):
        data["person"] = _person_name(data["person"], diagram.persons)
    if it.type == "condition" and isinstance(data.get("node_indices"), list):
        called = zip(diagram.nodes, names, strict=True)
        ids = {node.id: name for index, (node, name) in enumerate(called) if node.id != f"node_{index}"}
        data["node_indices"] = [ids.get(word, word) if isinstance(word, str) else word for word in data["node_indices"]]
    odd = {key: data.pop(key) for key in STRUCTURE if key in data}
    return data | ({"props": odd} if odd else {})


def _person_name(person_id: str, persons: Sequence[DiagramPerson]) -> str:
    """The label, where that is read as this person's id again."""
    ids = {it.label: it.id for it in reversed(persons)}
    label = next((it.label for it in persons if it.id == person_id), person_id)
    return label if ids.get(label) == person_id else person_id


def effective_type(arrow: Arrow, source_type: str) -> str:
    given = arrow.content_type or arrow.data.get("contentType")
    return given if given in CONTENT_TYPES else NATIVE_CONTENT_TYPES.get(source_type, "raw_text")


def arrow_data(arrow: Arrow, handle: str, content_type: str) -> dict[str, Any]:
    """An arrow's data without what its handle and its type say anyway."""
    derived: dict[str, Any] = {"contentType": content_type}
    if handle in BRANCHES:
        derived |= {"is_conditional": True, "branch": BRANCHES[handle]}
    return {
        key: value for key, value in arrow.data.items() if key != "id" and (key not in derived or derived[key] != value)
    }


@dataclass(frozen=True, slots=True)
class Written:
    """One arrow ready to be written. Its ends are numbers of nodes; `id` is "" where counting gives the same."""

    arrow: Arrow
    id: str
    source: int
    handle: str
    target: int
    target_handle: str
    content_type: str
    data: dict[str, Any]

    @property
    def label(self) -> str:
        return self.arrow.label

    @property
    def priority(self) -> float:
        return self.arrow.execution_priority


def arrows_of(diagram: Diagram) -> list[Written]:
    """The arrows that lead from a node to a node, in order; numbers of nodes as ends.

    An arrow out of a condition that would be read with the type of what enters the condition is pinned to its own.
    """
    index = {node.id: position for position, node in reversed(list(enumerate(diagram.nodes)))}
    found: list[Written] = []
    for arrow in diagram.arrows:
        source, target = parse_handle_id(arrow.source), parse_handle_id(arrow.target)
        if source and target and source[0] in index and target[0] in index:
            arrow_id = "" if arrow.id == f"arrow_{len(found)}" else arrow.id
            kind = effective_type(arrow, diagram.nodes[index[source[0]]].type)
            data = arrow_data(arrow, source[1], kind)
            found.append(Written(arrow, arrow_id, index[source[0]], source[1], index[target[0]], target[1], kind, data))
    entering: dict[int, set[str]] = {}
    for it in found:
        entering.setdefault(it.target, set()).add(it.content_type)
    conditions = {position for position, node in enumerate(diagram.nodes) if node.type == "condition"}
    return [_pinned(it) if _overruled(it, conditions, entering) else it for it in found]


def _overruled(it: Written, conditions: set[int], entering: Mapping[int, set[str]]) -> bool:
    kinds = entering.get(it.source, set())
    is_branch = it.source in conditions and it.handle in BRANCHES
    return is_branch and len(kinds) == 1 and it.content_type not in kinds


def _pinned(it: Written) -> Written:
    return replace(it, data=it.data | {"contentType": it.content_type})


def person_fields(person: DiagramPerson) -> dict[str, str]:
    """Beside the name. Service, model and key always, the rest where it says something."""
    fields = {"service": person.service, "model": person.model, "api_key_id": person.api_key_id}
    more = {"system_prompt": person.system_prompt, "prompt_file": person.prompt_file, "base_url": person.base_url}
    more["id"] = person.id if person.id != person.label else ""
    return fields | {key: value for key, value in more.items() if value}


def metadata_fields(metadata: Metadata) -> dict[str, Any]:
    """{} when there is nothing to say; else with the three fields that the original insists on."""
    if metadata == Metadata():
        return {}
    fields = {key: list(value) if key == "tags" else value for key, value in asdict(metadata).items()}
    return {key: value for key, value in fields.items() if value or key in ("version", "created", "modified")}
