"""Names in prompts."""

import json
import re
from collections.abc import Mapping
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs
from dipeo_executor.export.runtime.running import NodeError, Run, warn
from dipeo_executor.templates import TemplateError, as_text, lookup, render, render_path, scopes_of

NAME = re.compile(r"\{\{ *(@?\w+(?:\.\w+|\[[\w.]+\])*) *\}\}")


def fill(template: str, run: Run, inputs: Inputs) -> str:
    """Put values for {{names}}; what has none stays as it is."""
    scopes = scopes_of(inputs, run.variables, run.custom_data)

    def value_of(match: "re.Match[str]") -> str:
        value = lookup(match[1], scopes)
        return match[0] if value is None else as_text(value)

    return NAME.sub(value_of, template)


def fill_blocks(template: str, run: Run, inputs: Inputs) -> str:
    """The same with {{#if …}}, {{#unless …}} and {{#each …}}."""
    try:
        return render(template, scopes_of(inputs, run.variables, run.custom_data)).text
    except TemplateError as error:
        raise NodeError(str(error)) from error


def fill_path(template: str, run: Run, inputs: Inputs) -> str:
    """A file name with {names}."""
    filled = render_path(template.strip(), scopes_of(inputs, run.variables, run.custom_data))
    if filled.missing:
        warn(f'file name "{template}" names {", ".join(filled.missing)}, for which there is no value')
    return filled.text


class Names(dict[str, Any]):
    """What an expression may name. What has no value is None."""

    def __missing__(self, name: str) -> Any:
        return {"true": True, "false": False}.get(name)


def names_of(run: Run, inputs: Inputs, index: dict[str, Any] | None = None) -> Names:
    """Inputs first, then the members of the unnamed one, variables, custom_data."""
    inner = inputs.get("default")
    while isinstance(inner, Mapping) and len(inner) == 1 and "default" in inner:
        inner = inner["default"]
    spread = inner if isinstance(inner, Mapping) else {}
    return Names({**run.custom_data, **run.variables, **(index or {}), **spread, **inputs})


def member(value: Any, name: str) -> Any:
    """value.name of a map; None of nothing."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise NodeError(f".{name} needs a map, not {type(value).__name__}")
    return value.get(name)


def item(value: Any, key: Any) -> Any:
    return None if value is None else value[key]


def below(left: Any, right: Any) -> bool:
    """left < right; nothing is below nothing."""
    return left is not None and right is not None and left < right


def at_most(left: Any, right: Any) -> bool:
    return left is not None and right is not None and left <= right


def json_or_text(text: Any) -> Any:
    """The value of JSON text, else what was given."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
