"""Calls to model services, through pydantic_ai.direct: imported at first use, it costs seconds.

The services themselves are one small file each, in services/. One HTTP client, one model object per address and key,
and one limit per key are shared by every execution of this process.
"""

import asyncio
import gc
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from aiolimiter import AsyncLimiter

from dipeo_executor.llm import conversion
from dipeo_executor.llm.call import Call
from dipeo_executor.llm.errors import (
    KeyMissing,
    ModelError,
    QuotaUsedUp,
    RequestRefused,
    ServiceDown,
    ToolUnsupported,
    status_error,
)
from dipeo_executor.llm.keys import EnvKeys, Keys
from dipeo_executor.llm.services import SERVICES
from dipeo_executor.llm.services.service import IMPORTING, Access, Service
from dipeo_executor.nodes.base import Reply
from dipeo_executor.program import Person

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

TIMEOUT_S = 300.0  # of one call (node contract 19.3)
CONNECTIONS_KEPT = 100
KEPT_S = 60.0
SHORTEST_KEY = 8  # a shorter one is a placeholder, and may be part of a word


class Lane:
    """How fast calls with one key may go, over all executions of this process."""

    def __init__(self, at_once: int, per_minute: int) -> None:
        self._at_once = asyncio.Semaphore(at_once)
        self._rate = AsyncLimiter(per_minute, 60) if per_minute else None

    async def __aenter__(self) -> None:
        await self._at_once.acquire()
        if self._rate is not None:
            try:
                await self._rate.acquire()
            except asyncio.CancelledError:
                self._at_once.release()
                raise

    async def __aexit__(self, *_: object) -> None:
        self._at_once.release()


class Providers:
    """Answers for the services in services/. `at_once`, `per_minute` (0 = no limit): calls per key."""

    def __init__(
        self,
        env: Mapping[str, str],
        keys: Keys | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        at_once: int = 128,
        per_minute: int = 0,
    ) -> None:
        self._env = env
        self._keys = keys or EnvKeys(env)
        self._timeout_s = timeout_s
        self._limits = at_once, per_minute
        self._models: dict[tuple[str, Access, str, bool], asyncio.Task[Model]] = {}
        self._lanes: dict[tuple[str, Access], Lane] = {}
        self._http: httpx2.AsyncClient | None = None
        self._plain: set[tuple[str, Access]] = set()  # addresses that have only the fallback

    async def answer(self, call: Call) -> Reply:
        """Raises ModelError."""
        person, service = call.person, SERVICES[call.person.service]
        check_tools(call, service)
        access = await self._access(person, service)
        place = (service.name, access)
        lane = self._lanes.setdefault(place, Lane(*self._limits))
        async with lane:
            try:
                return await self._answer(call, service, access, plain=place in self._plain)
            except _NoSuchPath:
                self._plain.add(place)
                return await self._answer(call, service, access, plain=True)

    async def aclose(self) -> None:
        for making in self._models.values():
            making.cancel()
        if self._http is not None:
            await self._http.aclose()

    async def _answer(self, call: Call, service: Service, access: Access, *, plain: bool) -> Reply:
        model = await self._model(call.person, service, access, plain=plain)
        from pydantic_ai import exceptions

        try:
            # not pydantic_ai's own request_timeout, which is set anew for every piece of a stream
            async with asyncio.timeout(self._timeout_s):
                return conversion.reply(await self._ask(model, call, merged=service.merges_turns), call)
        except TimeoutError as error:
            raise ServiceDown(
                f"{service.name} did not finish within {self._timeout_s:g} seconds for model {call.person.model}"
            ) from error
        except exceptions.ModelHTTPError as error:
            other_api = not plain and service.fallback is not None and bool(access.base_url)
            if other_api and error.status_code in (404, 405) and "model" not in _said(error.body, access).lower():
                raise _NoSuchPath from error
            raise _http_error(call.person, error, access) from error
        except exceptions.ModelAPIError as error:
            raise ServiceDown(
                f"{service.name} cannot be reached for model {call.person.model}, or did not finish; "
                "check the network and the address",
                details=_clean(str(error), access),
            ) from error
        except exceptions.AgentRunError as error:
            raise RequestRefused(
                f"{service.name} gave an answer for model {call.person.model} that cannot be used",
                details=_clean(str(error), access),
            ) from error
        except (TypeError, ValueError, KeyError, AttributeError) as error:  # the SDK tripped over what is no answer
            raise RequestRefused(
                f"{service.name} gave an answer for model {call.person.model} that cannot be read",
                details=_clean(repr(error), access),
            ) from error
        except exceptions.UserError as error:  # the model cannot do what is asked of it
            raise RequestRefused(f"{service.name} model {call.person.model}: {_clean(str(error), access)}") from error

    async def _ask(self, model: "Model", call: Call, *, merged: bool) -> "ModelResponse":
        import httpx2
        from pydantic_ai import direct, exceptions

        messages, parameters = conversion.messages(call, merged=merged), conversion.parameters(model, call)
        settings = conversion.settings(model, call, self._timeout_s)
        if call.on_text is None:
            return await direct.model_request(
                model, messages, model_settings=settings, model_request_parameters=parameters, instrument=False
            )
        try:
            async with direct.model_request_stream(
                model, messages, model_settings=settings, model_request_parameters=parameters, instrument=False
            ) as stream:
                async for event in stream:
                    if piece := conversion.piece(event):
                        call.on_text(piece)
                response = stream.get()
        except httpx2.HTTPError as error:
            raise exceptions.ModelAPIError(model.model_name, f"the stream broke off: {error}") from error
        if response.finish_reason is None:
            raise exceptions.ModelAPIError(model.model_name, "the stream broke off before its end")
        return response

    async def _access(self, person: Person, service: Service) -> Access:
        """Raises KeyMissing, RequestRefused."""
        if not person.model:
            raise RequestRefused(f"person {person.label} names no model; give one of service {service.name}")
        if person.base_url and not service.takes_base_url:
            raise RequestRefused(
                f"person {person.label} has service {service.name} and a base_url; "
                "use service openai-compatible for another address"
            )
        secret = await self._keys.find(person.api_key_id, service.name)
        key = secret.key if secret else ""
        known = (secret.base_url if secret else "") or self._env.get(service.base_url_variable, "")
        base_url = person.base_url or known or service.base_url
        if secret and secret.bound and base_url != secret.base_url:
            raise RequestRefused(
                f"person {person.label} names the address {base_url}, but its key is kept for {secret.base_url} only"
            )
        if not base_url and service.takes_base_url:
            raise RequestRefused(
                f"person {person.label} has service {service.name} but no base_url; "
                f"give one, or set the environment variable {service.base_url_variable}"
            )
        if not key and service.needs_key:
            variable = service.key_variables[0]
            raise KeyMissing(
                f"there is no key for {service.name} (model {person.model}): add one with `dipeo keys add`, "
                f"or set {variable} in the environment before the executor starts (`dipeo down` stops a local one)"
            )
        return Access(base_url, key)

    async def _model(self, person: Person, service: Service, access: Access, *, plain: bool) -> "Model":
        known = (service.name, access, person.model, plain)
        making = self._models.get(known)
        if making is None:
            making = asyncio.create_task(asyncio.to_thread(self._make, service, person.model, access, plain=plain))
            self._models[known] = making
        try:
            return await asyncio.shield(making)
        except Exception:
            self._models.pop(known, None)
            raise

    def _make(self, service: Service, model: str, access: Access, *, plain: bool) -> "Model":
        """Blocking: imports the SDK, loads certificates and prices. In a thread."""
        preload(service)
        with IMPORTING:
            make = service.fallback if plain and service.fallback else service.make
            return make(model, access, self._client())

    def _client(self) -> "httpx2.AsyncClient":
        import httpx2

        if self._http is None:
            timeout = httpx2.Timeout(self._timeout_s, connect=min(10.0, self._timeout_s))
            if getproxies():
                self._http = httpx2.AsyncClient(timeout=timeout, limits=httpx2.Limits(max_connections=None))
            else:
                from dipeo_executor.llm.connections import Connections

                lines = Connections(kept=CONNECTIONS_KEPT, kept_s=KEPT_S)
                self._http = httpx2.AsyncClient(timeout=timeout, transport=lines)
        return self._http


