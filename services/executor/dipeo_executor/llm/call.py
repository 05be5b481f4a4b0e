"""One question to a model, as it travels from the seam (nodes.base.Llm) to whoever answers it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dipeo_executor.nodes.base import ModelTool
from dipeo_executor.program import Person


@dataclass(frozen=True, slots=True)
class Call:
    """See nodes.base.Llm.complete for each field."""

    person: Person
    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    purpose: str = "answer"
    tools: Sequence[ModelTool] = ()
    on_text: Callable[[str], None] | None = None
