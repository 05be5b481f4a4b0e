"""What light and readable share: nodes known by label, properties as people write them, persons. (formats.md §3)"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dipeo_executor.formats.diagnostics import Report, shown
from dipeo_executor.formats.model import (
    BRANCHES,
    Arrow,
    DiagramNode,
    DiagramPerson,
    Handle,
    handle_id,
    parse_handle_id,
    usual_handles,
)
from dipeo_executor.formats.native import handle_of, position_of
from dipeo_executor.formats.positions import Path
from dipeo_executor.formats.references import End
from dipeo_executor.formats.sections import PERSON_TEXTS, mappings, named_mappings, person_of, text_of, warn_unknown

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


def by_name(nodes: list[DiagramNode], report: Report) -> dict[str, DiagramNode]:
    names: dict[str, DiagramNode] = {}
    for node in nodes:
        first = names.setdefault(node.name, node)
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
    return names


def node_of(
    node_id: str, at: Path, entry: Mapping[Any, Any], person_ids: Mapping[str, str], report: Report
) -> DiagramNode:
    """A node as light writes it. `person_ids`: what a person may be called -> id."""
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
    if isinstance(data.get("person"), str):
        data["person"] = person_ids.get(data["person"], data["person"])
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
        if key != "label":
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


def propagate_content_types(nodes: Sequence[DiagramNode], arrows: Sequence[Arrow]) -> list[Arrow]:
    """A condition's branches carry what enters it, when that is of one kind: one pass in order, as written. (§3.4)

    An arrow whose data repeats its type as `contentType` keeps it: so native diagrams survive the way through light.
    """
    conditions = {node.id for node in nodes if node.type == "condition"}
    ends = [(parse_handle_id(arrow.source), parse_handle_id(arrow.target)) for arrow in arrows]
    entering: dict[str, list[int]] = {}
    for index, (_, target) in enumerate(ends):
        if target and target[0] in conditions:
            entering.setdefault(target[0], []).append(index)
    done = list(arrows)
    for index, (source, _) in enumerate(ends):
        pinned = arrows[index].data.get("contentType") == arrows[index].content_type
        if source and source[0] in conditions and source[1] in BRANCHES and not pinned:
            kinds = {done[other].content_type for other in entering.get(source[0], ())}
            if len(kinds) == 1:
                done[index] = replace(done[index], content_type=kinds.pop())
    return done


def persons_in(value: Any, report: Report) -> list[DiagramPerson]:
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


def arrow_between(
    arrow_id: str, source: End, target: End, content_type: str | None, fields: Mapping[str, Any], at: Path
) -> Arrow:
    """An arrow with the data that its handles imply (§3.4). `fields`: label, execution_priority and data."""
    data = dict(fields["data"])
    if source.handle in BRANCHES:
        data = {"branch": BRANCHES[source.handle], **data, "is_conditional": True}
    if source.requires_first or target.requires_first:
        data["requires_first_execution"] = True
    return Arrow(
        arrow_id,
        handle_id(source.node.id, source.handle, "output"),
        handle_id(target.node.id, target.handle, "input"),
        content_type or "raw_text",
        **{**fields, "data": data},
        at=at,
    )


def handles_of(document: Mapping[Any, Any], nodes: Iterable[DiagramNode], report: Report) -> list[Handle]:
    """Those of the file, and the usual ones of the nodes it lists none for."""
    handles = [
        handle
        for at, entry in named_mappings(document.get("handles"), "handles", report)
        if (handle := handle_of(at, entry, report))
    ]
    listed = {handle.node_id for handle in handles}
    return handles + [handle for node in nodes if node.id not in listed for handle in usual_handles(node)]
