"""Which service answers for a person."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dipeo_executor.llm import providers
from dipeo_executor.llm.errors import ServiceNotReady, ServiceUnknown
from dipeo_executor.llm.mock import Mock
from dipeo_executor.nodes.base import Llm, Reply
from dipeo_executor.program import Person

LATER = ("anthropic", "gemini", "ollama", "claude-code", "claude-code-custom")


class Models:
    """nodes.base.Llm: picks by person.service; `mock` answers for everybody. `env`: where keys and addresses are."""

    def __init__(self, mock: bool, env: Mapping[str, str]) -> None:
        self._mock = Mock()
        self._mock_all = mock
        self._chat_completions = providers.ChatCompletions(env)

    async def complete(
        self,
        person: Person,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        purpose: str = "answer",
    ) -> Reply:
        return await self._pick(person).complete(
            person, messages, schema=schema, temperature=temperature, max_tokens=max_tokens, purpose=purpose
        )

    def preload(self, persons: Iterable[Person]) -> None:
        """Import what these persons will need. Blocking; for a background thread."""
        if not self._mock_all and any(person.service in providers.SERVICES for person in persons):
            providers.preload()

    async def aclose(self) -> None:
        await self._chat_completions.aclose()

    def _pick(self, person: Person) -> Llm:
        service = person.service
        if self._mock_all or service == "mock":
            return self._mock
        if service in providers.SERVICES:
            return self._chat_completions
        known = ", ".join((*providers.SERVICES, "mock"))
        if service in LATER:
            raise ServiceNotReady(
                f"service {service} of person {person.label} is not supported yet; use one of {known}, "
                "or run with --mock-llm"
            )
        raise ServiceUnknown(f"person {person.label} names the service {service!r}; known are {known}")
