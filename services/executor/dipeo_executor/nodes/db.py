"""db: reads and writes the project's files."""

from typing import Any, Literal

from pydantic import AliasChoices, Field

from dipeo_executor.nodes import base


class Props(base.Props):
    file: str | list[str] = Field(
        default_factory=list, validation_alias=AliasChoices("file", "source_details", "sourceDetails")
    )
    operation: Literal["prompt", "read", "write", "append", "update"] = "read"
    format: Literal["json", "yaml", "csv", "text", "xml"] = "json"
    keys: Any = None  # "a.b", "a, c.d" or a list of them
    lines: Any = None  # "1:20", 7, a list of such, {"start": 1, "end": 20}
    glob: bool = True
    csv: Literal["text", "rows"] = "text"
    missing_ok: bool = False
    sub_type: Literal["fixed_prompt", "file", "code", "api_tool"] = "fixed_prompt"  # from here on: read, without effect
    data: dict[str, Any] = Field(default_factory=dict)
    query: str = ""
    collection: str = ""
    serialize_json: bool = False


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    raise NotImplementedError
