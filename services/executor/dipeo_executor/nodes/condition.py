"""condition: forwards its inputs on exactly one of condtrue and condfalse."""

from typing import Literal

from pydantic import AliasChoices, Field

from dipeo_executor.nodes import base


class Props(base.Props):
    condition_type: Literal["detect_max_iterations", "check_nodes_executed", "custom", "llm_decision"] = "custom"
    expression: str = Field(default="", validation_alias=AliasChoices("expression", "condition"))
    node_indices: list[str] = Field(default_factory=list)  # ids or labels
    person: str = ""
    judge_by: str = ""
    judge_by_file: str = ""
    resolved_judge_by: str = ""  # the text of judge_by_file, captured when the diagram is loaded
    memorize_to: str = "GOLDFISH"  # read, without effect: a decision sees no memory
    at_most: int | None = None
    expose_index_as: str = ""
    skippable: bool = False  # read, without effect (decision 2)


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    raise NotImplementedError
