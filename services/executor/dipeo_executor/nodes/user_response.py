"""user_response: asks a human; the answer is the value. (node contract 10, decision 36)"""

from typing import Any

from pydantic import Field

from dipeo_executor import templates
from dipeo_executor.nodes import base


class Props(base.Props):
    times_itself = True

    prompt: str = ""
    timeout: int | None = Field(default=None, ge=0)  # seconds; absent or 0: as long as it takes
    show_context: bool = True
    required: bool = False  # no answer is an error, not ""


class NoAnswer(base.NodeError):
    """Nobody answered, and the node requires an answer."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    scopes = templates.scopes_of(inputs, ctx.variables, ctx.custom_data)
    try:
        prompt = templates.render(props.prompt, scopes).text
    except templates.TemplateError as error:
        raise base.NodeError(f"prompt: {error}") from error
    context = _context(inputs) if props.show_context else ""
    answer = await ctx.ask(prompt, context=context, timeout_s=props.timeout or None)
    if answer.outcome == "answered":
        return base.Output(answer.text, meta={"user_response": answer.text})
    why = (
        f"nobody answered within {props.timeout} seconds"
        if answer.outcome == "expired"
        else "nobody can be asked in this run; give the answer beforehand, or run it interactively"
    )
    if props.required:
        raise NoAnswer(why)
    ctx.log("warning", why)
    meta: dict[str, Any] = {"timed_out": True} if answer.outcome == "expired" else {"warning": why}
    return base.Output(answer.text, meta=meta)


def _context(inputs: base.Inputs) -> str:
    """What the human should know: the unlabelled input, else all of them; "" when there is nothing in it."""
    value = templates.unwrap(inputs["default"] if inputs.get("default") else dict(inputs))
    if isinstance(value, dict) and not any(value.values()):
        return ""
    return templates.as_text(value) if value else ""
