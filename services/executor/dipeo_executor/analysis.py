"""What can be said about a diagram from its shape alone: V, E and O of spec/formats.md §9."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dipeo_executor.formats.diagnostics import Report, did_you_mean, listed, shown
from dipeo_executor.formats.model import (
    BRANCHES,
    CONTENT_TYPES,
    NATIVE_CONTENT_TYPES,
    NODE_TYPES,
    Arrow,
    Diagram,
    DiagramNode,
    handle_words,
    parse_handle_id,
)
from dipeo_executor.program import Edge

LOST_ARROWS = ("L9", "L10", "L12", "V6", "V7", "V8", "V9")  # a branch that such an arrow leaves is not missing


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow whose ends are known."""

    arrow: Arrow
    source: DiagramNode
    handle: str
    target: DiagramNode
    target_handle: str


def validate(diagram: Diagram, report: Report) -> list[Link]:
    """V2 to V14 and E3. The arrows that lead somewhere."""
    _check_ids(diagram, report)
    _check_types(diagram, report)
    nodes = {node.id: node for node in diagram.nodes}
    links = [link for arrow in diagram.arrows if (link := _link(arrow, nodes, report))]
    for link in links:
        _check_link(link, report)
    if not any(problem.code in LOST_ARROWS for problem in report.found):
        _check_branches(diagram, links, report)
    return links


def _check_ids(diagram: Diagram, report: Report) -> None:
    for index in _repeated([node.id for node in diagram.nodes]):
        node = diagram.nodes[index]
        report.add("V2", f'the node id "{node.id}" is taken by an earlier node', node.at, node_id=node.id)
    for index in _repeated([arrow.id for arrow in diagram.arrows]):
        arrow = diagram.arrows[index]
        report.add("E3", f'the arrow id "{arrow.id}" is taken by an earlier arrow', arrow.at, arrow_id=arrow.id)
    for node in diagram.nodes:
        if "/" in node.id:
            problem = f'the node id "{node.id}" contains "/", which separates the levels of sub-diagrams'
            report.add("V14", problem, node.at, node_id=node.id, label=node.label)


def _repeated(ids: Sequence[str]) -> list[int]:
    first = {node_id: index for index, node_id in reversed(list(enumerate(ids)))}
    return [index for index, node_id in enumerate(ids) if first[node_id] != index]


def _check_types(diagram: Diagram, report: Report) -> None:
    for node in diagram.nodes:
        if node.type not in NODE_TYPES:
            what = f'has the unknown type "{node.type}"' if node.type else "has no type"
            report.add(
                "V3", f'node "{node.name}" {what}; types are {", ".join(NODE_TYPES)}', (*node.at, "type"),
                node_id=node.id, label=node.label, field="type", suggestion=did_you_mean(node.type, NODE_TYPES),
            )  # fmt: skip
    types = Counter(node.type for node in diagram.nodes)
    if not types["start"]:
        report.add("V4", "the diagram has no start node", ("nodes",), suggestion="add a node with type: start")
    if not types["endpoint"]:
        report.add(
            "V5", "the diagram has no endpoint, so outputs may not be saved", ("nodes",),
            suggestion="add a node with type: endpoint",
        )  # fmt: skip


def _link(arrow: Arrow, nodes: Mapping[str, DiagramNode], report: Report) -> Link | None:
    ends: list[tuple[DiagramNode, str]] = []
    for code, key, wanted, text in (("V6", "source", "output", arrow.source), ("V7", "target", "input", arrow.target)):
        at = (*arrow.at, key)
        handle = parse_handle_id(text)
        if handle is None:
            form = f"NODE_HANDLE_{wanted}, for example node_0_default_{wanted}"
            problem = f'arrow "{arrow.id}": the {key} {shown(text)} is no handle id; it has the form {form}'
            report.add(code, problem, at, arrow_id=arrow.id, field=key)
            return None
        node_id, label, direction = handle
        if direction != wanted:
            problem = f'arrow "{arrow.id}": the {key} must be an {wanted} handle, not {text}'
            report.add("V9", problem, at, arrow_id=arrow.id, field=key)
        elif node_id not in nodes:
            problem = f'arrow "{arrow.id}": {key} node "{node_id}" not found'
            hint = did_you_mean(node_id, nodes)
            report.add("V8", problem, at, arrow_id=arrow.id, field=key, suggestion=hint)
        else:
            ends.append((nodes[node_id], label))
    return Link(arrow, *ends[0], *ends[1]) if len(ends) == 2 else None


