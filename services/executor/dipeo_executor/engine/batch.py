"""A sub-diagram run once per item (node contract 12.4): a program of one node per item, made when the batch starts.

Everything else follows: items are node runs "K/0", "K/1" … in the same journal, a finished one is never run again, and
`max_concurrent` is how many of that program's nodes may be busy at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dipeo_executor.program import Node, Program

if TYPE_CHECKING:
    from dipeo_executor.engine.state import Frame

Json = Any


@dataclass(frozen=True, slots=True)
class Item:
    """Properties of the node made for one item."""

    variables: Mapping[str, Json]
    output_mapping: Mapping[str, str] | None
    isolate_conversation: bool
    batch: bool = False
    ignore_if_sub: bool = False
    timeout: float | None = None
    retry: None = None


def items_of(inputs: Mapping[str, Json], key: str) -> list[Json]:
    """Items under `key`, else under `default` (one more level down as well); what is no list is one item."""
    found = inputs.get(key)
    inner = inputs.get("default")
    for _ in range(2):
        if found is None and isinstance(inner, Mapping):
            found = inner.get(key)
            inner = inner.get("default")
    if found is None:
        return []
    return list(found) if isinstance(found, list) else [found]


def program_of(node: Node, inputs: Mapping[str, Json]) -> Program:
    """One sub-diagram node per item, without arrows: all may start at once."""
    props, key = node.props, node.props.batch_input_key
    items = items_of(inputs, key)
    others = {name: value for name, value in inputs.items() if name not in (key, "default")}
    made = []
    for index, item in enumerate(items):
        place = {"_batch_index": index, "_batch_total": len(items)}
        spread = item if key == "default" and isinstance(item, Mapping) else {"default": item}
        one = Item({**spread, **place, **others}, props.output_mapping, props.isolate_conversation)
        made.append(Node(str(index), node.type, f"{node.label}[{index}]", one, "continue", child=node.child))
    return Program(tuple(made), (), name=node.child.name if node.child else "")


def width(node: Node) -> int:
    """How many items may run at a time."""
    return node.props.max_concurrent if node.props.batch_parallel else 1


def collected(frame: "Frame") -> tuple[Json, dict[str, Json], bool]:
    """(value, meta, whether every item failed): failed items keep their place in the list."""
    total = frame.graph.size
    value: list[Json] = []
    errors: list[Json] = []
    for index in range(total):
        failure = frame.errors.get(index)
        if failure is None:
            place = {"sub_execution_id": frame.path_of(index)}
            value.append({"index": index, "output": frame.output[index], "metadata": place})
        else:
            value.append({"index": index, "error": failure.message})
            item = frame.node(index).props.variables.get("default")
            errors.append({"index": index, "error": failure.message, "error_type": failure.type, "item": item})
    meta = {
        "total_items": total,
        "successful": total - len(errors),
        "failed": len(errors),
        "errors": errors or None,
        "diagram": frame.program.name,
    }
    return value, meta, 0 < len(errors) == total
