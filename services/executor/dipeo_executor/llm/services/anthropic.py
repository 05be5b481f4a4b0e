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
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    provider = AnthropicProvider(base_url=access.base_url or None, api_key=access.key, http_client=http)
    return AnthropicModel(model, provider=provider)


SERVICE = Service(
    "anthropic",
    _messages,
    _preload,
    key_variables=("ANTHROPIC_API_KEY",),
    base_url_variable="ANTHROPIC_BASE_URL",
    tools=frozenset({"web_search"}),
)
