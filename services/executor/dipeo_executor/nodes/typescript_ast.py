"""typescript_ast: part of the original's own code generator; loads and compiles, and refuses to run. (decision 12)"""

from typing import Literal, NoReturn

from pydantic import Field

from dipeo_executor.nodes import base


class Props(base.Props):
    source: str = ""
    extract_patterns: list[str] = Field(default_factory=lambda: ["interface", "type", "enum"])
    include_jsdoc: bool = False
    parse_mode: Literal["module", "script"] = "module"
    transform_enums: bool = False
    flatten_output: bool = False
    output_format: Literal["standard", "for_codegen", "for_analysis"] = "standard"
    batch: bool = False
    batch_input_key: str = "sources"


class NotSupported(base.NodeError):
    """The node type is read for the sake of old diagrams only."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> NoReturn:
    raise NotSupported(
        "typescript_ast is not supported: internal to the original's code generator; "
        "parse TypeScript in a code_job with language typescript"
    )
