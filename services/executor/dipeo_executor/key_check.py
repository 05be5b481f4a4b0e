"""Whether a key works: one cheap call that costs nothing, the list of models. (gateway contract 4.3)"""

from dataclasses import dataclass

from dipeo_executor.llm.services import SERVICES
from dipeo_executor.llm.services.ollama import address_of
from dipeo_executor.nodes.base import Http, NodeError
from dipeo_executor.nodes.web import Request

TIMEOUT_S = 10.0
_ADDRESSES = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    valid: bool
    message: str


async def verdict(service: str, key: str, base_url: str, http: Http) -> Verdict:
    """Never raises; the message never holds the key."""
    address = base_url or _ADDRESSES.get(service) or (SERVICES[service].base_url if service in SERVICES else "")
    if service not in SERVICES or not address:
        return Verdict(False, f"it is kept, but how to test a key of service {service} is not known here")
    url, credentials, headers = _asking(service, key, address.rstrip("/"))
    try:
        response = await http.send(Request("GET", url, headers=headers, credentials=credentials, timeout_s=TIMEOUT_S))
    except NodeError as error:
        return Verdict(False, f"{service} could not be asked: {error}")
    if response.ok:
        return Verdict(True, f"{service} accepts it")
    if response.status in (401, 403) or (service == "gemini" and response.status == 400):
        return Verdict(False, f"{service} refuses it (HTTP {response.status})")
    return Verdict(False, f"{service} answered HTTP {response.status} at {url}; whether the key is valid is not known")


def _asking(service: str, key: str, address: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """(url, credentials, headers)"""
    if service == "anthropic":
        return f"{address}/v1/models", {"x-api-key": key}, {"anthropic-version": "2023-06-01"}
    if service == "gemini":
        return f"{address}/v1beta/models", {"x-goog-api-key": key}, {}
    if service == "ollama":
        address = f"{address_of(address)}/v1"
    return f"{address}/models", {"Authorization": f"Bearer {key}"}, {}