_loaded: set[str] = set()


def preload(service: Service) -> None:
    """Import what the service needs. Blocking, seconds the first time."""
    with IMPORTING:
        if service.name in _loaded:
            return
        importlib.import_module("pydantic_ai.direct")
        service.preload()
        # the SDKs are half a million objects that stay: looking through them stops every run for 100 ms now and then
        gc.collect()
        gc.freeze()
        _loaded.add(service.name)


class _NoSuchPath(Exception):
    """The server does not have the service's first API."""


def check_tools(call: Call, service: Service) -> None:
    """Raises ToolUnsupported naming what the service has."""
    for tool in call.tools:
        if tool.type not in service.tools:
            having = ", ".join(sorted(name for name, it in SERVICES.items() if tool.type in it.tools))
            raise ToolUnsupported(
                f"service {service.name} of person {call.person.label} has no tool {tool.type}; it is in {having}"
            )


def _http_error(person: Person, error: Any, access: Access) -> ModelError:
    from pydantic_ai import exceptions

    said = _said(error.body, access) or _clean(str(error), access)
    retry_after_s: float | None = error.retry_after
    status: int = error.status_code
    if isinstance(error, exceptions.ModelQuotaExceededError):
        return QuotaUsedUp(
            f"{person.service} answered {status} for model {person.model}: the quota is used up; "
            "look at the account's plan and billing",
            details=said,
        )
    if person.service == "ollama" and status == 404:
        return RequestRefused(
            f"ollama has no model {person.model}; fetch it with: ollama pull {person.model}", details=said
        )
    return status_error(person, status, said, retry_after_s)


def _said(body: object, access: Access) -> str:
    """The service's own words, out of the shapes error bodies have."""
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        body = inner.get("message", inner) if isinstance(inner, Mapping) else inner
    return _clean(str(body or ""), access)


def _clean(text: str, access: Access) -> str:
    """Without the key, should a service repeat it."""
    return (text.replace(access.key, "***") if len(access.key) >= SHORTEST_KEY else text)[:500]
