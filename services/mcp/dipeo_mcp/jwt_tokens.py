"""Bearer tokens of an authorization server: this service is a resource server and issues none (spec/mcp.md §3.11)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt

from dipeo_kit import logs
from dipeo_mcp.errors import SettingsRefused
from dipeo_mcp.principals import SCOPES, Principal
from dipeo_mcp.settings import Settings, is_loopback

log = logs.get(__name__)

SKEW_S = 60
JWKS_TTL_S = 300.0
JWKS_AGAIN_S = 30.0  # for a key id we do not know
JWKS_TIMEOUT_S = 5.0
JWKS_BYTES = 256 * 1024
SYMMETRIC = frozenset({"HS256", "HS384", "HS512"})
ASYMMETRIC = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})


@dataclass(slots=True)
class Keys:
    """A JWKS at one configured address: https (http on loopback only), no redirects, kept for five minutes."""

    url: str
    _keys: dict[str, Any] = field(default_factory=dict)
    _fetched_at: float = -JWKS_TTL_S
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, kid: str) -> Any | None:
        async with self._lock:
            age_s = time.monotonic() - self._fetched_at
            if age_s >= JWKS_TTL_S or (kid not in self._keys and age_s >= JWKS_AGAIN_S):
                await self._fetch()
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        """On failure the keys known so far stay."""
        self._fetched_at = time.monotonic()
        try:
            async with httpx2.AsyncClient(timeout=JWKS_TIMEOUT_S, follow_redirects=False) as http:
                response = await http.get(self.url)
            if response.status_code != 200 or len(response.content) > JWKS_BYTES:
                raise ValueError(f"status {response.status_code}")
            found = jwt.PyJWKSet.from_dict(response.json())
        except (httpx2.HTTPError, ValueError, jwt.PyJWTError) as error:
            log.warning("mcp.jwks_failed", error=str(error))
            return
        self._keys = {key.key_id: key.key for key in found.keys if key.key_id}


@dataclass(frozen=True, slots=True)
class Verifier:
    """`audience()`: the public /mcp URL as it is now; "" while it is unknown."""

    algorithms: tuple[str, ...]
    issuer: str
    audience: Callable[[], str]
    key: str = ""  # secret or PEM; "" = `keys`
    keys: Keys | None = None

    async def verify(self, token: str) -> Principal | None:
        """The person behind a token; None for any token that is not good here and now."""
        audience = self.audience()
        if not audience:
            return None
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in self.algorithms:
                return None
            key = self.key or await self._published(header)
            if not key:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self.algorithms),
                audience=audience,
                issuer=self.issuer or None,
                leeway=SKEW_S,
                options={"require": ["exp", "aud", "sub", *(["iss"] if self.issuer else [])]},
            )
        except (jwt.PyJWTError, ValueError) as error:
            log.info("mcp.token_refused", reason=type(error).__name__)
            return None
        return Principal(f"oauth:{claims.get('iss', '')}#{claims['sub']}", _scopes(claims))

    async def _published(self, header: dict[str, Any]) -> Any | None:
        kid = header.get("kid")
        return await self.keys.find(kid) if self.keys and isinstance(kid, str) else None


def verifier_of(settings: Settings, audience: Callable[[], str]) -> Verifier | None:
    """None when neither JWT nor OAuth is configured. Raises SettingsRefused."""
    if not (settings.jwt_enabled or settings.has_oauth):
        return None
    algorithms = tuple(settings.jwt_algorithm)
    if unknown := [name for name in algorithms if name not in SYMMETRIC | ASYMMETRIC]:
        raise SettingsRefused(f"MCP_JWT_ALGORITHM: {unknown[0]} is not accepted")
    if SYMMETRIC.intersection(algorithms) and ASYMMETRIC.intersection(algorithms):
        raise SettingsRefused("MCP_JWT_ALGORITHM mixes symmetric and asymmetric algorithms; that lets forgers choose")
    wanted = (lambda: settings.jwt_audience) if settings.jwt_audience else audience
    issuer = settings.jwt_issuer or settings.oauth_server_url
    if settings.has_oauth:
        if SYMMETRIC.intersection(algorithms):
            raise SettingsRefused("MCP_JWT_ALGORITHM: tokens of an authorization server are signed asymmetrically")
        return Verifier(algorithms, issuer, wanted, keys=Keys(_checked_url(settings.oauth_jwks_uri)))
    key = _static_key(settings, symmetric=bool(SYMMETRIC.intersection(algorithms)))
    if not settings.jwt_issuer:
        raise SettingsRefused("MCP_JWT_ISSUER is needed: who issues the tokens")
    return Verifier(algorithms, issuer, wanted, key=key)


def _static_key(settings: Settings, *, symmetric: bool) -> str:
    if symmetric:
        secret = settings.jwt_secret.get_secret_value()
        if len(secret.encode()) < 32:
            raise SettingsRefused("MCP_JWT_SECRET: at least 32 bytes are needed")
        return secret
    text = settings.jwt_public_key
    if not text and settings.jwt_public_key_file:
        try:
            text = settings.jwt_public_key_file.read_text()
        except OSError as error:
            raise SettingsRefused(f"MCP_JWT_PUBLIC_KEY_FILE: {error.strerror}") from error
    if not text:
        raise SettingsRefused("MCP_JWT_PUBLIC_KEY or MCP_JWT_PUBLIC_KEY_FILE is needed for these algorithms")
    return text


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return url
    raise SettingsRefused("MCP_OAUTH_JWKS_URI: an https address is needed")


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    given = claims.get("scope", claims.get("scp", ""))
    words = (
        given.split() if isinstance(given, str) else [str(word) for word in given] if isinstance(given, list) else []
    )
    return frozenset(words) & frozenset(SCOPES)
