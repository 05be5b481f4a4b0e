"""What the environment says."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from dipeo_kit.settings import Listed, ServiceSettings


class Settings(ServiceSettings):
    """Environment variables DIPEO_GATEWAY_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="DIPEO_GATEWAY_", frozen=True, extra="ignore")

    listen: str = "127.0.0.1:8000"  # host:port; port 0 = any free one
    store: str = "127.0.0.1:7801"  # host:port or unix:/path
    executor: str = "127.0.0.1:7802"
    token: SecretStr = SecretStr("")
    token_file: Path | None = None  # created with a fresh token, mode 0600, when it does not exist
    origins: Listed[str] = ()  # of pages that may talk to us, besides our own
    hosts: Listed[str] = ()  # names we are reached by, besides the loopback ones; * = any
    base: str = Field(default_factory=lambda: os.environ.get("DIPEO_BASE_DIR") or str(Path.cwd()))
    published: Literal["store", "files"] = "store"  # where published diagrams are; files: of a project, not for us
    introspection: bool = False
    read_timeout_s: float = 2.5
    write_timeout_s: float = 30.0
    drain_s: int = 5
    log_level: str = "INFO"
