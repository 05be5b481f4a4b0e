"""Which key a person's calls are made with. (node contract 19.1)"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dipeo_executor.llm.services import SERVICES


@dataclass(frozen=True, slots=True)
class Secret:
    """A key, never printed, and the address it is meant for ("" = where the service is)."""

    key: str = field(repr=False)
    base_url: str = ""
    bound: bool = False  # never sent to another address


class Keys(Protocol):
    """Where keys are kept."""

    async def find(self, api_key_id: str, service: str) -> Secret | None:
        """The key of that id, else the only one of that service, else None."""


class EnvKeys:
    """The variables the services' own SDKs read, whatever the id."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    async def find(self, api_key_id: str, service: str) -> Secret | None:
        key = next((self._env[name] for name in SERVICES[service].key_variables if self._env.get(name)), "")
        return Secret(key) if key else None


class FirstOf:
    """Asks one store after another."""

    def __init__(self, stores: Sequence[Keys]) -> None:
        self._stores = stores

    async def find(self, api_key_id: str, service: str) -> Secret | None:
        for store in self._stores:
            secret = await store.find(api_key_id, service)
            if secret is not None:
                return secret
        return None
