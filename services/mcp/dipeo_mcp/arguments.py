"""Arguments of tools: aliases folded, then checked against the tool's schema (spec/mcp.md §3.3, §3.6.1)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from dipeo_kit import errors
from dipeo_mcp import limits, schemas
from dipeo_mcp.errors import Unserved

Json = dict[str, Any]

ON_DISCONNECT = ("abort", "detach")
RUN_OPTIONS: Json = {
    "timeout_s": {"type": "number", "exclusiveMinimum": 0, "description": "time limit of the run itself, seconds"},
    "wait_s": {"type": "number", "minimum": 0, "description": "how long this call waits; then it answers: running"},
    "background": {"type": "boolean", "description": "answer at once, the run goes on"},
    "idempotency_key": {"type": "string", "maxLength": 200, "description": "the same key joins the same run"},
    "on_disconnect": {"type": "string", "enum": list(ON_DISCONNECT), "description": "when the caller gives up"},
}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """`timeout_s` None: the default; `wait_s` None: as §3.6.4 says."""

    timeout_s: float | None = None
    wait_s: float | None = None
    background: bool = False
    idempotency_key: str = ""
    on_disconnect: str = "abort"

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "RunOptions":
        return cls(**{name: given[name] for name in RUN_OPTIONS if given.get(name) is not None})


def folded(given: Mapping[str, Any] | None, aliases: Mapping[str, str]) -> Json:
    """Arguments under their own names. Raises Unserved when a name and its alias say different things."""
    arguments = dict(given or {})
    for alias, name in aliases.items():
        if alias not in arguments:
            continue
        value = arguments.pop(alias)
        if name in arguments and arguments[name] != value:
            raise Unserved("invalid_input", f'"{alias}" and "{name}" mean the same and have different values; give one')
        arguments[name] = value
    return arguments


def check(validator: jsonschema_rs.Draft202012Validator, arguments: Json) -> None:
    """Raises Unserved naming every field that is wrong, and no value."""
    found = schemas.problems(validator, arguments)
    if found:
        raise Unserved("invalid_input", "; ".join(found))


def check_inputs(inputs: Json) -> None:
    """Raises Unserved when they are larger or deeper than anyone needs."""
    if _deeper_than(inputs, limits.MAX_INPUT_DEPTH):
        raise Unserved("invalid_input", f"inputs: nested more than {limits.MAX_INPUT_DEPTH} deep")
    if len(json.dumps(inputs, ensure_ascii=False).encode()) > limits.MAX_INPUT_BYTES:
        raise Unserved("invalid_input", f"inputs: larger than {limits.MAX_INPUT_BYTES // 1024} KiB")


def diagram_call(given: Mapping[str, Any] | None, properties: Mapping[str, Any]) -> tuple[Json, RunOptions]:
    """(inputs, options) of a diagram's own tool: inputs at top level, options in run_options or in the old way."""
    inputs = dict(given or {})
    options: Json = {}
    if "run_options" not in properties and "run_options" in inputs:
        options = inputs.pop("run_options")
        if not isinstance(options, dict):
            raise Unserved("invalid_input", "run_options: must be an object")
        check(_OPTIONS_VALIDATOR, options)
    if "input_data" not in properties and isinstance(inputs.get("input_data"), dict):
        old = inputs.pop("input_data")
        if clash := [name for name in old if name in inputs and inputs[name] != old[name]]:
            raise Unserved("invalid_input", f'"{clash[0]}" stands in input_data and beside it with different values')
        inputs |= old
    if "timeout" not in properties and isinstance(inputs.get("timeout"), int | float):
        options.setdefault("timeout_s", inputs.pop("timeout"))
    return inputs, RunOptions.of(options)


def _deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    return any(_deeper_than(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))


def timeout_of(options: RunOptions, *, default_s: float, longest_s: float) -> float:
    """Raises BadInput when it is out of range."""
    timeout_s = options.timeout_s if options.timeout_s is not None else default_s
    if not 1 <= timeout_s <= longest_s:
        raise errors.BadInput(f"timeout_s: from 1 to {longest_s:g} seconds")
    return timeout_s


_OPTIONS_VALIDATOR = schemas.compiled({"type": "object", "properties": RUN_OPTIONS, "additionalProperties": False})
