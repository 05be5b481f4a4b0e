"""Google Gemini (also called google): generateContent."""

from typing import TYPE_CHECKING

from dipeo_executor.llm.services.service import Access, Service

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models.google import GoogleModel


def _preload() -> None:
    import pydantic_ai.models.google
    import pydantic_ai.providers.google  # noqa: F401


def _generate(model: str, access: Access, http: "httpx2.AsyncClient") -> "GoogleModel":
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    provider = GoogleProvider(base_url=access.base_url or None, api_key=access.key, http_client=http)
    return GoogleModel(model, provider=provider)


SERVICE = Service(
    "gemini",
    _generate,
    _preload,
    key_variables=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    base_url_variable="GOOGLE_GEMINI_BASE_URL",
    merges_turns=True,
    tools=frozenset({"web_search"}),
    price_id="google",
)
