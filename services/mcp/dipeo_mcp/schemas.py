"""JSON Schema of tools: made from what a diagram says of itself, and checked against (spec/mcp.md §3.4, T10)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

Schema = dict[str, Any]

MAX_BYTES = 32 * 1024
MAX_DEPTH = 10
MAX_PROBLEMS = 10
OPEN: Schema = {"type": "object", "additionalProperties": True}
_WORDS = {
    **dict.fromkeys(("string", "str", "text"), "string"),
    **dict.fromkeys(("number", "float"), "number"),
    **dict.fromkeys(("integer", "int"), "integer"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("object", "dict", "map"), "object"),
    **dict.fromkeys(("array", "list"), "array"),
}
_BOUNDS = {
    "minimum": "be at least",
    "maximum": "be at most",
    "exclusiveMinimum": "be greater than",
    "exclusiveMaximum": "be less than",
    "minLength": "have a length of at least",
    "maxLength": "have a length of at most",
    "minItems": "have a length of at least",
    "maxItems": "have a length of at most",
}
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class SchemaRefused(ValueError):
    """The author's schema cannot be used; the text says why."""


def of_inputs(declared: Any, inputs: Mapping[str, Any], defaults: Mapping[str, Any]) -> Schema:
    """First match wins: metadata, output_data_structure, custom_data, anything. Raises SchemaRefused."""
    if declared is not None:
        return usable(declared)
    if inputs:
        if "type" in inputs or "properties" in inputs:
            return usable(dict(inputs))
        needed = [name for name in inputs if name not in defaults]
        properties = {name: _typed(word, defaults.get(name)) for name, word in inputs.items()}
        return usable(_closed(properties, needed))
    if defaults:
        return usable(_closed({name: _inferred(value) for name, value in defaults.items()}, []))
    return dict(OPEN)


def usable(schema: Any) -> Schema:
    """An object schema that is small, shallow, self-contained and compiles. Raises SchemaRefused."""
    if not isinstance(schema, dict):
        raise SchemaRefused("an input schema is a JSON object")
    if schema.get("type", "object") != "object":
        raise SchemaRefused(f"an input schema has type object, not {json.dumps(schema['type'])}")
    if _depth(schema) > MAX_DEPTH:
        raise SchemaRefused(f"nested more than {MAX_DEPTH} deep")
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError) as error:
        raise SchemaRefused(f"not JSON: {error}") from error
    if len(text) > MAX_BYTES:
        raise SchemaRefused(f"larger than {MAX_BYTES // 1024} KiB")
    for reference in _references(schema):
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaRefused("only references inside the schema (#/…) are followed")
    found = {"type": "object", **schema}
    compiled(found)
    return found


def compiled(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    """Patterns run in linear time, nothing is fetched. Raises SchemaRefused."""
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, retriever=_never, pattern_options=jsonschema_rs.RegexOptions(size_limit=1_000_000)
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaRefused(f"not a JSON Schema: {str(error).splitlines()[0][:200]}") from error


def problems(validator: jsonschema_rs.Draft202012Validator, value: Any) -> list[str]:
    """ "inputs.topic: is missing" …; the caller's values are not repeated."""
    found = []
    for error in validator.iter_errors(value):
        where = ".".join(map(str, error.instance_path))
        found.append(f"{where or 'arguments'}: {_said(error)}")
        if len(found) == MAX_PROBLEMS:
            break
    return found


def _said(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind.as_dict() if hasattr(error.kind, "as_dict") else {}
    match error.kind.name:
        case "required":
            return f'"{kind.get("property", "")}" is required'.replace('""', '"')
        case "additionalProperties":
            unknown = ", ".join(f'"{name}"' for name in kind.get("unexpected", ()))
            return f"{unknown} is not known here"
        case "type":
            return f"must be {_words(kind.get('types', ''))}"
        case "enum":
            return f"must be one of {json.dumps(kind.get('options', []))[:200]}"
        case name if name in _BOUNDS:
            return f"must {_BOUNDS[name]} {kind.get('limit', '')}"
        case name:
            return f"does not satisfy {name}"


def _words(types: Any) -> str:
    return " or ".join(types) if isinstance(types, list) else str(types)


def _closed(properties: Schema, required: list[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def _typed(word: Any, default: Any) -> Schema:
    typed: Schema = dict(word) if isinstance(word, dict) else {}
    if isinstance(word, str) and word.lower() in _WORDS:
        typed = {"type": _WORDS[word.lower()]}
    return typed | ({"default": default} if default is not None else {})


def _inferred(value: Any) -> Schema:
    match value:
        case bool():
            return {"type": "boolean", "default": value}
        case int():
            return {"type": "integer", "default": value}
        case float():
            return {"type": "number", "default": value}
        case str():
            return {"type": "string", "default": value}
        case list():
            return {"type": "array", "default": value}
        case dict():
            return {"type": "object", "default": value}
        case _:
            return {}


def _depth(value: Any) -> int:
    """Levels of maps and lists; counting stops where it is too deep anyway."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        item, level = todo.pop()
        if not isinstance(item, dict | list):
            continue
        deepest = max(deepest, level)
        if level > 2 * MAX_DEPTH + 2:
            break
        todo += [(inner, level + 1) for inner in (item.values() if isinstance(item, dict) else item)]
    return deepest // 2  # a property is two levels: "properties" and the name


def _references(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _REFERENCES:
                yield inner
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _never(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")
