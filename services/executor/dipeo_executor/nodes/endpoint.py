"""endpoint: the final result, optionally written to a file."""

from pydantic import AliasChoices, Field

from dipeo_executor.nodes import base


class Props(base.Props):
    save_to_file: bool = False
    file_name: str = Field(default="", validation_alias=AliasChoices("file_name", "fileName", "file_path", "filePath"))
    file_format: str = ""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    raise NotImplementedError
