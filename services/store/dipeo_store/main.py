"""The store service: settings -> database -> server -> wait for SIGTERM."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from dipeo_kit import logs, process, rpc, telemetry
from dipeo_kit.errors import DipeoError
from dipeo_kit.settings import ServiceSettings
from dipeo_protos.store.v1 import store_pb2_grpc
from dipeo_store import admin
from dipeo_store.backends import Backend, Clock, SharedBackend
from dipeo_store.backends.sqlite import open_sqlite
from dipeo_store.journal import BACKOFF_S, HandOver
from dipeo_store.peers import Peers
from dipeo_store.retention import DAY_US, Ages, sweeping
from dipeo_store.secrets import Safe, master_key
from dipeo_store.service import NAME, StoreService
from dipeo_store.sessions import Sessions
from dipeo_store.watchers import Watchers

if TYPE_CHECKING:
    from dipeo_store.backends.postgres_database import Access

log = logs.get(__name__)

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
    retain_days: float = Field(30, ge=0)  # after their end executions are removed, unless pinned; 0 = never
    log_days: float = Field(7, ge=0)  # after it the texts of their logs are; 0 = never
    sweep_s: float = Field(600, gt=0)
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


def now_us() -> int:
    return time.time_ns() // 1000


@asynccontextmanager
async def running(settings: Settings, *, clock: Clock = now_us) -> AsyncIterator[str]:
    """The whole service; yields the address it listens on. Raises Unavailable with a sentence for people."""
    rpc.use_secret(settings.grpc_secret_file)
    watchers = Watchers(settings.watch_queue)
    async with AsyncExitStack() as stack:
        backend, shared = await _opened(settings, stack, watchers, clock)
        sessions = Sessions(backend, lost_s=settings.lost_s)
        service = StoreService(
            backend,
            sessions,
            watchers,
            settings.safe(),
            settings.ages(),
            clock=clock,
            heartbeat_s=settings.heartbeat_s,
            lost_s=settings.lost_s,
            max_events=settings.max_events,
        )
        address = await stack.enter_async_context(
            rpc.serve(
                settings.listen,
                lambda server: store_pb2_grpc.add_StoreServiceServicer_to_server(service, server),
                service_names=[NAME],
                grace_s=settings.grace_s,
            )
        )
        await stack.enter_async_context(sessions.running())
        await stack.enter_async_context(sweeping(backend, sessions, settings.ages(), every_s=settings.sweep_s))
        if shared:
            peers = Peers(shared, sessions, watchers, heartbeat_s=settings.heartbeat_s, lost_s=settings.lost_s)
            await stack.enter_async_context(peers.running())
        try:
            yield address
        finally:
            watchers.stop()
            service.stop()


async def _opened(
    settings: Settings, stack: AsyncExitStack, watchers: Watchers, clock: Clock
) -> tuple[Backend, SharedBackend | None]:
    """The database, and once more if other stores may be on it."""
    if not settings.is_postgres:
        sqlite = open_sqlite(settings.file, publish=watchers.publish, clock=clock, hand_over=settings.hand_over)
        return await stack.enter_async_context(sqlite), None
    from dipeo_store.backends.postgres import open_postgres  # asyncpg: 60 ms that a local stack does not need

    postgres = await stack.enter_async_context(
        open_postgres(
            settings.access,
            publish=watchers.publish,
            hand_over=settings.hand_over,
            auto_migrate=settings.auto_migrate,
            notify=settings.notify,
            committers=settings.committers,
        )
    )
    return postgres, postgres


async def _serve(settings: Settings) -> None:
    async with running(settings) as address:
        log.info("store.ready", address=address, database=settings.database)
        await process.wait_for_stop()


def main() -> None:
    """Console script `dipeo-store`. Exit 1: cannot start, or verify found something; 2: settings or arguments."""
    arguments = admin.parser().parse_args()
    settings = Settings.load()
    logs.configure(settings.log_level, service="store")
    try:
        if arguments.command not in (None, "serve"):
            sys.exit(asyncio.run(admin.run(arguments.command, settings, getattr(arguments, "subject", ""))))
        with telemetry.exporting("dipeo-store"):
            asyncio.run(_serve(settings))
    except DipeoError as error:
        sys.exit(f"dipeo-store: {error}")


if __name__ == "__main__":
    main()
