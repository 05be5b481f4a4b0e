"""Keys that the store keeps for diagrams. (node contract 19.1)"""

import asyncio
import time
from collections.abc import Callable

from dipeo_executor.llm.errors import KeyMissing, ServiceDown
from dipeo_executor.llm.keys import Secret
from dipeo_kit import rpc
from dipeo_kit.errors import DipeoError, Forbidden, NotFound, Overloaded, Unavailable
from dipeo_protos.store.v1 import content_pb2, store_pb2_grpc

KEPT_S = 60.0  # how long a removed key may still be used
ENVIRONMENT = "env_"  # ids of keys that are only in the environment


class StoredKeys:
    """dipeo_executor.llm.keys.Keys. `session_id`: of the session with the store, "" = there is none now."""

    def __init__(self, store: "store_pb2_grpc.StoreServiceAsyncStub", session_id: Callable[[], str]) -> None:
        self._store, self._session_id = store, session_id
        self._kept: dict[tuple[str, str], tuple[float, Secret]] = {}
        self._asked: dict[tuple[str, str], asyncio.Task[Secret | None]] = {}  # questions on their way: one for all

    async def find(self, api_key_id: str, service: str) -> Secret | None:
        """The key of that id or label, else the only one of that service. Raises KeyMissing, ServiceDown."""
        if api_key_id.startswith(ENVIRONMENT):
            return None
        wanted = api_key_id, service
        known = self._kept.get(wanted)
        if known and time.monotonic() - known[0] < KEPT_S:
            return known[1]
        asked = self._asked.get(wanted)
        if asked is None:
            asked = self._asked[wanted] = asyncio.create_task(self._ask(api_key_id, service))
            asked.add_done_callback(lambda _: self._asked.pop(wanted))
        return await asyncio.shield(asked)

    async def _ask(self, api_key_id: str, service: str) -> Secret | None:
        try:
            _, secret = await self.reveal(api_key_id, service)
        except NotFound:
            return None
        except (Unavailable, Overloaded, Forbidden) as error:  # Forbidden: the session has just been lost
            raise ServiceDown(f"the store does not give out the key {api_key_id!r} now: {error}") from error
        except DipeoError as error:
            raise KeyMissing(str(error)) from error
        self._kept[api_key_id, service] = (time.monotonic(), secret)
        return secret

    async def reveal(self, reference: str, service: str = "") -> tuple[str, Secret]:
        """(its service, the key). Raises DipeoError: NotFound, Conflict, DataLoss, Unavailable …"""
        request = content_pb2.RevealSecretRequest(session_id=self._session_id(), reference=reference, service=service)
        response = await rpc.call(self._store.RevealSecret, request)
        base_url = response.secret.base_url
        return response.secret.service, Secret(response.key, base_url, bound=bool(base_url))

    async def by_reference(self, reference: str) -> str | None:
        """The key of that id or label. Raises KeyMissing, ServiceDown."""
        secret = await self.find(reference, "")
        return secret.key if secret else None
