"""What the environment says."""

from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from dipeo_kit.settings import ServiceSettings
from dipeo_store.journal import BACKOFF_S, HandOver
from dipeo_store.retention import DAY_US, Ages
from dipeo_store.secrets import Safe, master_key

if TYPE_CHECKING:
    from dipeo_store.backends.postgres_database import Access

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


class Settings(ServiceSettings):
    """DIPEO_STORE_*."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="DIPEO_STORE_")

    url: str = "sqlite:///.dipeo/data/state.db"  # sqlite:///relative, sqlite:////absolute or postgresql://…
    listen: str = "127.0.0.1:7801"  # or unix:/path
    heartbeat_s: float = Field(5, gt=0)
    lost_s: float = Field(20, gt=0)  # without a heartbeat for so long an executor is lost
    max_attempts: int = Field(5, ge=1)  # executors lost in a row before an execution is given up
    backoff_s: tuple[float, ...] = Field(BACKOFF_S, min_length=1)  # wait after the 1st, 2nd, … of them; as JSON: [0, 5]
    watch_queue: int = Field(1000, ge=1)  # events a slow reader may be behind
    grace_s: float = Field(5, ge=0)  # for running calls at a stop
    log_level: str = "INFO"
    master_key: SecretStr = SecretStr("")  # 32 bytes as hex or base64; without it no secrets are kept
    master_key_file: Path | None = None  # where it stands instead
    max_events: int = Field(50_000, ge=100)  # of one execution
    max_journal_mb: int = Field(50, ge=1)  # the same in MiB, without what is kept as blobs
    retain_days: float = Field(30, ge=0)  # after their end executions are removed, unless pinned; 0 = never
    log_days: float = Field(7, ge=0)  # after it the texts of their logs are; 0 = never
    sweep_s: float = Field(600, gt=0)
    backup_h: float = Field(24, ge=0)  # of a SQLite file, into backup/ beside it, the last 7 kept; 0 = never
    # Postgres only
    auto_migrate: bool = False  # else `dipeo-store migrate` does it; a SQLite file is always brought up to date
    pool_min: int = Field(2, ge=0)  # connections, for writing and for reading each
    pool_max: int = Field(16, ge=4)
    statement_cache: int = Field(100, ge=0)  # 0 behind a transaction pooler
    connect_s: float = Field(5, gt=0)
    command_s: float = Field(10, gt=0)
    committers: int = Field(2, ge=1, le=4)
    notify: bool = True  # off: other stores are polled only, once a second

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not url.startswith((_SQLITE, *_POSTGRES)) or url in (_SQLITE, *_POSTGRES):
            raise ValueError(
                f'"{url}" is not a database this store knows; expected sqlite:///PATH or postgresql://HOST/DATABASE'
            )
        return url

    @model_validator(mode="after")
    def _heard_before_lost(self) -> Self:
        if self.lost_s <= self.heartbeat_s:
            raise ValueError(
                f"DIPEO_STORE_LOST_S is {self.lost_s:g}, but executors are heard every {self.heartbeat_s:g} s"
                " (DIPEO_STORE_HEARTBEAT_S): every one would be lost; give it at least twice as long"
            )
        return self

    @model_validator(mode="after")
    def _usable_master_key(self) -> Self:
        self.safe()
        return self

    def safe(self) -> Safe:
        """Raises ValueError, which names the variable but never the key."""
        text, name = self.master_key.get_secret_value(), "DIPEO_STORE_MASTER_KEY"
        if not text and self.master_key_file:
            name = f"DIPEO_STORE_MASTER_KEY_FILE ({self.master_key_file})"
            try:
                text = self.master_key_file.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"{name}: it cannot be read: {error}") from None
        try:
            return Safe(master_key(text) if text.strip() else None)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    @property
    def hand_over(self) -> HandOver:
        return HandOver(self.max_attempts, self.backoff_s)

    def ages(self) -> Ages:
        return Ages(round(self.retain_days * DAY_US), round(self.log_days * DAY_US))

    @property
    def is_postgres(self) -> bool:
        return self.url.startswith(_POSTGRES)

    @property
    def file(self) -> Path:
        return Path(self.url.removeprefix(_SQLITE))

    @property
    def access(self) -> "Access":
        from dipeo_store.backends.postgres_database import Access

        names = ("pool_min", "pool_max", "statement_cache", "connect_s", "command_s")
        return Access(self.url, **{name: getattr(self, name) for name in names})

    @property
    def database(self) -> str:
        """For people: without user and password."""
        return self.access.name if self.is_postgres else str(self.file)
