"""One question to a model, as it travels from the seam (nodes.base.Llm) to whoever answers it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dipeo_executor.nodes.base import ModelTool
from dipeo_executor.program import Person


@dataclass(frozen=True, slots=True)
class Scripted:
    """What the mock is to do: fail as an HTTP status, or say a text, in so many seconds, perhaps half of it only."""

    text: str = ""
    status: int = 0
    seconds: float = 0.0
    breaks: bool = False


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
    scripted: Scripted | None = None  # for the mock: not by its own rules

    @property
    def asked(self) -> str:
        """The last user message."""
        return next((it["content"] for it in reversed(self.messages) if it["role"] == "user"), "")
