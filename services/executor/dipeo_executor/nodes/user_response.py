"""user_response: asks a human; the answer is the value."""

from pydantic import Field

from dipeo_executor.nodes import base


class Props(base.Props):
    prompt: str = ""
    timeout: int | None = Field(default=None, ge=0)  # seconds; absent or 0: as long as it takes (decision 36)
    show_context: bool = True
    required: bool = False


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    raise NotImplementedError