def _check_link(link: Link, report: Report) -> None:
    source, target, arrow_id = link.source, link.target, link.arrow.id
    if target.type == "start":
        problem = f'start node "{target.name}" cannot have an incoming arrow (from "{source.name}")'
        report.add("V10", problem, link.arrow.at, node_id=target.id, label=target.label, arrow_id=arrow_id)
    elif target.type in NODE_TYPES:
        _check_handle(target, link.target_handle, "input", link, report)
    if source.type == "endpoint":
        problem = f'endpoint "{source.name}" cannot have an outgoing arrow (to "{target.name}")'
        report.add("V11", problem, link.arrow.at, node_id=source.id, label=source.label, arrow_id=arrow_id)
    elif source.type in NODE_TYPES:
        _check_handle(source, link.handle, "output", link, report)


def _check_handle(node: DiagramNode, handle: str, direction: str, link: Link, report: Report) -> None:
    words = handle_words(node.type, direction)
    if handle in words:
        return
    effect = "nothing ever leaves by it" if direction == "output" else "it acts as default"
    report.add(
        "V13", f'node "{node.name}" ({node.type}) has no {direction} handle "{handle}"; {effect}', link.arrow.at,
        node_id=node.id, label=node.label, arrow_id=link.arrow.id, suggestion=f"use {' or '.join(words)}",
    )  # fmt: skip


def _check_branches(diagram: Diagram, links: Sequence[Link], report: Report) -> None:
    used = {(link.source.id, link.handle) for link in links}
    for node in diagram.nodes:
        for handle, branch in BRANCHES.items():
            if node.type == "condition" and (node.id, handle) not in used:
                report.add(
                    "V12", f'condition "{node.name}" has no {branch} branch', node.at,
                    node_id=node.id, label=node.label, suggestion=f'draw an arrow from "{node.name}[{handle}]"',
                )  # fmt: skip


def build_edges(links: Sequence[Link], report: Report) -> tuple[Edge, ...]:
    """One edge per arrow, in order. (§9.5, engine contract 0.2)"""
    edges = []
    for index, link in enumerate(links):
        arrow = link.arrow
        edges.append(
            Edge(
                index=index,
                arrow_id=arrow.id,
                source=link.source.id,
                handle="default" if link.handle in ("success", "results") else link.handle,
                target=link.target.id,
                key=arrow.label or link.target_handle,
                target_handle="first"
                if link.target_handle == "first" and link.target.type == "person_job"
                else "default",
                content_type=_content_type(link, report),
                priority=arrow.execution_priority,
            )
        )
    return tuple(edges)


def _content_type(link: Link, report: Report) -> str:
    arrow = link.arrow
    kind = arrow.content_type or arrow.data.get("contentType")
    if kind and kind not in CONTENT_TYPES:
        report.add(
            "E1", f'arrow "{arrow.id}": {shown(kind)} is no content type; there are {", ".join(CONTENT_TYPES)}',
            (*arrow.at, "data", "contentType"), arrow_id=arrow.id, field="data.contentType",
            suggestion=did_you_mean(str(kind), CONTENT_TYPES),
        )  # fmt: skip
        return "raw_text"
    return str(kind or NATIVE_CONTENT_TYPES.get(link.source.type, "raw_text"))


