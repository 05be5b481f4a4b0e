from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import postgres
import pytest
from store_client import Clock, Store

from dipeo_kit import rpc
from dipeo_store.settings import Settings


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[tuple[str, str]]:
    """(url of a server, name of the template database)"""
    with postgres.shared_server() as url:
        yield url, postgres.make_template(url)


@pytest.fixture
async def postgres_url(postgres_server: tuple[str, str]) -> AsyncIterator[str]:
    """A migrated database of one's own."""
    async with postgres.clone(*postgres_server) as url:
        yield url


class Variant(NamedTuple):
    backend: str
    transport: str


# who calls in process, meets the same service: once is enough
VARIANTS = [Variant("sqlite", ""), Variant("sqlite", rpc.INPROCESS), Variant("postgres", "")]


@pytest.fixture(params=VARIANTS, ids=["sqlite", "sqlite-inprocess", "postgres"])
def variant(request: pytest.FixtureRequest) -> Variant:
    return request.param


@pytest.fixture
def sqlite_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("s", numbered=True)  # short: a socket path has at most 107 bytes
    return Settings(url=f"sqlite:///{folder / 'data' / 'state.db'}", listen=f"unix:{folder / 'store'}", grace_s=1)


@pytest.fixture
def settings(request: pytest.FixtureRequest, variant: Variant, sqlite_settings: Settings) -> Settings:
    """One for each backend."""
    if variant.backend == "sqlite":
        return sqlite_settings
    return sqlite_settings.model_copy(update={"url": request.getfixturevalue("postgres_url")})


@pytest.fixture
async def store(settings: Settings, variant: Variant) -> AsyncIterator[Store]:
    it = Store(settings, Clock(), variant.transport)
    await it.start()
    try:
        yield it
    finally:
        await it.stop()


@pytest.fixture
async def sqlite_store(sqlite_settings: Settings) -> AsyncIterator[Store]:
    """For what only a file can show."""
    it = Store(sqlite_settings, Clock(), "")
    await it.start()
    try:
        yield it
    finally:
        await it.stop()
