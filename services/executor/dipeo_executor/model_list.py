"""Which models a service offers: the service itself is asked. (architecture, section 4)"""

from collections.abc import Mapping
from dataclasses import dataclass

from dipeo_executor import key_check
from dipeo_executor.llm.keys import EnvKeys, FirstOf, Secret
from dipeo_executor.llm.services import SERVICES
from dipeo_executor.nodes.base import Http, NodeError
from dipeo_executor.stored_keys import StoredKeys
from dipeo_kit.errors import NotFound


@dataclass(frozen=True, slots=True)
class ModelLists:
    """`env`: where keys and addresses are that nobody keeps."""

    env: Mapping[str, str]
    keys: StoredKeys
    http: Http

    async def of(self, service: str, key: str) -> list[str] | str:
        """Names, sorted, or why there are none. `key`: id or label, "" = as for a person without. Raises NotFound."""
        if service not in SERVICES:
            raise NotFound(f"there is no model service {service}; there are {', '.join(SERVICES)}")
        try:
            secret = await self._secret(service, key)
        except NodeError as error:
            return str(error)
        it = SERVICES[service]
        if secret is None and it.needs_key:
            return f"no key for {service}: `dipeo keys add NAME --service {service}`, or set {it.key_variables[0]}"
        base_url = (secret.base_url if secret else "") or self.env.get(it.base_url_variable, "")
        return await key_check.models(service, secret.key if secret else "", base_url, self.http)

    async def _secret(self, service: str, key: str) -> Secret | None:
        """Raises NotFound for a key that is named, and NodeError."""
        if key:
            return (await self.keys.reveal(key))[1]
        return await FirstOf([self.keys, EnvKeys(self.env)]).find("", service)
