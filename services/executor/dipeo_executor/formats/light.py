"""Light YAML. (spec/formats.md §3)"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dipeo_executor.formats.diagnostics import Report, shown
from dipeo_executor.formats.model import (
    BRANCHES,
    Arrow,
    Diagram,
    DiagramNode,
    DiagramPerson,
    handle_id,
    parse_handle_id,
    usual_handles,
)
from dipeo_executor.formats.native import arrow_fields, handle_of, position_of
from dipeo_executor.formats.positions import Path
from dipeo_executor.formats.references import End, Ends
from dipeo_executor.formats.sections import (
    PERSON_TEXTS,
    content_type_of,
    mappings,
    metadata_of,
    named_mappings,
    person_of,
    text_of,
    warn_unknown,
)

TOP = ("version", "format", "name", "description", "nodes", "connections", "persons", "handles", "metadata", "api_keys")
STRUCTURE = ("type", "label", "position", "props")  # keys of a node that are no properties
ALIASES = {
    "endpoint": {"file_path": "file_name"},
    "code_job": {"code_type": "language"},
    "db": {"source_details": "file"},
    "json_schema_validator": {"strict": "strict_mode"},
}
MEMORY_PROFILES = {
    "FULL": "ALL_MESSAGES",
    "FOCUSED": "CONVERSATION_PAIRS",
    "MINIMAL": "SYSTEM_AND_ME",
    "GOLDFISH": "GOLDFISH",
    "ONLY_ME": "SENT_TO_ME",
    "ONLY_I_SENT": "SENT_BY_ME",
}


def read(document: Mapping[Any, Any], report: Report) -> Diagram:
    warn_unknown(document, (*TOP, "$schema"), "the diagram", (), report)
    persons = _persons(document.get("persons"), report)
    nodes = [
        _node(f"node_{index}", at, entry, persons, report)
        for index, (at, entry) in enumerate(mappings(document.get("nodes"), "nodes", report))
    ]
    by_name = _by_name(nodes, report)
    arrows = [
        arrow
        for index, (at, entry) in enumerate(mappings(document.get("connections"), "connections", report))
        if (arrow := _arrow(index, at, entry, by_name, report))
    ]
    handles = [
        handle
        for at, entry in named_mappings(document.get("handles"), "handles", report)
        if (handle := handle_of(at, entry, report))
    ]
    listed = {handle.node_id for handle in handles}
    handles += [handle for node in nodes if node.id not in listed for handle in usual_handles(node)]
    return Diagram(
        tuple(nodes),
        tuple(_propagate_content_types(nodes, arrows)),
        tuple(handles),
        tuple(persons),
        metadata_of(document, report),
    )


def _by_name(nodes: list[DiagramNode], report: Report) -> dict[str, DiagramNode]:
    by_name: dict[str, DiagramNode] = {}
    for node in nodes:
        first = by_name.setdefault(node.name, node)
        if first is not node:
            line = report.positions.of(first.at)[0]
            report.add(
                "L8",
                f'the label "{node.name}" is taken by the node in line {line}; arrows could mean either',
                (*node.at, "label"),
                node_id=node.id,
                label=node.label,
                field="label",
                suggestion=f'call it "{node.name} 2"',
            )
    return by_name


def _node(
    node_id: str, at: Path, entry: Mapping[Any, Any], persons: list[DiagramPerson], report: Report
) -> DiagramNode:
    label = text_of(entry.get("label"))
    if label is None:
        label = str(entry["label"])
        problem = f"a label must be text, not {shown(entry['label'])}"
        report.add("L13", problem, (*at, "label"), node_id=node_id, field="label", suggestion=f'write "{label}"')
    name = label or node_id
    node_type = str(entry.get("type") or "").lower()
    x, y = position_of(entry.get("position"), name, (*at, "position"), report)
    written = _written_properties(entry, name, at, report)
    data: dict[str, Any] = {}
    fields: dict[str, Path] = {}
    for key, (path, value) in written.items():
        top = _put(data, key, value)
        if top is None:
            problem = f'node "{name}": {key} cannot be set inside {key.rsplit(".", 1)[0]}, which is no map'
            report.add("L13", problem, path, node_id=node_id, label=label, field=key)
        else:
            fields.setdefault(top, path)
    _rename(node_type, data, fields)
    ids = {person.label: person.id for person in reversed(persons)}
    if isinstance(data.get("person"), str):
        data["person"] = ids.get(data["person"], data["person"])
    return DiagramNode(node_id, node_type, label, round(x), round(y), data, at, fields)


def _written_properties(entry: Mapping[Any, Any], name: str, at: Path, report: Report) -> dict[str, tuple[Path, Any]]:
    """Property as written -> where and what. Top-level ones win over those under `props`; nulls vanish."""
    props = entry.get("props")
    if props is not None and not isinstance(props, dict):
        report.add("L13", f'node "{name}": props must be a map, not {shown(props)}', (*at, "props"), field="props")
    written: dict[str, tuple[Path, Any]] = {}
    for key, value in (props if isinstance(props, dict) else {}).items():
        if key in STRUCTURE:
            problem = f'node "{name}": "{key}" under props has no effect; write it beside props'
            report.add("L16", problem, (*at, "props", key))
        else:
            written[str(key)] = ((*at, "props", key), value)
    for key, value in entry.items():
        if key not in STRUCTURE:
            written[str(key)] = ((*at, key), value)
    return {key: (path, value) for key, (path, value) in written.items() if value is not None}


def _put(data: dict[str, Any], key: str, value: Any) -> str | None:
    """Set `a.b.c` as nested maps. The outermost name, or None when a part of the path is no map."""
    top, *rest = key.split(".") if not (key.startswith(".") or key.endswith(".")) else [key]
    *between, last = [top, *rest]
    target = data
    for part in between:
        inner = target.setdefault(part, {})
        if not isinstance(inner, dict):
            return None
        target = inner
    target[last] = value
    return top


def _rename(node_type: str, data: dict[str, Any], fields: dict[str, Path]) -> None:
    """Aliases and additions of §3.3."""
    for old, new in ALIASES.get(node_type, {}).items():
        if old in data and new not in data:
            data[new], fields[new] = data.pop(old), fields.pop(old)
    if node_type == "start":
        data.setdefault("custom_data", {})
        data.setdefault("output_data_structure", {})
    if node_type == "person_job":
        for dead in ("memory_config", "memory_settings"):
            data.pop(dead, None)
        profile = data.pop("memory_profile", None)
        if isinstance(profile, str) and "memorize_to" not in data and profile in MEMORY_PROFILES:
            data["memorize_to"] = MEMORY_PROFILES[profile]
            fields["memorize_to"] = fields["memory_profile"]


CONNECTION = ("from", "to", "content_type", "type", "label", "data", "execution_priority")


def _arrow(
    index: int, at: Path, entry: Mapping[Any, Any], by_name: Mapping[str, DiagramNode], report: Report
) -> Arrow | None:
    data = entry.get("data")
    arrow_id = str(data["id"]) if isinstance(data, dict) and data.get("id") else f"arrow_{index}"
    what = f"connection {index + 1}"
    warn_unknown(entry, CONNECTION, what, at, report)
    fields = arrow_fields(entry, what, arrow_id, at, report)
    type_key = "content_type" if entry.get("content_type") else "type"
    content_type = content_type_of(entry.get(type_key), (*at, type_key), report, arrow_id=arrow_id)
    ends = Ends(by_name, report, arrow_id)
    source = _end(ends, entry, "from", "output", what, at)
    target = _end(ends, entry, "to", "input", what, at)
    if source is None or target is None:
        return None
    if source.handle in BRANCHES:
        fields["data"] = {"branch": BRANCHES[source.handle], **fields["data"], "is_conditional": True}
    if source.requires_first or target.requires_first:
        fields["data"]["requires_first_execution"] = True
    return Arrow(
        arrow_id,
        handle_id(source.node.id, source.handle, "output"),
        handle_id(target.node.id, target.handle, "input"),
        content_type or "raw_text",
        **fields,
        at=at,
    )


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


def _propagate_content_types(nodes: list[DiagramNode], arrows: list[Arrow]) -> list[Arrow]:
    """A condition's branches carry what enters it, when that is of one kind: one pass in order, as written. (§3.4)"""
    conditions = {node.id for node in nodes if node.type == "condition"}
    ends = [(parse_handle_id(arrow.source), parse_handle_id(arrow.target)) for arrow in arrows]
    entering: dict[str, list[int]] = {}
    for index, (_, target) in enumerate(ends):
        if target and target[0] in conditions:
            entering.setdefault(target[0], []).append(index)
    done = list(arrows)
    for index, (source, _) in enumerate(ends):
        if source and source[0] in conditions and source[1] in BRANCHES:
            kinds = {done[other].content_type for other in entering.get(source[0], ())}
            if len(kinds) == 1:
                done[index] = replace(done[index], content_type=kinds.pop())
    return done


