"""The store service: settings -> database -> server -> wait for SIGTERM."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from dipeo_kit import logs, process, rpc, telemetry
from dipeo_kit.errors import DipeoError
from dipeo_protos.store.v1 import store_pb2_grpc
from dipeo_store import admin
from dipeo_store.backends import Backend, Clock, SharedBackend, sqlite_backup
from dipeo_store.backends.sqlite import open_sqlite
from dipeo_store.peers import Peers
from dipeo_store.retention import sweeping
from dipeo_store.service import NAME, StoreService
from dipeo_store.sessions import Sessions
from dipeo_store.settings import Settings
from dipeo_store.watchers import Watchers

log = logs.get(__name__)


def now_us() -> int:
    return time.time_ns() // 1000


@asynccontextmanager
async def running(settings: Settings, *, clock: Clock = now_us) -> AsyncIterator[str]:
    """The whole service; yields the address it listens on. Raises Unavailable with a sentence for people."""
    settings.identify()
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
            max_journal_mb=settings.max_journal_mb,
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
        backend = await stack.enter_async_context(sqlite)
        await stack.enter_async_context(sqlite_backup.daily(settings.file, settings.backup_h))
        return backend, None
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
