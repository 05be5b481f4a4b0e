"""json_schema_validator: lets data pass that fits a JSON Schema. (node contract 14)"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import AliasChoices, Field

from dipeo_executor.nodes import base

if TYPE_CHECKING:
    from jsonschema_rs import Validator

MAX_ERRORS = 100
MAX_MESSAGE = 500  # characters; messages quote the value
ONE_SCHEMA = ("items", "contains")  # keywords that hold a schema
MANY_SCHEMAS = ("items", "prefixItems", "allOf", "anyOf", "oneOf")  # a list of them
NAMED_SCHEMAS = ("properties", "patternProperties", "definitions", "$defs")  # a map of them


class Props(base.Props):
    schema_path: str = ""
    json_schema: dict[str, Any] | None = None
    data_path: str = ""
    strict_mode: bool = Field(default=False, validation_alias=AliasChoices("strict_mode", "strictMode", "strict"))
    error_on_extra: bool = False


class SchemaUnusable(base.NodeError):
    """There is no schema, or it is not one."""


class DataUnusable(base.NodeError):
    """There is nothing to validate, or it is not JSON."""


class ValidationFailed(base.NodeError):
    """The data does not fit. `details` is JSON: {"errors": [{"path", "message"}]}."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value is the data as it came, a map around it when it is none."""
    schema = _schema(props, ctx)
    data = _data(props, inputs, ctx)
    problems = _problems(_validator(json.dumps(_closed(schema) if props.error_on_extra else schema)), data)
    if problems:
        shown = problems if props.strict_mode else problems[:1]
        top = "" if props.strict_mode else "root: "
        said = "; ".join(f"{it['path']}: {it['message']}" if it["path"] else f"{top}{it['message']}" for it in shown)
        raise ValidationFailed(f"Validation failed: {said}", details=json.dumps({"errors": problems}))
    meta = {
        "message": "the data fits the schema",
        "strict_mode": props.strict_mode,
        "schema_path": props.schema_path or None,
        "data_path": props.data_path or None,
    }
    return base.Output(data if isinstance(data, dict) else {"default": data}, meta=meta)


def _schema(props: Props, ctx: base.Context) -> Any:
    if props.json_schema is not None:
        return props.json_schema
    if not props.schema_path:
        raise SchemaUnusable("there is no schema: give json_schema or schema_path")
    try:
        return json.loads(ctx.files.read_text(props.schema_path))
    except ValueError as error:
        raise SchemaUnusable(f'"{props.schema_path}" is not JSON: {error}') from None


def _data(props: Props, inputs: base.Inputs, ctx: base.Context) -> Any:
    if props.data_path:
        try:
            return json.loads(ctx.files.read_text(props.data_path))
        except ValueError as error:
            raise DataUnusable(f'"{props.data_path}" is not JSON: {error}') from None
    if not inputs:
        raise DataUnusable("there is nothing to validate: give data_path, or draw an arrow to the node")
    if len(inputs) > 1:
        return dict(inputs)
    (value,) = inputs.values()
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError as error:
            raise DataUnusable(f"the text to validate is not JSON: {error}") from None
    return value


@lru_cache(maxsize=64)
def _validator(schema: str) -> "Validator":
    """Of a schema's JSON text; the draft is the one its $schema names. Nothing is fetched."""
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(schema, offline=True)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise SchemaUnusable(f"the schema is not a JSON Schema: {str(error).splitlines()[0]}") from None


def _problems(validator: "Validator", data: Any) -> list[dict[str, str]]:
    """In the order of the paths, an object's own before those of what is in it."""
    found = sorted(islice(validator.iter_errors(data), MAX_ERRORS), key=lambda error: _order(error.instance_path))
    return [
        {"path": ".".join(map(str, error.instance_path)), "message": error.message[:MAX_MESSAGE]} for error in found
    ]


def _order(path: Sequence[str | int]) -> list[tuple[bool, int, str]]:
    """Names and numbers of list items compare with each other."""
    return [(False, part, "") if isinstance(part, int) else (True, 0, part) for part in path]


def _closed(schema: Any) -> Any:
    """A copy in which every schema of an object without additionalProperties refuses properties it does not name."""
    if not isinstance(schema, Mapping):
        return schema
    closed = dict(schema)
    for key, value in schema.items():
        if key in NAMED_SCHEMAS and isinstance(value, Mapping):
            closed[key] = {name: _closed(inner) for name, inner in value.items()}
        elif key in MANY_SCHEMAS and isinstance(value, list):
            closed[key] = [_closed(inner) for inner in value]
        elif key in ONE_SCHEMA:
            closed[key] = _closed(value)
    kind = schema.get("type", "object" if "properties" in schema else "")
    if "object" in (kind if isinstance(kind, list) else [kind]) and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed
