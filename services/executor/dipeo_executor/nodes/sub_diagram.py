"""sub_diagram: another diagram inside this node. The engine runs it (decision 43); here are its properties."""

from typing import Any, Literal

from pydantic import Field

from dipeo_executor.nodes import base


class Props(base.Props):
    diagram_name: str = ""
    diagram_data: dict[str, Any] | str | None = None  # inline, any format; wins over the name
    diagram_format: Literal["native", "yaml", "json", "readable", "light"] | None = None
    input_mapping: dict[str, str] = Field(default_factory=dict)  # child's variable -> port, or dotted path into one
    output_mapping: dict[str, str] = Field(default_factory=dict)  # name -> dotted path into the result
    pass_input_data: bool = False
    ignore_if_sub: bool = False
    isolate_conversation: bool = False
    wait_for_completion: bool = True
    timeout: int | None = Field(default=None, ge=0)  # seconds
    batch: bool = False
    batch_input_key: str = "items"
    batch_parallel: bool = True
    max_concurrent: int = Field(default=10, ge=1)
