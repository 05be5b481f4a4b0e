"""Who answers for a person: the mock, or a service. One for all executions of a process."""

from collections.abc import Iterable, Mapping
from typing import Any

from dipeo_executor.llm import mock
from dipeo_executor.llm.call import Call
from dipeo_executor.llm.errors import ServiceNotReady, ServiceUnknown
from dipeo_executor.llm.keys import Keys
from dipeo_executor.llm.providers import Providers, preload
from dipeo_executor.llm.services import SERVICES
from dipeo_executor.nodes.base import Reply
from dipeo_executor.program import Person

LATER = ("claude-code", "claude-code-custom")


class Models:
    """Answers calls. `env`: where addresses are, and keys that `keys` does not have."""

    def __init__(self, env: Mapping[str, str], keys: Keys | None = None, **limits: Any) -> None:
        self._providers = Providers(env, keys, **limits)

    async def answer(self, call: Call) -> Reply:
        """Raises ModelError."""
        service = call.person.service
        if service == "mock":
            return await mock.answer(call)
        if service in SERVICES:
            return await self._providers.answer(call)
        known = ", ".join((*SERVICES, "mock"))
        label = call.person.label
        if service in LATER:
            raise ServiceNotReady(
                f"service {service} of person {label} is not supported yet; use one of {known}, or run with --mock-llm"
            )
        raise ServiceUnknown(f"person {label} names the service {service!r}; known are {known}")

    def preload(self, persons: Iterable[Person]) -> None:
        """Import what these persons will need. Blocking; for a background thread."""
        for service in {person.service for person in persons} & SERVICES.keys():
            preload(SERVICES[service])

    async def aclose(self) -> None:
        await self._providers.aclose()
