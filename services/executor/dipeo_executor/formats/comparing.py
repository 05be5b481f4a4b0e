"""What differs between two diagrams that should mean the same. (spec/formats.md §6.2)

Ids of nodes, fractions of positions and the handles section are left out: light and readable have none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Any

from dipeo_executor.formats.diagnostics import shown
from dipeo_executor.formats.model import Diagram, DiagramNode
from dipeo_executor.formats.writing import arrow_data, arrows_of, canonical


def differences(before: Diagram, after: Diagram) -> list[str]:
    """One sentence each; [] when nothing that matters was lost."""
    return [*_nodes(before, after), *_arrows(before, after), *_persons(before, after), *_metadata(before, after)]


def _nodes(before: Diagram, after: Diagram) -> Iterator[str]:
    for old, new in zip_longest(before.nodes, after.nodes):
        if old is None or new is None:
            yield f'node "{(old or new).name}" is {"added" if old is None else "left out"}'
            continue
        if old.name != new.name:
            yield f'node "{old.name}" is now called "{new.name}"'
        if old.type != new.type:
            yield f'node "{old.name}" has become a {new.type or "node without a type"}'
        yield from _maps(_meant(old, before), _meant(new, after), f'node "{old.name}"')


def _meant(node: DiagramNode, diagram: Diagram) -> dict[str, Any]:
    """Properties with other nodes given by their number."""
    data = canonical(node.type, node.data)
    if node.type == "condition" and isinstance(data.get("node_indices"), list):
        numbers = {word: index for index, it in enumerate(diagram.nodes) for word in (it.label, it.id)}
        data["node_indices"] = [numbers.get(it, it) if isinstance(it, str) else it for it in data["node_indices"]]
    return data


def _maps(old: Mapping[str, Any], new: Mapping[str, Any], what: str) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        if key not in new:
            yield f"{what}: {key} is lost, it was {shown(old[key])}"
        elif key not in old:
            yield f"{what}: {key} is new, {shown(new[key])}"
        elif not _same(old[key], new[key]):
            yield f"{what}: {key} is now {shown(new[key])}, it was {shown(old[key])}"


def _same(old: Any, new: Any) -> bool:
    """Equal, and of one kind: 1 is not true."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [*old] == [*new] and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return type(old) is type(new) and (old == new or old != old)


def _arrows(before: Diagram, after: Diagram) -> Iterator[str]:
    old_arrows, new_arrows = arrows_of(before), arrows_of(after)
    kept = {written.arrow.id for written in old_arrows}
    for arrow in before.arrows:
        if arrow.id not in kept:
            yield f'arrow "{arrow.id}" is left out: it does not lead from a node to a node'
    for number, (old, new) in enumerate(zip_longest(old_arrows, new_arrows), 1):
        if old is None or new is None:
            yield f"arrow {number} is {'added' if old is None else 'left out'}"
            continue
        what = f'arrow {number} (from "{before.nodes[old.source].name}" to "{before.nodes[old.target].name}")'
        for word in ("source", "handle", "target", "target_handle", "content_type", "label", "priority", "id"):
            if getattr(old, word) != getattr(new, word):
                yield f"{what}: {word} is now {shown(getattr(new, word))}, it was {shown(getattr(old, word))}"
        ours = arrow_data(new.arrow, new.handle, new.content_type)
        yield from _maps(arrow_data(old.arrow, old.handle, old.content_type), ours, what)


def _persons(before: Diagram, after: Diagram) -> Iterator[str]:
    for old, new in zip_longest(before.persons, after.persons):
        if old is None or new is None:
            yield f'person "{(old or new).label}" is {"added" if old is None else "left out"}'
            continue
        yield from _fields(old, new, f'person "{old.label}"', without=("at",))


def _metadata(before: Diagram, after: Diagram) -> Iterator[str]:
    yield from _fields(before.metadata, after.metadata, "metadata")


def _fields(old: Any, new: Any, what: str, without: Sequence[str] = ()) -> Iterator[str]:
    for field in fields(old):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if field.name not in without and was != now:
            yield f"{what}: {field.name} is now {shown(now)}, it was {shown(was)}"
