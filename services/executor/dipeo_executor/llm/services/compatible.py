"""Services that speak OpenAI's Chat Completions under an address of their own.

openai-compatible talks to the person's base_url (or OPENAI_COMPATIBLE_BASE_URL) with OPENAI_COMPATIBLE_API_KEY, never
with the key meant for OpenAI: a diagram from elsewhere must not be able to send that to an address of its choice.
"""

import importlib
from typing import TYPE_CHECKING, Any

from dipeo_executor.llm.services.service import Access, Service

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models.openai import OpenAIChatModel

PROFILES = {  # services the library knows the models of
    "deepseek": "DeepSeekProvider",
    "openrouter": "OpenRouterProvider",
    "vllm": "VLLMProvider",
}


def _service(name: str, base_url: str, *, local: bool = False) -> Service:
    def make(model: str, access: Access, http: "httpx2.AsyncClient") -> "OpenAIChatModel":
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

        from dipeo_executor.llm.services.openai_client import client

        provider = OpenAICompatibleProvider(name, openai_client=client(access, http), profile=_profile(name))
        return OpenAIChatModel(model, provider=provider)

    prefix = name.upper().replace("-", "_")
    return Service(
        name,
        make,
        _preload,
        key_variables=(f"{prefix}_API_KEY",),
        base_url_variable=f"{prefix}_BASE_URL",
        base_url=base_url,
        needs_key=not local,
        takes_base_url=local,
    )


def _preload() -> None:
    import pydantic_ai.models.openai
    import pydantic_ai.providers.openai_compatible  # noqa: F401

    import dipeo_executor.llm.services.openai_client  # noqa: F401


def _profile(name: str) -> Any:
    if name in PROFILES:
        return getattr(importlib.import_module(f"pydantic_ai.providers.{name}"), PROFILES[name]).model_profile
    # the older field: the servers that know only one of the two know this one
    return {"openai_chat_supports_max_completion_tokens": False}


SERVICES = (
    _service("openai-compatible", "", local=True),
    _service("deepseek", "https://api.deepseek.com"),
    _service("groq", "https://api.groq.com/openai/v1"),
    _service("openrouter", "https://openrouter.ai/api/v1"),
    _service("vllm", "http://127.0.0.1:8000/v1", local=True),
    _service("lm-studio", "http://127.0.0.1:1234/v1", local=True),
)
