"""Readable YAML: nodes and persons by name, arrows as a flow. (spec/formats.md §5.2)"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dipeo_executor.formats.destinations import Destination, destination_of
from dipeo_executor.formats.diagnostics import Report, shown
from dipeo_executor.formats.labelled import (
    arrow_between,
    by_name,
    handles_of,
    node_of,
    persons_in,
    propagate_content_types,
)
from dipeo_executor.formats.model import NODE_TYPES, Arrow, Diagram, DiagramNode, DiagramPerson, handle_words
from dipeo_executor.formats.native import arrow_fields, person
from dipeo_executor.formats.positions import Path
from dipeo_executor.formats.references import End, Ends
from dipeo_executor.formats.sections import content_type_of, mappings, metadata_of, warn_unknown

TOP = (
    "version",
    "format",
    "name",
    "description",
    "nodes",
    "flow",
    "persons",
    "handles",
    "metadata",
    "api_keys",
    "budget",
)
POSITION = re.compile(r"^(.*?)\s*@\(\s*([-+]?\d+(?:\.\d+)?)\s*,\s*([-+]?\d+(?:\.\d+)?)\s*\)\s*$", re.DOTALL)
TYPE = re.compile(r"^(.+?)\s+\[\s*(\w+)\s*\]\s*$", re.DOTALL)
KINDS = (  # what the properties of a node without a type say about it, the first that fits
    ("condition", ("condition_type", "expression")),
    ("db", ("sub_type", "operation")),
    ("code_job", ("code", "file_path", "filePath", "language")),
    ("api_job", ("url", "method")),
    ("endpoint", ("save_to_file", "file_name", "file_format")),
    ("template_job", ("template_path", "template_content")),
    ("sub_diagram", ("diagram_name",)),
    ("start", ("trigger_mode", "custom_data")),
    ("person_job", ("person", "default_prompt", "first_only_prompt")),
)


def read(document: Mapping[Any, Any], report: Report) -> Diagram:
    warn_unknown(document, TOP, "the diagram", (), report)
    persons = _persons(document.get("persons"), report)
    person_ids = {f"person_{it.label}": it.id for it in persons} | {it.id: it.id for it in persons}
    person_ids |= {it.label: it.id for it in reversed(persons)}
    nodes = [
        node
        for index, (at, entry) in enumerate(mappings(document.get("nodes"), "nodes", report))
        if (node := _node(index, at, entry, person_ids, report))
    ]
    flow = _Flow(by_name(nodes, report), report)
    for at, source, value in _flow_items(document.get("flow"), report):
        flow.add(at, source, value)
    return Diagram(
        tuple(nodes),
        tuple(propagate_content_types(nodes, flow.arrows)),
        tuple(handles_of(document, nodes, report)),
        tuple(persons),
        metadata_of(document, report),
    )


def _persons(value: Any, report: Report) -> list[DiagramPerson]:
    """As in light; entries may also be the model's own ({id, label, llm_config})."""
    if isinstance(value, list) and any(isinstance(entry, dict) and "llm_config" in entry for entry in value):
        return [person(at, entry, report) for at, entry in mappings(value, "persons", report)]
    return persons_in(value, report)


# --- nodes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Title:
    """`Name [type] @(x,y)`, the suffixes in either order, each at most once."""

    name: str
    type: str = ""
    position: tuple[float, float] | None = None


def title_of(text: str) -> _Title:
    name, node_type, position = text.strip(), "", None
    while True:
        if position is None and (placed := POSITION.match(name)):
            name, position = placed[1], (float(placed[2]), float(placed[3]))
        elif not node_type and (typed := TYPE.match(name)):
            name, node_type = typed[1], typed[2]
        else:
            return _Title(name, node_type, position)


def _node(
    index: int, at: Path, entry: Mapping[Any, Any], person_ids: Mapping[str, str], report: Report
) -> DiagramNode | None:
    if len(entry) != 1:
        problem = f"a node is one name with its properties below, not {len(entry)} keys: {shown(list(entry))}"
        report.add("L13", problem, at, suggestion="indent the properties, or begin the next node with a dash")
        return None
    key, given = next(iter(entry.items()))
    at = (*at, key)
    title = title_of(str(key))
    properties = given if isinstance(given, dict) else {}
    if given is not None and not isinstance(given, dict):
        report.add("L13", f'node "{title.name}": its properties must be a map, not {shown(given)}', at)
    written = {
        "label": title.name,
        "position": {"x": title.position[0], "y": title.position[1]} if title.position else None,
        **{name: value for name, value in properties.items() if name != "label"},
    }
    written["type"] = _type(title, properties, index, at, report)
    return node_of(f"node_{index}", at, written, person_ids, report)


