"""Anthropic: the Messages API."""

from typing import TYPE_CHECKING

from dipeo_executor.llm.services.service import Access, Service

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models.anthropic import AnthropicModel


def _preload() -> None:
    import pydantic_ai.models.anthropic
    import pydantic_ai.providers.anthropic  # noqa: F401


def _messages(model: str, access: Access, http: "httpx2.AsyncClient") -> "AnthropicModel":
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    # retries are the engine's
    client = AsyncAnthropic(base_url=access.base_url or None, api_key=access.key, http_client=http, max_retries=0)
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))


SERVICE = Service(
    "anthropic",
    _messages,
    _preload,
    key_variables=("ANTHROPIC_API_KEY",),
    base_url_variable="ANTHROPIC_BASE_URL",
    merges_turns=True,
    tools=frozenset({"web_search"}),
)
