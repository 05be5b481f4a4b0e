"""OpenAI: the Responses API, or Chat Completions where OPENAI_BASE_URL leads to a server that has no Responses."""

from typing import TYPE_CHECKING

from dipeo_executor.llm.services.service import Access, Service

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider


def _preload() -> None:
    import pydantic_ai.models.openai
    import pydantic_ai.providers.openai  # noqa: F401

    import dipeo_executor.llm.services.openai_client  # noqa: F401


def _provider(access: Access, http: "httpx2.AsyncClient") -> "OpenAIProvider":
    from pydantic_ai.providers.openai import OpenAIProvider

    from dipeo_executor.llm.services.openai_client import client

    return OpenAIProvider(openai_client=client(access, http))


def _responses(model: str, access: Access, http: "httpx2.AsyncClient") -> "OpenAIResponsesModel":
    from pydantic_ai.models.openai import OpenAIResponsesModel

    return OpenAIResponsesModel(model, provider=_provider(access, http))


def _chat(model: str, access: Access, http: "httpx2.AsyncClient") -> "OpenAIChatModel":
    from pydantic_ai.models.openai import OpenAIChatModel

    return OpenAIChatModel(model, provider=_provider(access, http))


SERVICE = Service(
    "openai",
    _responses,
    _preload,
    key_variables=("OPENAI_API_KEY",),
    base_url_variable="OPENAI_BASE_URL",
    tools=frozenset({"web_search", "image_generation"}),
    fallback=_chat,
)
