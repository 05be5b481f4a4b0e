"""person_job: asks a person (a model with a system prompt) and remembers the exchange."""

import re
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from dipeo_executor.nodes import base

TOOL_WORDS = {"image": "image_generation", "websearch": "web_search_preview"}


class Tool(BaseModel):
    model_config = ConfigDict(frozen=True)

    type: Literal["web_search", "web_search_preview", "image_generation"]
    enabled: bool = True
    config: dict[str, Any] | None = None


class Props(base.Props):
    person: str = Field(min_length=1)
    default_prompt: str = Field(default="", validation_alias=AliasChoices("default_prompt", "defaultPrompt", "prompt"))
    first_only_prompt: str = ""
    prompt_file: str = ""
    first_prompt_file: str = ""
    resolved_prompt: str = ""  # the texts of the two files, captured when the diagram is loaded
    resolved_first_prompt: str = ""
    max_iteration: int = Field(default=100, ge=1)
    memorize_to: str = ""
    at_most: int | None = None
    ignore_person: str = ""
    tools: list[Tool] = Field(default_factory=list)
    text_format: str | dict[str, Any] = ""
    text_format_file: str = ""
    batch: bool = False
    batch_input_key: str = "items"
    batch_parallel: bool = True
    max_concurrent: int = Field(default=10, ge=1)

    @field_validator("tools", mode="before")
    @classmethod
    def _tool_words(cls, value: Any) -> Any:
        """Accept "websearch", "image, websearch", "none" and lists of words or maps."""
        entries = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
        if not isinstance(entries, list):
            return entries
        maps: list[Any] = [{"type": entry} if isinstance(entry, str) else entry for entry in entries]
        return [
            _known_tool(entry) for entry in maps if not (isinstance(entry, dict) and entry.get("type") in ("none", ""))
        ]


def _known_tool(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    word = str(entry.get("type"))
    return {**entry, "type": TOOL_WORDS.get(word, word)}


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    raise NotImplementedError
