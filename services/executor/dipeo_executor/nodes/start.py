"""start: publishes the run's first value. (node contract 4, decisions 5 and 45)"""

from typing import Any, Literal

from pydantic import Field, model_validator

from dipeo_executor.nodes import base


class Props(base.Props):
    trigger_mode: Literal["none", "manual", "hook"] = "none"
    custom_data: Any = Field(default_factory=dict)
    output_data_structure: dict[str, Any] = Field(default_factory=dict)  # read, without effect
    hook_event: str = ""
    hook_filters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _hook_needs_an_event(self) -> "Props":
        if self.trigger_mode == "hook" and not self.hook_event:
            raise ValueError("trigger_mode hook needs hook_event")
        return self


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """{"default": data}; with mode none a variable called "default" makes the variables themselves the value."""
    variables = dict(ctx.variables)
    meta = {"trigger_mode": props.trigger_mode}
    if props.trigger_mode == "none":
        return base.Output(variables if "default" in variables else {"default": variables}, meta=meta)
    if not isinstance(props.custom_data, dict):
        raise base.NodeError(f"custom_data must be a map of names to values, not {type(props.custom_data).__name__}")
    return base.Output({"default": {**props.custom_data, **variables}}, meta=meta)
