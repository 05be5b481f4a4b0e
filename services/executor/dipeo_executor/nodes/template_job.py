"""template_job: fills a Jinja2 template, and writes the text to a file if asked. (node contract 13)"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from dipeo_executor import templates
from dipeo_executor.nodes import base


class Props(base.Props):
    template_content: str = ""
    template_path: str = ""  # a template itself; from BASE
    output_path: str = ""  # a template itself
    variables: dict[str, Any] = Field(default_factory=dict)  # as they are: not filled in
    engine: Literal["internal", "jinja2"] = "jinja2"  # both are Jinja2
    preprocessor: str | dict[str, Any] = ""  # of the original's own code generator; without effect


class TemplateMissing(base.NodeError):
    """The node has neither a template nor the name of one."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value is the filled text."""
    from dipeo_executor import jinja

    names = _names(props, inputs, ctx)
    meta: dict[str, Any] = {"engine": props.engine, "template_path": None, "template_vars": sorted(names)}
    if props.template_content:
        source, name = props.template_content, "template_content"
    elif props.template_path:
        name = jinja.render(props.template_path, names, name="template_path").strip()
        source = ctx.files.read_text(name)
        meta["template_path"] = name
    else:
        raise TemplateMissing("there is no template: give template_content or template_path")
    text = jinja.render(source, names, name=name, files=ctx.files)
    output_path = jinja.render(props.output_path, names, name="output_path").strip()
    if output_path:
        ctx.files.write_text(output_path, text)
        meta |= {"output_path": output_path, "files": [output_path], "file_count": 1}
    return base.Output(text, meta=meta)


def _names(props: Props, inputs: base.Inputs, ctx: base.Context) -> dict[str, Any]:
    """What the template sees, by the rules of prompts; the node's own variables come before custom_data."""
    near, variables, custom_data, whole = templates.scopes_of(inputs, ctx.variables, ctx.custom_data)
    now = {"generated_at": datetime.now(UTC).isoformat()}
    return {**whole, **now, **custom_data, **props.variables, **variables, **near}