def look_for_waste(diagram: Diagram, links: Sequence[Link], report: Report) -> None:
    """O1, O2 and O3: legal, but hardly meant."""
    reached = reached_from((node.id for node in diagram.nodes if node.type == "start"), links)
    for node in diagram.nodes:
        if node.id not in reached:
            report.add(
                "O1", f'node "{node.name}" cannot be reached from any start node', node.at,
                node_id=node.id, label=node.label, suggestion="connect it, or remove it",
            )  # fmt: skip
    conditions = {node.id for node in diagram.nodes if node.type == "condition"}
    looping = nodes_on_cycles(links, without=conditions)
    if looping:
        names = {node.id: node.name for node in diagram.nodes}
        first = next(node for node in diagram.nodes if node.id == looping[0])
        report.add(
            "O2", f"no condition can leave the cycle through {listed(names[node_id] for node_id in looping)}", first.at,
            node_id=first.id, label=first.label, suggestion="let a condition decide whether to go round again",
        )  # fmt: skip
    _warn_of_collisions(links, conditions, report)


def _warn_of_collisions(links: Sequence[Link], conditions: Collection[str], report: Report) -> None:
    """Two arrows to one input that both deliver in one round: neither comes after a choice, neither leads back."""
    chosen = {link.target.id for link in links if link.handle == "error"}
    optional = reached_from([*conditions, *chosen], links)
    takers: dict[tuple[str, str], list[Link]] = {}
    for link in links:
        if link.source.id not in optional and link.handle != "error":
            takers.setdefault((link.target.id, link.arrow.label or link.target_handle), []).append(link)
    for (target, key), found in takers.items():
        if len(found) < 2:
            continue
        behind = reached_from([target], links)
        names = [link.source.name for link in found if link.source.id not in behind]
        if len(names) > 1:
            last = found[-1]
            problem = (
                f'"{last.target.name}" gets its input "{key}" from {listed(map(shown, names))}; the last one counts'
            )
            report.add(
                "O3", problem,
                last.arrow.at, node_id=target, label=last.target.label, arrow_id=last.arrow.id,
                suggestion="give each of the arrows a label of its own",
            )  # fmt: skip


def reached_from(starts: Iterable[str], links: Sequence[Link]) -> set[str]:
    """These nodes, and all that arrows lead to from them."""
    targets: dict[str, list[str]] = {}
    for link in links:
        targets.setdefault(link.source.id, []).append(link.target.id)
    reached = set(starts)
    border = list(reached)
    while border:
        fresh = set(targets.get(border.pop(), ())) - reached
        reached |= fresh
        border.extend(fresh)
    return reached


def nodes_on_cycles(links: Sequence[Link], without: Collection[str] = ()) -> list[str]:
    """Ids of nodes on a cycle that avoids `without`, by first appearance as the target of an arrow."""
    targets: dict[str, list[str]] = {}
    for link in links:
        if link.source.id not in without and link.target.id not in without:
            targets.setdefault(link.source.id, []).append(link.target.id)
    component = components(targets)
    sizes = Counter(component.values())
    looping = {node for node in component if sizes[component[node]] > 1 or node in targets.get(node, ())}
    return [node for node in dict.fromkeys(link.target.id for link in links) if node in looping]


def components(targets: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Node -> number of its strongly connected component (Tarjan, without recursion)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    component: dict[str, int] = {}
    open_nodes: list[str] = []
    for root in targets:
        path = [] if root in order else [(root, iter(targets.get(root, ())))]
        if path:
            order[root] = low[root] = len(order)
            open_nodes.append(root)
        while path:
            node, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == order[node]:
                    while node not in component:
                        component[open_nodes.pop()] = order[node]
            elif following not in order:
                order[following] = low[following] = len(order)
                open_nodes.append(following)
                path.append((following, iter(targets.get(following, ()))))
            elif following not in component:
                low[node] = min(low[node], order[following])
    return component
