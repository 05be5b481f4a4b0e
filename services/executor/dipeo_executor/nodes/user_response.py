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
    options: list[str] = Field(default_factory=list, max_length=100)  # what may be answered; none: any text
    sensitive: bool = False  # the answer is a secret: only our own front ends may ask for it, unseen


class NoAnswer(base.NodeError):
    """Nobody answered, and the node requires an answer."""


class NoOption(base.NodeError):
    """An answer given beforehand that is none of the node's options; later ones the store refuses."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    scopes = templates.scopes_of(inputs, ctx.variables, ctx.custom_data)
    try:
        prompt = templates.render(props.prompt, scopes).text
    except templates.TemplateError as error:
        raise base.NodeError(f"prompt: {error}") from error
    context = _context(inputs) if props.show_context else ""
    question = base.Question(prompt, context, props.options, props.sensitive)
    answer = await ctx.ask(question, timeout_s=props.timeout or None)
    if answer.outcome == "answered":
        if props.options and answer.text and answer.text not in props.options:
            raise NoOption(f"the answer is none of its options: {', '.join(props.options)}")
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
