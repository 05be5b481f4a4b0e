"""The store service: settings -> database -> server -> wait for SIGTERM."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from dipeo_kit import logs, process, rpc, telemetry
from dipeo_kit.errors import DipeoError
from dipeo_kit.settings import ServiceSettings
from dipeo_protos.store.v1 import store_pb2_grpc
from dipeo_store.backends import Clock
from dipeo_store.backends.sqlite import open_sqlite
from dipeo_store.service import NAME, StoreService
from dipeo_store.sessions import Sessions
from dipeo_store.watchers import Watchers

log = logs.get(__name__)

_SQLITE = "sqlite:///"


class Settings(ServiceSettings):
    """DIPEO_STORE_*."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="DIPEO_STORE_")

    url: str = "sqlite:///.dipeo/data/state.db"  # sqlite:///relative or sqlite:////absolute
    listen: str = "127.0.0.1:7801"  # or unix:/path
    heartbeat_s: float = Field(5, gt=0)
    lost_s: float = Field(20, gt=0)  # without a heartbeat for so long an executor is lost
    max_attempts: int = Field(5, ge=1)  # executors lost in a row before an execution is given up
    watch_queue: int = Field(1000, ge=1)  # events a slow reader may be behind
    grace_s: float = Field(5, ge=0)  # for running calls at a stop
    log_level: str = "INFO"

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not url.startswith(_SQLITE) or len(url) == len(_SQLITE):
            raise ValueError(f'"{url}" is not a database this store knows; expected sqlite:///PATH')
        return url

    @property
    def file(self) -> Path:
        return Path(self.url.removeprefix(_SQLITE))


def now_us() -> int:
    return time.time_ns() // 1000


@asynccontextmanager
async def running(settings: Settings, *, clock: Clock = now_us) -> AsyncIterator[str]:
    """The whole service; yields the address it listens on. Raises Unavailable with a sentence for people."""
    rpc.use_secret(settings.grpc_secret_file)
    watchers = Watchers(settings.watch_queue)
    async with open_sqlite(
        settings.file, publish=watchers.publish, clock=clock, max_attempts=settings.max_attempts
    ) as backend:
        sessions = Sessions(backend, lost_s=settings.lost_s)
        service = StoreService(
            backend, sessions, watchers, clock=clock, heartbeat_s=settings.heartbeat_s, lost_s=settings.lost_s
        )
        async with (
            rpc.serve(
                settings.listen,
                lambda server: store_pb2_grpc.add_StoreServiceServicer_to_server(service, server),
                service_names=[NAME],
                grace_s=settings.grace_s,
            ) as address,
            sessions.running(),
        ):
            try:
                yield address
            finally:
                watchers.stop()
                service.stop()


async def _serve(settings: Settings) -> None:
    async with running(settings) as address:
        log.info("store.ready", address=address, file=str(settings.file))
        await process.wait_for_stop()


def main() -> None:
    """Console script `dipeo-store`. Exit 1: cannot start; 2: settings."""
    settings = Settings.load()
    logs.configure(settings.log_level, service="store")
    try:
        with telemetry.exporting("dipeo-store"):
            asyncio.run(_serve(settings))
    except DipeoError as error:
        sys.exit(f"dipeo-store: {error}")


if __name__ == "__main__":
    main()
