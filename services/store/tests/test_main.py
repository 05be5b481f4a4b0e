"""Starting and refusing to start: every refusal is a sentence that names the file."""

import asyncio
import sqlite3
import subprocess
import sys

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from store_client import Store

from dipeo_kit import rpc
from dipeo_kit.errors import Unavailable
from dipeo_kit.settings import SettingsInvalid
from dipeo_store.main import running
from dipeo_store.settings import Settings


async def _refusal(settings: Settings) -> str:
    with pytest.raises(Unavailable) as caught:
        async with running(settings):
            pass
    return str(caught.value)


async def test_health_says_serving(store: Store):
    async with rpc.open_channel(store.address) as channel:
        request = health_pb2.HealthCheckRequest(service="dipeo.store.v1.StoreService")
        answer = await health_pb2_grpc.HealthStub(channel).Check(request)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_second_store_on_the_same_file_is_refused(sqlite_store: Store, sqlite_settings: Settings):
    message = await _refusal(sqlite_settings.model_copy(update={"listen": sqlite_settings.listen + ".second"}))
    assert str(sqlite_settings.file) in message and "in use by another store" in message


async def test_a_file_owned_by_another_process_is_refused(sqlite_settings: Settings):
    sqlite_settings.file.parent.mkdir(parents=True)
    script = (
        f"import fcntl, sys; f = open({str(sqlite_settings.file) + '.lock'!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
    )
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script + "print('owned', flush=True); sys.stdin.read()",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert owner.stdout and await owner.stdout.readline() == b"owned\n"
    try:
        assert "in use by another store" in await _refusal(sqlite_settings)
    finally:
        await owner.communicate(b"")
    async with running(sqlite_settings):
        pass


async def test_a_file_that_is_no_database_is_named(sqlite_settings: Settings):
    sqlite_settings.file.parent.mkdir(parents=True)
    sqlite_settings.file.write_bytes(b"a letter to grandmother\n" * 200)
    message = await _refusal(sqlite_settings)
    assert str(sqlite_settings.file) in message and "damaged" in message


async def test_a_folder_that_cannot_be_made_is_named(sqlite_settings: Settings):
    sqlite_settings.file.parent.parent.mkdir(exist_ok=True)
    sqlite_settings.file.parent.write_text("a file where the folder should be")
    message = await _refusal(sqlite_settings)
    assert str(sqlite_settings.file) in message and "may write to" in message


async def test_a_taken_address_is_a_sentence(sqlite_store: Store, sqlite_settings: Settings, tmp_path):
    taken = sqlite_settings.model_copy(update={"url": f"sqlite:///{tmp_path}/other.db", "listen": "127.0.0.1:0"})
    async with running(taken) as address:
        again = sqlite_settings.model_copy(update={"url": f"sqlite:///{tmp_path}/third.db", "listen": address})
        assert address in await _refusal(again)


def test_a_wrong_setting_names_its_variable(monkeypatch):
    monkeypatch.setenv("DIPEO_STORE_URL", "mysql://x")
    monkeypatch.setenv("DIPEO_STORE_LOST_S", "soon")
    with pytest.raises(SettingsInvalid) as caught:
        Settings.load()
    assert "DIPEO_STORE_URL" in str(caught.value) and "DIPEO_STORE_LOST_S" in str(caught.value)


@pytest.mark.parametrize(("heartbeat_s", "lost_s"), [("5", "5"), ("10", "2")])
def test_executors_are_heard_before_they_are_lost(monkeypatch, heartbeat_s: str, lost_s: str):
    monkeypatch.setenv("DIPEO_STORE_HEARTBEAT_S", heartbeat_s)
    monkeypatch.setenv("DIPEO_STORE_LOST_S", lost_s)
    with pytest.raises(SettingsInvalid, match=r"^DIPEO_STORE_LOST_S is .*DIPEO_STORE_HEARTBEAT_S"):
        Settings.load()


def test_relative_and_absolute_files():
    assert str(Settings(url="sqlite:///a/b.db").file) == "a/b.db"
    assert str(Settings(url="sqlite:////a/b.db").file) == "/a/b.db"


async def test_the_wire_id_and_status_of_executions_can_be_read_from_outside(
    sqlite_store: Store, sqlite_settings: Settings
):
    execution_id = (await sqlite_store.create()).execution.execution_id
    db = sqlite3.connect(f"file:{sqlite_settings.file}?mode=ro", uri=True)
    assert db.execute("SELECT execution_id, status FROM executions").fetchall() == [(execution_id, "pending")]
    db.close()


def test_importing_the_service_loads_nothing_heavy():
    heavy = {"asyncpg", "pydantic_ai", "openai", "jinja2", "mcp", "fastapi", "strawberry"} | {
        "httpx2",
        "opentelemetry.sdk",
    }
    script = f"import sys, dipeo_store.main; print(sorted({heavy!r} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"
