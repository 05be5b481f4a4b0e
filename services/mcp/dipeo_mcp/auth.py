"""Who comes in (spec/mcp.md §3.11): keys, a user:password pair for old clients, tokens of an authorization server."""

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dipeo_kit import logs
from dipeo_mcp import jwt_tokens, keys
from dipeo_mcp.errors import SettingsRefused
from dipeo_mcp.keys import Key
from dipeo_mcp.limits import Limits, Window
from dipeo_mcp.principals import LOCAL, READ, RUN, WRITE, Principal
from dipeo_mcp.settings import Settings

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Credential:
    """As presented: the scheme in lower case, "" = none at all."""

    scheme: str
    value: str


def presented(headers: Mapping[str, str]) -> Credential | None:
    """The Authorization header, or X-API-Key of old clients. Nothing is ever taken from the query string."""
    if authorization := headers.get("authorization"):
        scheme, _, value = authorization.partition(" ")
        return Credential(scheme.lower(), value.strip())
    if key := headers.get("x-api-key"):
        return Credential("bearer", key.strip())
    return None


@dataclass(slots=True)
class Gate:
    """Not enabled: everybody is the local user. Else a credential that is presented is good, or the answer is 401."""

    enabled: bool
    required: bool
    configured: tuple[Key, ...] = ()
    basic: str = ""
    tokens: jwt_tokens.Verifier | None = None
    keys_file: Path | None = None
    _kept: tuple[Key, ...] = ()
    _read_at: tuple[int, int] = (0, 0)

    @property
    def api_keys(self) -> tuple[Key, ...]:
        """The file is read again when it has changed: keys are made and revoked while we run."""
        if self.keys_file is not None:
            try:
                found = self.keys_file.stat()
                stamp = (found.st_mtime_ns, found.st_ino)
            except OSError:
                self._kept, stamp = (), self._read_at
            if stamp != self._read_at:
                self._kept, self._read_at = tuple(keys.load(self.keys_file)), stamp
        return (*self.configured, *self._kept)

    @property
    def methods(self) -> list[str]:
        """For people and clients that ask what is accepted."""
        if not self.enabled:
            return []
        found = ["bearer"] if self.api_keys else []
        found += ["x-api-key"] if self.api_keys else []
        found += ["basic"] if self.basic else []
        return [*found, *(["oauth2"] if self.tokens else [])]

    async def admit(self, credential: Credential | None) -> Principal | None:
        """None: 401."""
        if not self.enabled:
            return LOCAL
        if credential is None:
            return None if self.required else LOCAL
        if credential.scheme == "basic":
            return self._by_pair(credential.value)
        if credential.scheme != "bearer" or not credential.value:
            return None
        if key := keys.find(self.api_keys, credential.value):
            return key.principal()
        if self.tokens and credential.value.count(".") == 2:
            return await self.tokens.verify(credential.value)
        return None

    def _by_pair(self, value: str) -> Principal | None:
        try:
            given = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return None
        if self.basic and hmac.compare_digest(given, self.basic.encode()):
            user = self.basic.partition(":")[0]
            return Principal(f"basic:{user}", frozenset((READ, RUN, WRITE)))
        return None


def gate_of(settings: Settings, audience: Callable[[], str], show_key: Callable[[str], None]) -> Gate:
    """Raises SettingsRefused. When nothing at all could let anybody in, a first key is made and shown once."""
    if not settings.auth_enabled:
        return Gate(enabled=False, required=False)
    found: list[Key] = []
    basic = settings.basic_auth.get_secret_value()
    tokens = jwt_tokens.verifier_of(settings, audience)
    if basic:
        user, colon, password = basic.partition(":")
        if not colon or not user:
            raise SettingsRefused("NGROK_AUTH: user:password is needed")
        keys.check_strength(password, "NGROK_AUTH: the password")
    if settings.api_key_enabled:
        found += keys.parsed(settings.api_keys.get_secret_value())
        file = settings.keys_file
        if not found and not basic and tokens is None and not (file and keys.load(file)):
            found += _first_key(settings, show_key)
    file = settings.keys_file if settings.api_key_enabled else None
    return Gate(True, settings.auth_required, tuple(found), basic, tokens, file)


def _first_key(settings: Settings, show_key: Callable[[str], None]) -> list[Key]:
    """Kept in the keys file where there is one, else good until the process ends."""
    if settings.keys_file:
        show_key(keys.add(settings.keys_file, keys.FIRST_NAME))
        return []
    secret = keys.new()
    show_key(secret)
    return [Key(keys.FIRST_NAME, frozenset(keys.DEFAULT_SCOPES), keys.digest_of(secret))]


@dataclass(slots=True)
class Doorkeeper:
    """Counts who knocks without a good credential, per address."""

    limits: Limits
    anonymous: Window = field(init=False)
    bad: Window = field(init=False)
    clock: Callable[[], float] = time.monotonic
    blocked_until: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.anonymous = Window(self.limits.anonymous_per_min, clock=self.clock)
        self.bad = Window(self.limits.bad_credentials + 1, seconds=self.limits.block_s, clock=self.clock)

    def blocked_s(self, address: str) -> float:
        """How long it stays blocked; 0 = it is not."""
        left_s = self.blocked_until.get(address, 0.0) - self.clock()
        if left_s <= 0:
            self.blocked_until.pop(address, None)
        return max(0.0, left_s)

    def was_bad(self, address: str) -> None:
        self.bad.hit(address, "bad credentials")
        if self.bad.count(address) >= self.limits.bad_credentials:
            self.blocked_until[address] = self.clock() + self.limits.block_s
            log.warning("mcp.address_blocked", address=address)
