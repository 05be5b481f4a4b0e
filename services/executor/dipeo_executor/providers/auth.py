"""How a provider learns who asks. (node contract 20.3)"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dipeo_executor.nodes import base, web
from dipeo_executor.nodes.credentials import CredentialsMissing, basic
from dipeo_executor.nodes.web import Request
from dipeo_executor.providers import rendering
from dipeo_executor.providers.manifest import Manifest

NEEDED = {
    "none": (),
    "api_key_header": ("api_key",),
    "api_key_query": ("api_key",),
    "oauth2_bearer": ("api_key",),
    "basic": ("username", "password"),
    "oauth2_client_credentials": ("client_id", "client_secret"),
}
FORMATS = {"api_key_header": "{{api_key}}", "oauth2_bearer": "Bearer {{api_key}}"}
HEADERS = {"api_key_header": "X-API-Key", "oauth2_bearer": "Authorization"}
EARLY_S = 30.0  # a token is fetched anew so long before it expires
TOKEN_S = 300.0  # kept, when the server does not say how long


class TokenRefused(base.NodeError):
    """The token endpoint did not give a token."""


def secrets(manifest: Manifest, given: Mapping[str, str], http: base.Http) -> dict[str, str]:
    """What the strategy needs, from the node or else from the environment. Raises NodeError naming both places."""
    strategy = manifest.auth.strategy
    if strategy not in NEEDED:
        raise CredentialsMissing(f"{manifest.name}: auth strategy {strategy} runs code of its own, which is not done")
    found = dict(given)
    for field in NEEDED[strategy]:
        if field not in found:
            variable = _variable(manifest, field)
            try:
                found[field] = http.secret(variable)
            except base.NodeError as error:
                problem = f"{manifest.name} needs {field}: {error}; set it, or give auth_config.{field}"
                raise CredentialsMissing(problem) from error
    return found


def _variable(manifest: Manifest, field: str) -> str:
    named = manifest.auth.env
    default = f"{manifest.name}_{field}".upper().replace("-", "_").replace(".", "_")
    return named if isinstance(named, str) else named.get(field, default)


async def signed(request: Request, manifest: Manifest, secrets: Mapping[str, str], http: base.Http) -> Request:
    """The request with its credentials."""
    auth = manifest.auth
    match auth.strategy:
        case "api_key_query":
            return replace(request, secret_params=[(auth.query_param, secrets["api_key"])])
        case "basic":
            header, text = auth.header or "Authorization", basic(secrets["username"], secrets["password"])
        case "oauth2_client_credentials":
            key = ("token", auth.token_endpoint, secrets["client_id"], secrets["client_secret"], auth.scopes)
            token = await http.shared(key, Token).get(lambda: _exchange(manifest, secrets), http)
            header, text = auth.header or "Authorization", f"Bearer {token}"
        case "api_key_header" | "oauth2_bearer":
            context = {"api_key": secrets["api_key"], "secret": secrets}
            header = auth.header or HEADERS[auth.strategy]
            text = rendering.text(auth.format or FORMATS[auth.strategy], context, "auth.format")
        case _:
            return request
    return replace(request, credentials=web.headers({header: text}))


def _exchange(manifest: Manifest, secrets: Mapping[str, str]) -> Request:
    """client_credentials of RFC 6749, 4.4: the client signs in with basic auth and gets a token."""
    auth = manifest.auth
    if not auth.token_endpoint:
        raise TokenRefused(f"{manifest.name}: auth.token_endpoint is missing")
    form = {"grant_type": "client_credentials", **({"scope": " ".join(auth.scopes)} if auth.scopes else {})}
    request = Request(
        "POST",
        web.checked_url(auth.token_endpoint),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        credentials={"Authorization": basic(secrets["client_id"], secrets["client_secret"])},
    )
    return web.with_content(request, form)


class Token:
    """An access token, fetched once for all who wait for it and kept until it expires."""

    def __init__(self) -> None:
        self._text = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def get(self, ask: Callable[[], Request], http: base.Http) -> str:
        async with self._lock:
            if time.monotonic() >= self._until:
                request = ask()
                response = await http.send(request, retry=web.Retry(3))
                web.require_success(request, response)
                said = web.value_of(response)
                self._text, lasts_s = _token(said)
                self._until = time.monotonic() + max(0.0, lasts_s - EARLY_S)
            return self._text


def _token(said: Any) -> tuple[str, float]:
    token = said.get("access_token") if isinstance(said, Mapping) else None
    if not isinstance(token, str) or not token:
        raise TokenRefused("the token endpoint answered without an access_token")
    lasts = said.get("expires_in")
    return token, float(lasts) if isinstance(lasts, int | float) else TOKEN_S
