"""Jinja2 templates."""

import posixpath
from datetime import UTC, datetime
from typing import Any

from dipeo_executor.export.runtime.filing import read_text, write_text
from dipeo_executor.export.runtime.kinds import Inputs
from dipeo_executor.export.runtime.running import NodeError, Run
from dipeo_executor.templates import scopes_of

FILTERS: dict[str, Any] = {}  # export/script.py fills it with those that the templates use


def fill_template(
    run: Run,
    inputs: Inputs,
    text: str = "",
    file: str = "",
    to: str = "",
    variables: dict[str, Any] | None = None,
) -> str:
    """The filled text, written to a file if a name is given; names are templates themselves."""
    import jinja2

    near, outer, custom_data, whole = scopes_of(inputs, run.variables, run.custom_data)
    now = {"generated_at": datetime.now(UTC).isoformat()}
    names = {**whole, **now, **custom_data, **(variables or {}), **outer, **near}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters |= FILTERS
    environment.globals |= FILTERS
    try:
        name = environment.from_string(file).render(names).strip()
        folder = posixpath.dirname(name)
        environment.loader = jinja2.FileSystemLoader([folder or ".", "."])
        filled: str = environment.from_string(text or read_text(name)).render(names)
        target = environment.from_string(to).render(names).strip()
    except jinja2.TemplateError as error:
        raise NodeError(f"template: {error}") from error
    if target:
        write_text(target, filled)
    return filled
