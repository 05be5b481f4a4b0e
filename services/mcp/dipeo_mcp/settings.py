"""What the environment says (spec/mcp.md §3.12), and what is refused before anything starts: exit code 78."""

import ipaddress
import os
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from dipeo_kit import logs
from dipeo_kit.settings import Listed, ServiceSettings
from dipeo_mcp.errors import SettingsRefused

log = logs.get(__name__)

PREFIX = "MCP_"
CLAIMED_ELSEWHERE = {"MCP_CHATGPT_ORIGINS"}  # read through an alias


NO_SECRET = SecretStr("")


class Settings(ServiceSettings):
    """Environment variables MCP_<NAME>, NGROK_AUTHTOKEN and NGROK_AUTH."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8010, ge=0, le=65535)  # 0 = any free one
    admin_port: int = Field(default=8011, ge=-1, le=65535)  # on loopback; 0 = any free one, -1 = none
    store: str = "127.0.0.1:7801"  # host:port or unix:/path
    executor: str = "127.0.0.1:7802"

    auth_enabled: bool = True
    auth_required: bool = True
    api_key_enabled: bool = True
    api_keys: SecretStr = NO_SECRET  # comma list of KEY or name:scope+scope:KEY
    keys_file: Path | None = None  # hashes of further keys, mode 0600; a first key is made when there is none at all
    jwt_enabled: bool = False
    jwt_algorithm: Listed[str] = ("RS256", "ES256")
    jwt_secret: SecretStr = NO_SECRET
    jwt_public_key: str = ""
    jwt_public_key_file: Path | None = None
    jwt_audience: str = ""  # default: the public /mcp URL
    jwt_issuer: str = ""
    oauth_server_url: str = ""
    oauth_jwks_uri: str = ""
    client_origins: Listed[str] = Field(
        default=(), validation_alias=AliasChoices("MCP_CLIENT_ORIGINS", "MCP_CHATGPT_ORIGINS")
    )
    basic_auth: SecretStr = Field(default=NO_SECRET, validation_alias="NGROK_AUTH")  # user:password
    public_url: str = ""  # https://host, without path
    allowed_hosts: Listed[str] = ()  # Host headers, besides the loopback names
    state_keys: Listed[SecretStr] = ()

    default_timeout: float = 300.0
    max_timeout: float = 3600.0
    max_concurrent_runs: int = Field(default=4, ge=1)  # per principal; twice as many in all
    max_diagram_tools: int = Field(default=40, ge=0)
    allow_nodes: Listed[str] | None = None  # risky node types that may run; None: all on loopback, none when exposed

    expose: Literal["none", "ngrok"] = "none"
    ngrok_authtoken: SecretStr = Field(default=NO_SECRET, validation_alias="NGROK_AUTHTOKEN")
    ngrok_path: str = ""  # of the agent; "" = where pyngrok keeps it
    ngrok_config: str = ""
    ngrok_domain: str = ""
    ngrok_allow_download: bool = False
    ngrok_pid_file: Path | None = None  # so that an agent that outlived us is found at the next start
    ngrok_probe: bool = True  # false for tests without a network only
    log_level: str = "INFO"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def is_exposed(self) -> bool:
        """Whether somebody beyond this machine may reach it."""
        return not self.is_loopback or self.expose != "none"

    @property
    def has_oauth(self) -> bool:
        return bool(self.oauth_server_url)

    @property
    def asks_for_credentials(self) -> bool:
        return self.auth_enabled and self.auth_required


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(settings: Settings) -> None:
    """Raises SettingsRefused with one line that says what contradicts what."""
    if not settings.asks_for_credentials and settings.is_exposed:
        raise SettingsRefused(
            "MCP_AUTH_ENABLED and MCP_AUTH_REQUIRED may be false only while the service listens on loopback and has "
            "no tunnel: anyone could run your diagrams"
        )
    if settings.auth_enabled and not (settings.api_key_enabled or settings.jwt_enabled or settings.has_oauth):
        raise SettingsRefused("MCP_AUTH_ENABLED is true and every way to authenticate is off")
    if "*" in settings.client_origins:
        raise SettingsRefused("MCP_CLIENT_ORIGINS: name the origins; * would let any page use a user's credentials")
    if "*" in settings.allowed_hosts:
        raise SettingsRefused("MCP_ALLOWED_HOSTS: name the hosts; * would switch off the check of the Host header")
    if settings.has_oauth and not settings.oauth_jwks_uri:
        raise SettingsRefused("MCP_OAUTH_SERVER_URL needs MCP_OAUTH_JWKS_URI, where its keys are")
    if settings.expose == "ngrok" and not settings.is_loopback:
        raise SettingsRefused(f"MCP_EXPOSE=ngrok needs a listener on loopback, not {settings.host}")
    if settings.default_timeout > settings.max_timeout:
        raise SettingsRefused("MCP_DEFAULT_TIMEOUT is longer than MCP_MAX_TIMEOUT")
    if any(len(key.get_secret_value().encode()) < 32 for key in settings.state_keys):
        raise SettingsRefused("MCP_STATE_KEYS: each key has at least 32 bytes")


def warn_unknown() -> None:
    """A misspelt variable would be silently without effect."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | CLAIMED_ELSEWHERE
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            log.warning("mcp.unknown_variable", variable=name)
