"""What a diagram consists of: the figures of `dipeo stats`, of any diagram that can be read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dipeo_executor.analysis import components, reached_from, validate
from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.model import Diagram, DiagramPerson


@dataclass(frozen=True, slots=True)
class Description:
    """`loops`: labels of nodes that can be left and reached again, as sets as large as possible. `depth`: nodes on the
    longest way from a start node, a loop counted as one."""

    node_types: Mapping[str, int]
    nodes: int
    edges: int
    persons: Sequence[tuple[DiagramPerson, int]]  # with the number of nodes that ask them
    loops: Sequence[Sequence[str]]
    depth: int
    unreachable: Sequence[str]


def describe(diagram: Diagram) -> Description:
    links = validate(diagram, Report())
    targets: dict[str, list[str]] = {node.id: [] for node in diagram.nodes}
    for link in links:
        targets[link.source.id].append(link.target.id)
    starts = [node.id for node in diagram.nodes if node.type == "start"]
    reached = reached_from(starts, links)
    component = components(targets)
    asked = Counter(str(node.data.get("person")) for node in diagram.nodes)
    return Description(
        node_types=dict(sorted(Counter(node.type or "?" for node in diagram.nodes).items())),
        nodes=len(diagram.nodes),
        edges=len(diagram.arrows),
        persons=[(person, asked[person.id]) for person in diagram.persons],
        loops=_loops(diagram, targets, component),
        depth=_depth(starts, targets, component),
        unreachable=[node.name for node in diagram.nodes if node.id not in reached],
    )


def _loops(diagram: Diagram, targets: Mapping[str, Sequence[str]], component: Mapping[str, int]) -> list[list[str]]:
    members: dict[int, list[str]] = {}
    for node in diagram.nodes:
        members.setdefault(component[node.id], []).append(node.id)
    names = {node.id: node.name for node in diagram.nodes}
    return [
        [names[it] for it in found] for found in members.values() if len(found) > 1 or found[0] in targets[found[0]]
    ]


def _depth(starts: Sequence[str], targets: Mapping[str, Sequence[str]], component: Mapping[str, int]) -> int:
    """Longest path between components, from their number of incoming edges down (Kahn)."""
    onward: dict[int, set[int]] = {number: set() for number in component.values()}
    for node, following in targets.items():
        onward[component[node]].update(component[it] for it in following if component[it] != component[node])
    waiting = Counter(it for following in onward.values() for it in following)
    level = {component[start]: 1 for start in starts}
    ready = [number for number in onward if not waiting[number]]
    while ready:
        number = ready.pop()
        for below in onward[number]:
            if number in level:
                level[below] = max(level.get(below, 0), level[number] + 1)
            waiting[below] -= 1
            if not waiting[below]:
                ready.append(below)
    return max(level.values(), default=0)
