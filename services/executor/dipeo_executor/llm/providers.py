"""Model services, through pydantic_ai.direct. This file alone imports it, at first use: it costs seconds.

openai talks to OPENAI_BASE_URL with OPENAI_API_KEY. openai-compatible talks to the person's base_url (or
OPENAI_COMPATIBLE_BASE_URL) with OPENAI_COMPATIBLE_API_KEY, never with the key meant for OpenAI: a diagram from
elsewhere must not be able to send that to an address of its choice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dipeo_executor.llm.errors import KeyMissing, RequestRefused, ServiceDown, status_error
from dipeo_executor.nodes.base import Reply, Usage
from dipeo_executor.program import Person

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.settings import ModelSettings

TIMEOUT_S = 300.0
SERVICES = ("openai", "openai-compatible")


def preload() -> None:
    """Import the SDKs. Blocking; run it in a thread as soon as a program names one of SERVICES."""
    import pydantic_ai.direct
    import pydantic_ai.models.openai
    import pydantic_ai.providers.openai
    import pydantic_ai.providers.openai_compatible  # noqa: F401


class ChatCompletions:
    """nodes.base.Llm for services that speak OpenAI's Chat Completions."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._models: dict[tuple[str, str, str, str], OpenAIChatModel] = {}
        self._http: httpx2.AsyncClient | None = None

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
        base_url, key = self._address(person)
        await asyncio.to_thread(preload)  # imported inside the request, it would stall every other run
        from pydantic_ai import direct, exceptions

        model = self._model(person, base_url, key)
        settings = _settings(model, temperature, max_tokens)
        try:
            response = await direct.model_request(
                model,
                _messages(messages),
                model_settings=settings,
                model_request_parameters=_parameters(schema),
                instrument=False,
            )
        except exceptions.ModelHTTPError as error:
            raise status_error(person, error.status_code, _said(error.body), _retry_after_s(error.headers)) from error
        except exceptions.ModelAPIError as error:
            raise ServiceDown(
                f"{person.service} cannot be reached for model {person.model}; check the network and the address",
                details=str(error),
            ) from error
        except exceptions.AgentRunError as error:
            raise RequestRefused(
                f"{person.service} gave an answer for model {person.model} that cannot be used", details=str(error)
            ) from error
        usage = response.usage
        spent = Usage(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens)
        return Reply(response.text or "", spent, response.model_name or person.model)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def _address(self, person: Person) -> tuple[str, str]:
        """(base URL or "", key)."""
        if person.service == "openai":
            if person.base_url:
                raise RequestRefused(
                    f"person {person.label} has service openai and a base_url; "
                    "use service openai-compatible for another address"
                )
            key = self._env.get("OPENAI_API_KEY", "")
            if not key:
                raise KeyMissing(
                    f"there is no key for openai (model {person.model}): set the environment variable OPENAI_API_KEY"
                )
            return self._env.get("OPENAI_BASE_URL", ""), key
        base_url = person.base_url or self._env.get("OPENAI_COMPATIBLE_BASE_URL", "")
        if not base_url:
            raise RequestRefused(
                f"person {person.label} has service openai-compatible but no base_url; "
                "give one, or set the environment variable OPENAI_COMPATIBLE_BASE_URL"
            )
        return base_url, self._env.get("OPENAI_COMPATIBLE_API_KEY", "")

    def _model(self, person: Person, base_url: str, key: str) -> "OpenAIChatModel":
        import httpx2
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider
        from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

        known = (person.service, base_url, key, person.model)
        if known not in self._models:
            self._http = self._http or httpx2.AsyncClient(timeout=TIMEOUT_S)
            provider = (
                OpenAIProvider(base_url=base_url or None, api_key=key, http_client=self._http)
                if person.service == "openai"
                else OpenAICompatibleProvider(
                    person.service, base_url=base_url, api_key=key or "none", http_client=self._http
                )
            )
            self._models[known] = OpenAIChatModel(person.model, provider=provider)
        return self._models[known]


def _settings(model: "OpenAIChatModel", temperature: float | None, max_tokens: int | None) -> "ModelSettings":
    from pydantic_ai.settings import ModelSettings

    settings = ModelSettings(max_retries=0, timeout=TIMEOUT_S)  # retries are the engine's, each one journaled
    if max_tokens is not None:
        settings["max_tokens"] = max_tokens
    # reasoning models refuse a temperature
    if temperature is not None and not model.profile.get("openai_supports_reasoning", False):
        settings["temperature"] = temperature
    return settings


def _parameters(schema: Mapping[str, Any] | None) -> Any:
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.output import OutputObjectDefinition

    if schema is None:
        return ModelRequestParameters()
    wanted = OutputObjectDefinition(json_schema=dict(schema), name="answer")
    return ModelRequestParameters(output_mode="native", output_object=wanted)


def _messages(messages: Sequence[Mapping[str, str]]) -> "list[ModelMessage]":
    from pydantic_ai import messages as wire

    made: list[ModelMessage] = []
    for message in messages:
        content = message["content"]
        if message["role"] == "assistant":
            made.append(wire.ModelResponse(parts=[wire.TextPart(content)]))
        elif message["role"] == "system":
            made.append(wire.ModelRequest(parts=[wire.SystemPromptPart(content)]))
        else:
            made.append(wire.ModelRequest(parts=[wire.UserPromptPart(content)]))
    return made


def _said(body: object) -> str:
    """The service's own words, out of the shapes error bodies have."""
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        return str(inner.get("message", inner) if isinstance(inner, Mapping) else inner)[:500]
    return str(body or "")[:500]


def _retry_after_s(headers: Mapping[str, str] | None) -> float | None:
    try:
        return float((headers or {}).get("retry-after", ""))
    except ValueError:  # absent, or a date
        return None