def _persons(value: Any, report: Report) -> list[DiagramPerson]:
    """`{name: config}`, or a list of `{name: …, service: …}` or of single `{name: config}` maps."""
    persons: list[DiagramPerson] = []
    for at, name, config in _person_entries(value, report):
        if not isinstance(config, dict):
            problem = f'"{name}" under persons is skipped: it is no map'
            report.add("L15", problem, at, suggestion="indent it further if it belongs to the person above")
            continue
        given = text_of(config.get("id"))
        label = str(name or config.get("label") or config.get("name") or given or "")
        if given is None or not label:
            what = "id must be text" if given is None else "it has no name"
            report.add("L14", f'person "{label}": {what}', at, label=label)
            continue
        warn_unknown(config, (*PERSON_TEXTS, "id", "label", "name"), f'person "{label}"', at, report)
        persons.append(person_of(given or label, label, config, at, report))
    return persons


def _person_entries(value: Any, report: Report) -> list[tuple[Path, str, Any]]:
    if isinstance(value, dict):
        return [(("persons", name), str(name), config) for name, config in value.items()]
    entries: list[tuple[Path, str, Any]] = []
    for at, entry in mappings(value, "persons", report):
        single = next(iter(entry.items())) if len(entry) == 1 else None
        if single and isinstance(single[1], dict):
            entries.append(((*at, single[0]), str(single[0]), single[1]))
        else:
            entries.append((at, "", entry))
    return entries
