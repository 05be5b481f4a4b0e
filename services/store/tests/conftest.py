from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from store_client import Clock, Store

from dipeo_kit import rpc
from dipeo_store.main import Settings


def _sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'data' / 'state.db'}"


BACKENDS: dict[str, Callable[[Path], str]] = {"sqlite": _sqlite}


@pytest.fixture(params=BACKENDS)
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("s", numbered=True)  # short: a socket path has at most 107 bytes
    return Settings(url=BACKENDS[request.param](folder), listen=f"unix:{folder / 'store'}", grace_s=1)


@pytest.fixture(params=["", rpc.INPROCESS], ids=["socket", "inprocess"])
async def store(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    it = Store(settings, Clock(), request.param)
    await it.start()
    try:
        yield it
    finally:
        await it.stop()
