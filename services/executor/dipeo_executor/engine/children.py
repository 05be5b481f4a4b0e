"""What goes into a sub-diagram and what comes out of it (node contract 12.3): pure, so replay needs nothing else."""

import copy
from collections.abc import Mapping
from typing import Any, Protocol

Json = Any
SKIPPED = {"skipped": True, "reason": "this diagram runs as a sub-diagram"}  # value of a node with ignore_if_sub


class SubDiagram(Protocol):
    """The properties of a sub_diagram node that shape its inputs and its result."""

    @property
    def pass_input_data(self) -> bool: ...
    @property
    def input_mapping(self) -> Mapping[str, str] | None: ...
    @property
    def ignore_if_sub(self) -> bool: ...


def child_variables(props: SubDiagram, inputs: Mapping[str, Json]) -> dict[str, Json]:
    """Variables of the child, a deep copy: it can never change its parent's values.

    `pass_input_data` hands on all inputs, a lone map under "default" spread; `input_mapping` is {inner name: port or
    dotted path}, sources that do not exist are left out.
    """
    variables: dict[str, Json] = {}
    if props.pass_input_data:
        variables = dict(inputs)
        if list(variables) == ["default"] and isinstance(variables["default"], dict):
            variables = dict(variables["default"])
    for inner, outer in (props.input_mapping or {}).items():
        found, value = lookup(inputs, outer)
        if found:
            variables[inner] = value
    return copy.deepcopy(variables)


def shaped_result(mapping: Mapping[str, str] | None, result: Json, outputs: Mapping[str, Json]) -> Json:
    """The node's value: the child's result, or with a mapping {out: path} what the paths select.

    A path is dotted into the result, or "Label" / "Label.path" into what a node of the child produced last.
    """
    if not mapping:
        return result
    shaped = {}
    for name, path in mapping.items():
        found, value = lookup(result, path)
        if not found:
            label = next((label for label in sorted(outputs, key=len, reverse=True) if _heads(label, path)), None)
            if label is not None:
                value = lookup(outputs[label], path[len(label) + 1 :])[1]
        shaped[name] = value
    return shaped


def lookup(value: Json, path: str) -> tuple[bool, Json]:
    """(whether it is there, what is there) for a dotted path into maps and lists; "" is the value itself."""
    if isinstance(value, Mapping) and path in value:
        return True, value[path]
    for part in path.split(".") if path else ():
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False, None
    return True, value


def _heads(label: str, path: str) -> bool:
    return path == label or path.startswith(f"{label}.")
