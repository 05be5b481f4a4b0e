"""JSON Schemas."""

import json
from typing import Any

from dipeo_executor.export.runtime.filing import read_text
from dipeo_executor.export.runtime.kinds import Inputs
from dipeo_executor.export.runtime.running import NodeError
from dipeo_executor.nodes.json_schema_validator import _closed, _problems


def check(
    inputs: Inputs,
    schema: dict[str, Any] | None = None,
    *,
    schema_file: str = "",
    data_file: str = "",
    strict: bool = False,
    closed: bool = False,
) -> Any:
    """The data, when it fits the schema."""
    import jsonschema_rs

    rules = schema if schema is not None else json.loads(read_text(schema_file))
    data = json.loads(read_text(data_file)) if data_file else data_in(inputs)
    validator = jsonschema_rs.validator_for(json.dumps(_closed(rules) if closed else rules), offline=True)
    problems = _problems(validator, data)
    if problems:
        top = "" if strict else "root: "
        said = [f"{it['path']}: {it['message']}" if it["path"] else f"{top}{it['message']}" for it in problems]
        raise NodeError(f"Validation failed: {'; '.join(said if strict else said[:1])}")
    return data if isinstance(data, dict) else {"default": data}


def data_in(inputs: Inputs) -> Any:
    if not inputs:
        raise NodeError("there is nothing to validate")
    if len(inputs) > 1:
        return dict(inputs)
    (value,) = inputs.values()
    return json.loads(value) if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") else value
