"""The function of a script that runs its nodes in order: plain calls, a Dag, or a Flow."""

import graphlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dipeo_executor.export.literals import call, literal
from dipeo_executor.program import Edge, Node, Program


@dataclass(frozen=True, slots=True)
class Ordered:
    """The function that runs a diagram, and what it uses of the runtime."""

    text: str
    uses: frozenset[str]


def order_of(program: Program, names: Mapping[str, str], name: str, *, outermost: bool) -> Ordered:
    """`names`: node id -> its function; `name`: of the function to write."""
    if chain := straight(program):
        uses = {"perform", "Step", "Run"} | (set() if outermost else {"body_of"})
        return Ordered(_chain(chain, names, name, outermost=outermost), frozenset(uses))
    kind = "Flow" if needs_rounds(program) else "Dag"
    uses = {kind, "Step", "Arrow", "Run"} | (set() if outermost else {"body"})
    return Ordered(_flow(kind, program, names, name, outermost=outermost), frozenset(uses))


def _flow(kind: str, program: Program, names: Mapping[str, str], name: str, *, outermost: bool) -> str:
    steps = [f"{_step(node, names)}," for node in program.nodes]
    arrows = [f"{_arrow(edge, names)}," for edge in program.edges]
    result = "flow.result()" if outermost else "body(flow)"
    lines = [f"async def {name}(run: Run) -> Any:", f"    flow = {kind}(", "        run,", "        ["]
    lines += [f"            {step}" for step in steps]
    lines += ["        ],", "        ["]
    lines += [f"            {arrow}" for arrow in arrows]
    return "\n".join([*lines, "        ],", "    )", f"    return await {result}"])


def needs_rounds(program: Program) -> bool:
    """Whether a node may run more than once, or arrows compete: then only the whole rule of the engine will do."""
    before: dict[str, set[str]] = {node.id: set() for node in program.nodes}
    for edge in program.edges:
        before[edge.target].add(edge.source)
    try:
        graphlib.TopologicalSorter(before).prepare()
    except graphlib.CycleError:
        return True
    return any(edge.priority for edge in program.edges)


def straight(program: Program) -> list[tuple[Node, str]]:
    """(node, name of its input) from start to endpoint, when one simply follows the other; else []."""
    following = {edge.source: edge for edge in program.edges}
    first = [node for node in program.nodes if node.type == "start"]
    plain = (
        len(first) == 1
        and len(following) == len(program.edges) == len(program.nodes) - 1
        and len({edge.target for edge in program.edges}) == len(program.edges)
        and all(node.type != "condition" and node.on_error == "fail" for node in program.nodes)
        and all(edge.handle == "default" and edge.content_type != "conversation_state" for edge in program.edges)
    )
    chain = [(first[0], "")] if plain else []
    by_id = {node.id: node for node in program.nodes}
    while chain and chain[-1][0].id in following and len(chain) <= len(program.nodes):
        edge = following[chain[-1][0].id]
        chain.append((by_id[edge.target], edge.key))
    return chain if len(chain) == len(program.nodes) and chain[-1][0].type == "endpoint" else []


def _chain(chain: Sequence[tuple[Node, str]], names: Mapping[str, str], name: str, *, outermost: bool) -> str:
    lines = [f"async def {name}(run: Run) -> Any:"]
    for node, key in chain:
        inputs = f"{{{literal(key)}: output.value}}" if key else "dict(run.variables)"
        step = call("Step", [names[node.id], literal(node.label), literal(node.type)])  # the rest is for flows
        lines.append(f"    output = await perform(run, {step}, {inputs})")
    return "\n".join([*lines, f"    return {'output.value' if outermost else 'body_of(output.value)'}"])


def _step(node: Node, names: Mapping[str, str]) -> str:
    more = {"id": literal(node.id)}
    if node.max_iteration is not None:
        more["max_iteration"] = str(node.max_iteration)
    if node.on_error != "fail":
        more["on_error"] = literal(node.on_error)
    return call("Step", [names[node.id], literal(node.label), literal(node.type)], more).replace("\n", "\n            ")


def _arrow(edge: Edge, names: Mapping[str, str]) -> str:
    more = {"key": literal(edge.key)} if edge.key != "default" else {}
    if edge.handle != "default":
        more["port"] = literal(edge.handle)
    if edge.content_type == "conversation_state":
        more["talk"] = "True"
    if edge.priority:
        more["priority"] = literal(edge.priority)
    return call("Arrow", [names[edge.source], names[edge.target]], more).replace("\n", "\n            ")
