"""Whether a key works, and for which models: one call that costs nothing, the list of models. (gateway contract 4.3)"""

from dataclasses import dataclass

from dipeo_executor.llm.services import SERVICES
from dipeo_executor.llm.services.ollama import address_of
from dipeo_executor.nodes import web
from dipeo_executor.nodes.base import Http, NodeError
from dipeo_executor.nodes.web import Request, Response

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
    address = base_url or _address(service)
    if service not in SERVICES or not address:
        return Verdict(False, f"it is kept, but how to test a key of service {service} is not known here")
    try:
        response, url = await _asked(service, key, address, http)
    except NodeError as error:
        return Verdict(False, f"{service} could not be asked: {error}")
    return _judged(service, response, url)


async def models(service: str, key: str, base_url: str, http: Http) -> list[str] | str:
    """Names of the models, by name, or why there are none. Never raises; never holds the key."""
    address = base_url or _address(service)
    if not address:
        return f"the address of {service} is not known; keep it with the key: `dipeo keys add --base-url`"
    try:
        response, url = await _asked(service, key, address, http)
    except NodeError as error:
        return f"{service} could not be asked: {error}"
    if not response.ok:
        return _judged(service, response, url).message
    found = web.value_of(response)
    listed = (found.get("data") or found.get("models")) if isinstance(found, dict) else None
    if not isinstance(listed, list):
        return f"{service} answered no list of models at {url}"
    names = {str(each.get("id") or each.get("name") or "") for each in listed if isinstance(each, dict)}
    return sorted(name.removeprefix("models/") for name in names - {""})


def _address(service: str) -> str:
    return _ADDRESSES.get(service) or (SERVICES[service].base_url if service in SERVICES else "")


async def _asked(service: str, key: str, address: str, http: Http) -> tuple[Response, str]:
    """The answer, and the address it came from. Raises NodeError."""
    url, credentials, headers = _asking(service, key, address.rstrip("/"))
    request = Request("GET", url, headers=headers, credentials=credentials, timeout_s=TIMEOUT_S)
    return await http.send(request), url


def _judged(service: str, response: Response, url: str) -> Verdict:
    if response.ok:
        return Verdict(True, f"{service} accepts it")
    if response.status in (401, 403) or (service == "gemini" and response.status == 400):
        return Verdict(False, f"{service} refuses it (HTTP {response.status})")
    return Verdict(False, f"{service} answered HTTP {response.status} at {url}; whether the key is valid is not known")


def _asking(service: str, key: str, address: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """(url, credentials, headers); a service that needs no key gets none."""
    bearer = {"Authorization": f"Bearer {key}"} if key else {}
    if service == "anthropic":
        return f"{address}/v1/models", {"x-api-key": key}, {"anthropic-version": "2023-06-01"}
    if service == "gemini":
        return f"{address}/v1beta/models", {"x-goog-api-key": key}, {}
    if service == "ollama":
        address = f"{address_of(address)}/v1"
    return f"{address}/models", bearer, {}
