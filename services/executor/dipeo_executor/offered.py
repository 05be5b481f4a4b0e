"""What a caller needs to know of a compiled diagram to offer it as a tool: its inputs, and what it is made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from dipeo_executor.compiler import Compiled
from dipeo_executor.nodes import start
from dipeo_executor.program import Node, Program


@dataclass(frozen=True, slots=True)
class Interface:
    """`defaults`: what the start nodes emit by default. `inputs`: names to types, or a JSON Schema."""

    description: str
    mcp: dict[str, Any]
    defaults: dict[str, Any]
    inputs: dict[str, Any]
    node_types: tuple[str, ...]  # each once, those of sub-diagrams included
    straight: bool  # no loop, batch or sub-diagram


def interface_of(compiled: Compiled, program: Program) -> Interface:
    starts = [node.props for node in program.nodes if isinstance(node.props, start.Props)]
    defaults: dict[str, Any] = {}
    for props in starts:
        if props.trigger_mode != "none" and isinstance(props.custom_data, dict):  # decision 45
            defaults |= props.custom_data
    return Interface(
        description=compiled.metadata.description,
        mcp=dict(compiled.metadata.mcp),
        defaults=defaults,
        inputs=next((props.output_data_structure for props in starts if props.output_data_structure), {}),
        node_types=tuple(dict.fromkeys(node.type for node in _all(program))),
        straight=not any(node.child or getattr(node.props, "batch", False) for node in program.nodes)
        and not _has_loop(program),
    )


def _all(program: Program) -> Iterator[Node]:
    for node in program.nodes:
        yield node
        if node.child is not None:
            yield from _all(node.child)


def _has_loop(program: Program) -> bool:
    order: TopologicalSorter[str] = TopologicalSorter()
    for edge in program.edges:
        order.add(edge.target, edge.source)
    try:
        order.prepare()
    except CycleError:
        return True
    return False
