"""Ollama, through its OpenAI-compatible endpoint. Models are never pulled: a missing one is the user's to fetch."""

from typing import TYPE_CHECKING, Any

from dipeo_executor.llm.services.service import Access, Service

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models.ollama import OllamaModel

OLDER_FIELD: Any = {"openai_chat_supports_max_completion_tokens": False}  # it knows max_tokens alone


def _preload() -> None:
    import pydantic_ai.models.ollama
    import pydantic_ai.providers.ollama  # noqa: F401

    import dipeo_executor.llm.services.openai_client  # noqa: F401


def _chat(model: str, access: Access, http: "httpx2.AsyncClient") -> "OllamaModel":
    from pydantic_ai.models.ollama import OllamaModel
    from pydantic_ai.providers.ollama import OllamaProvider

    from dipeo_executor.llm.services.openai_client import client

    address = Access(f"{address_of(access.base_url)}/v1", access.key)
    provider = OllamaProvider(openai_client=client(address, http))
    return OllamaModel(model, provider=provider, profile=OLDER_FIELD)


def address_of(host: str) -> str:
    """OLLAMA_HOST as Ollama itself reads it: "host", "host:port", ":port" or a URL; 0.0.0.0 is where it listens."""
    scheme, _, rest = host.strip().rpartition("://")
    place, _, path = rest.partition("/")
    name, _, port = place.partition(":") if not place.startswith("[") else (place, "", "")
    name = "127.0.0.1" if name in ("", "0.0.0.0") else name
    port = port or {"": "11434", "http": "80", "https": "443"}.get(scheme, "")
    return f"{scheme or 'http'}://{name}{f':{port}' if port else ''}/{path}".rstrip("/").removesuffix("/v1")


SERVICE = Service(
    "ollama",
    _chat,
    _preload,
    key_variables=("OLLAMA_API_KEY",),
    base_url_variable="OLLAMA_HOST",
    base_url="127.0.0.1:11434",
    needs_key=False,
    takes_base_url=True,
)
