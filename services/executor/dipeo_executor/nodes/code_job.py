"""code_job: runs user code on the inputs, in a worker process."""

from typing import Literal

from pydantic import AliasChoices, Field

from dipeo_executor.nodes import base


class Props(base.Props):
    language: Literal["python", "typescript", "bash", "shell"] = Field(
        default="python", validation_alias=AliasChoices("language", "code_type", "codeType")
    )
    code: str = ""  # inline source, or the text of file_path captured when the diagram is loaded
    file_path: str = ""
    function_name: str = ""
    timeout: int | None = Field(default=None, ge=0)  # seconds; 0 and absent: 30


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    raise NotImplementedError
