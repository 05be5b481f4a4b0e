"""Model services by name. A new one is one file and one line here; an OpenAI-compatible one is one line in
compatible.py."""

from collections.abc import Mapping

from dipeo_executor.llm.services import anthropic, compatible, gemini, ollama, openai
from dipeo_executor.llm.services.service import Service

SERVICES: Mapping[str, Service] = {
    service.name: service
    for service in (openai.SERVICE, anthropic.SERVICE, gemini.SERVICE, ollama.SERVICE, *compatible.SERVICES)
}