def _type(title: _Title, properties: Mapping[Any, Any], index: int, at: Path, report: Report) -> str:
    """As written, else as the properties tell; "" when they tell nothing."""
    given = str(properties.get("type") or "").lower()
    word = title.type.lower()
    if word and given and word != given:
        report.add("L13", f'node "{title.name}" is called [{word}] but has the type {given}', (*at, "type"))
    word = word or given
    if word == "job":
        return "code_job" if "code" in properties else "person_job"
    if word:
        return word
    for kind, names in KINDS:
        if any(properties.get(name) is not None for name in names):
            return kind
    is_start = index == 0 or title.name.casefold() == "start" or not properties
    return "start" if is_start else ""


# --- arrows ----------------------------------------------------------------------------------------------------------


def _flow_items(value: Any, report: Report) -> Iterator[tuple[Path, str, Any]]:
    """(where, source, destinations) of every entry; source "" = the text is a chain `A -> B -> C`."""
    if value is None:
        return
    if not isinstance(value, list):
        report.add("L7", f"flow must be a list, not {shown(value)}", ("flow",))
        return
    for index, entry in enumerate(value):
        if isinstance(entry, str):
            yield ("flow", index), "", entry
        elif isinstance(entry, dict):
            for source, destinations in entry.items():
                yield ("flow", index, source), str(source), destinations
        elif entry is not None:
            report.add("L15", f"{shown(entry)} in flow is skipped: it is neither text nor a map", ("flow", index))


class _Flow:
    """Makes the arrows one after the other; their ids count on."""

    def __init__(self, names: Mapping[str, DiagramNode], report: Report) -> None:
        self._names, self._report = names, report
        self._count = 0
        self.arrows: list[Arrow] = []

    def add(self, at: Path, source: str, value: Any) -> None:
        if not source:
            self._chain(at, value)
        elif isinstance(value, list):
            for index, one in enumerate(value):
                self._to(source, one, (*at, index))
        else:
            self._to(source, value, at)

    def _chain(self, at: Path, text: str) -> None:
        parts = text.split(" -> ")
        if len(parts) < 2:
            self._report.add("L12", f"flow: {shown(text)} leads nowhere", at, suggestion='write "A -> B"')
        source = parts[0].strip()
        for part in parts[1:]:
            destinations = self._to(source, part.strip(), at)
            source = destinations[-1].to if destinations else part.strip()

    def _to(self, source: str, value: Any, at: Path) -> list[Destination]:
        destinations = destination_of(value, self._names)
        if isinstance(destinations, str):
            self._report.add("L12", f'flow from "{source}": {destinations}', at)
            return []
        for destination in destinations:
            self._arrow(source, destination, at)
        return destinations

    def _arrow(self, source: str, destination: Destination, at: Path) -> None:
        arrow_id = destination.id or f"arrow_{self._count}"
        self._count += 1
        ends, report = Ends(self._names, self._report, arrow_id), self._report
        begin = _handled(ends, ends.resolve(source, "output", at), destination.from_handle, "output", at)
        end = _handled(ends, ends.resolve(destination.to, "input", at), destination.in_handle, "input", at)
        what = f'flow from "{source}" to "{destination.to}"'
        given = {"label": destination.naming, "execution_priority": destination.priority, "data": destination.data}
        fields = arrow_fields(given, what, arrow_id, at, report)
        content_type = content_type_of(destination.content_type, at, report, arrow_id=arrow_id)
        if begin and end:
            self.arrows.append(arrow_between(arrow_id, begin, end, content_type, fields, at))


def _handled(ends: Ends, end: End | None, word: str, direction: str, at: Path) -> End | None:
    """The end at the handle that is named apart; without a name, one of the other side (in a chain) is left out."""
    if end is None:
        return None
    if word:
        return ends.bracketed(end.node, word, direction, at)
    other = "input" if direction == "output" else "output"
    foreign = end.node.type in NODE_TYPES and end.handle not in handle_words(end.node.type, direction)
    return End(end.node, "default") if foreign and end.handle in handle_words(end.node.type, other) else end
