"""The node types as data: for `dipeo nodes`, and as the JSON Schema by which editors check light diagrams."""

import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dipeo_executor.formats.model import CONTENT_TYPES, NODE_TYPES, handle_words
from dipeo_executor.nodes import REGISTRY
from dipeo_executor.nodes.base import Props

SOURCES = re.compile(r"\s*\([^()]*(?:contract|decision)[^()]*\)")  # for readers of the code, not of the reference
WORDS: dict[Any, str] = {
    str: "text", int: "whole number", float: "number", bool: "true or false", dict: "map", list: "list",
    Any: "anything", type(None): "nothing",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Property:
    """`default` is JSON-native; without meaning where `required`."""

    name: str
    type: str
    required: bool
    default: Any
    help: str


@dataclass(frozen=True, slots=True)
class NodeKind:
    name: str
    summary: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    properties: tuple[Property, ...]


@lru_cache(maxsize=1)
def node_kinds() -> tuple[NodeKind, ...]:
    return tuple(_kind(name, REGISTRY[name].props) for name in NODE_TYPES)


def _kind(name: str, props: type[Props]) -> NodeKind:
    module = inspect.getmodule(props)
    summary = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
    summary = SOURCES.sub("", summary.removeprefix(f"{name}: "))
    notes = _comments(props)
    fields = {key: field for key, field in props.model_fields.items() if not key.startswith("resolved_")}
    own = [key for key in fields if key in props.__annotations__]
    ordered = [*own, *(key for key in fields if key not in own)]
    return NodeKind(
        name,
        summary[:1].upper() + summary[1:],
        handle_words(name, "input"),
        handle_words(name, "output"),
        tuple(_property(key, fields[key], notes) for key in ordered),
    )


def _property(name: str, field: FieldInfo, notes: Mapping[str, str]) -> Property:
    required = field.is_required()
    default = None if required else field.get_default(call_default_factory=True)
    if default is PydanticUndefined or isinstance(default, BaseModel):
        default = None
    return Property(name, type_words(field.annotation), required, default, field.description or notes.get(name, ""))


def type_words(annotation: Any) -> str:
    """A type as people say it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_words(it) for it in arguments if it is not type(None)))
    if origin is list:
        return f"list of {type_words(arguments[0])}"
    if origin is dict:
        return "map" if arguments[1] is Any else f"map of {type_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "map (" + ", ".join(annotation.model_fields) + ")"
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


@lru_cache(maxsize=64)
def _comments(props: type[Props]) -> dict[str, str]:
    """What is written behind each property in the source, of the class and its bases."""
    notes: dict[str, str] = {}
    for owner in reversed(props.__mro__):
        if not issubclass(owner, Props):
            continue
        name = ""
        for line in inspect.getsource(owner).splitlines():
            head = line.strip().split(":", 1)[0]
            name = head if line.startswith("    ") and head in props.model_fields else name
            code, mark, note = line.partition("  # ")
            if mark and name and code.strip():
                notes[name] = note.strip()
    return notes


# --- JSON Schema -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def light_schema() -> dict[str, Any]:
    """Draft 2020-12. Lenient where the reader is: unknown properties are warnings there and allowed here."""
    person = {
        "type": "object",
        "properties": {
            key: {"type": "string"}
            for key in ("service", "model", "api_key_id", "system_prompt", "prompt_file", "base_url", "id")
        },
    }
    connection = {
        "type": "object",
        "required": ["from", "to"],
        "properties": {
            "from": {"type": "string", "description": "Label of a node; Label[condtrue] for a branch."},
            "to": {"type": "string", "description": "Label of a node; Label[first] for a first input."},
            "label": {"type": "string", "description": "Name of the value at the target."},
            "content_type": {"enum": list(CONTENT_TYPES)},
            "execution_priority": {"type": "number"},
            "data": {"type": "object"},
        },
    }
    definitions: dict[str, Any] = {}
    kinds = [_node_schema(kind, definitions) for kind in node_kinds()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "DiPeO light diagram",
        "type": "object",
        "required": ["nodes"],
        "properties": {
            "version": {"const": "light"},
            "name": {"type": "string"},
            "description": {"type": "string"},
            "metadata": {"type": ["object", "null"]},
            "persons": {"type": ["object", "array", "null"], "additionalProperties": person, "items": person},
            "nodes": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            "connections": {"type": ["array", "null"], "items": {"anyOf": [connection, {"type": "null"}]}},
        },
        "$defs": {"node": _any_node(kinds), **definitions},
    }


def _any_node(kinds: list[dict[str, Any]]) -> dict[str, Any]:
    """By `if type is … then`, so that an editor speaks of one type and not of all sixteen."""
    return {
        "type": ["object", "null"],
        "properties": {
            "label": {"type": "string", "description": "How arrows name the node."},
            "type": {"enum": list(NODE_TYPES)},
            "position": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}},
            "props": {"type": ["object", "null"]},
        },
        "if": {"type": "object"},
        "then": {"required": ["type"]},
        "allOf": kinds,
    }


def _node_schema(kind: NodeKind, definitions: dict[str, Any]) -> dict[str, Any]:
    props = REGISTRY[kind.name].props
    schema = props.model_json_schema(by_alias=False, ref_template="#/$defs/{model}")
    definitions |= schema.pop("$defs", {})
    help = {it.name: it.help for it in kind.properties if it.help}
    known = {it.name for it in kind.properties}
    properties = {
        name: {"description": help[name], **body} if name in help else body
        for name, body in schema["properties"].items()
        if name in known
    }
    is_kind = {"type": "object", "required": ["type"], "properties": {"type": {"const": kind.name}}}
    return {"if": is_kind, "then": {"description": kind.summary, "properties": properties}}
