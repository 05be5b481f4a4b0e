"""ir_builder: part of the original's own code generator; loads and compiles, and refuses to run. (decision 12)"""

from typing import Literal, NoReturn

from dipeo_executor.nodes import base


class Props(base.Props):
    builder_type: Literal["backend", "frontend", "strawberry", "custom"]
    source_type: Literal["ast", "schema", "config", "auto"] = "auto"
    config_path: str = ""
    output_format: Literal["json", "yaml", "python"] = "json"
    cache_enabled: bool = False
    validate_output: bool = False


class NotSupported(base.NodeError):
    """The node type is read for the sake of old diagrams only."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> NoReturn:
    raise NotSupported(
        "ir_builder is not supported: internal to the original's code generator; build what you need in a code_job"
    )
