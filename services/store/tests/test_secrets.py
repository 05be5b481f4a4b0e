"""Keys of other services: sealed at rest, revealed to executors only (spec/store.md §15.6, §20 case 29)."""

import pytest
from pydantic import SecretStr
from store_client import Store

from dipeo_kit import rpc
from dipeo_kit.errors import AlreadyExists, BadInput, Conflict, DataLoss, Forbidden, NotFound
from dipeo_kit.settings import SettingsInvalid
from dipeo_protos.store.v1 import content_pb2 as pb
from dipeo_store.settings import Settings

MASTER, OTHER = "0f" * 32, "1e" * 32
KEY = "sk-proj-4f9a8b7c6d5e4f3a2b1c"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"master_key": SecretStr(MASTER)})


@pytest.fixture
def sqlite_settings(sqlite_settings: Settings) -> Settings:
    return sqlite_settings.model_copy(update={"master_key": SecretStr(MASTER)})


async def _put(store: Store, label: str = "work", **fields) -> pb.Secret:
    request = pb.PutSecretRequest(**{"label": label, "service": "openai", "key": KEY} | fields)
    return (await rpc.call(store.stub.PutSecret, request)).secret


async def _list(store: Store, service: str = "") -> list[pb.Secret]:
    return list((await rpc.call(store.stub.ListSecrets, pb.ListSecretsRequest(service=service))).secrets)


async def _reveal(store: Store, reference: str, service: str = "", session_id: str = "") -> str:
    async with store.session() as session:
        request = pb.RevealSecretRequest(
            session_id=session_id or session.session_id, reference=reference, service=service
        )
        return (await rpc.call(store.stub.RevealSecret, request)).key


async def _delete(store: Store, reference: str) -> bool:
    return (await rpc.call(store.stub.DeleteSecret, pb.DeleteSecretRequest(secret_id=reference))).deleted


async def _restart_with(store: Store, master: str) -> None:
    await store.stop()
    store.settings = store.settings.model_copy(update={"master_key": SecretStr(master)})
    await store.start()


async def test_a_key_is_listed_without_itself_and_revealed_by_id_or_label(store: Store):
    made = await _put(store, service="OpenAI ", base_url="http://127.0.0.1:1/v1")
    assert made.secret_id.startswith("APIKEY_") and (made.service, made.last4) == ("openai", KEY[-4:])
    (listed,) = await _list(store)
    assert listed == made and not listed.HasField("used_at") and listed.base_url == "http://127.0.0.1:1/v1"
    assert await _reveal(store, made.secret_id) == KEY
    assert await _reveal(store, "work") == KEY
    assert (await _list(store))[0].HasField("used_at")
    assert await _list(store, "anthropic") == []


async def test_an_unknown_reference_falls_back_to_the_only_key_of_the_service(store: Store):
    await _put(store)
    assert await _reveal(store, "APIKEY_52609F", "openai") == KEY
    with pytest.raises(NotFound, match="APIKEY_52609F"):
        await _reveal(store, "APIKEY_52609F", "anthropic")
    with pytest.raises(NotFound):
        await _reveal(store, "APIKEY_52609F")
    with pytest.raises(NotFound):
        await _reveal(store, "work", "openai-compatible")  # that key is not meant for it
    await _put(store, "second")
    with pytest.raises(NotFound, match="2 are kept for openai"):
        await _reveal(store, "APIKEY_52609F", "openai")
    assert await _reveal(store, "second", "openai") == KEY


async def test_only_an_executor_with_a_live_session_is_told(store: Store):
    await _put(store)
    async with store.session() as session:
        gone = session.session_id
        await session.close()
    for session_id in ("0" * 32, gone):
        with pytest.raises(Forbidden):
            await _reveal(store, "work", session_id=session_id)
    with pytest.raises(Forbidden):
        await rpc.call(store.stub.RevealSecret, pb.RevealSecretRequest(reference="work"))


async def test_a_key_can_be_replaced_and_removed(store: Store):
    made = await _put(store)
    with pytest.raises(AlreadyExists, match='"work"'):
        await _put(store)
    again = await _put(store, secret_id=made.secret_id, key="another-key-0123")
    assert (again.created_at, again.last4) == (made.created_at, "0123")
    assert await _reveal(store, "work") == "another-key-0123"
    assert await _delete(store, "work") and not await _delete(store, "work")
    assert await _list(store) == []
    second = await _put(store)
    assert await _delete(store, second.secret_id)


@pytest.mark.parametrize(
    "fields", [{"label": " "}, {"service": ""}, {"key": ""}, {"key": " x"}, {"key": "x" * 20_000}, {"base_url": "ftp:"}]
)
async def test_what_is_no_key_is_refused_without_repeating_it(store: Store, fields: dict):
    with pytest.raises(BadInput) as caught:
        await _put(store, **fields)
    assert KEY not in str(caught.value)


async def test_nothing_of_a_short_key_is_shown(store: Store):
    assert (await _put(store, key="short")).last4 == ""


async def test_case_29_the_database_holds_no_key_in_the_clear(sqlite_store: Store):
    await _put(sqlite_store)
    assert await _reveal(sqlite_store, "work") == KEY
    folder = sqlite_store.settings.file.parent
    written = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"work" in written and KEY.encode() not in written and KEY[4:20].encode() not in written
    await sqlite_store.restart()
    assert await _reveal(sqlite_store, "work") == KEY
    written = b"".join(path.read_bytes() for path in folder.iterdir())
    assert KEY.encode() not in written


async def test_case_29_a_wrong_master_key_is_said(store: Store):
    await _put(store)
    await _restart_with(store, OTHER)
    with pytest.raises(Conflict, match="another master key") as caught:
        await _reveal(store, "work")
    assert caught.value.reason == "WRONG_MASTER_KEY"
    await _restart_with(store, "")
    assert len(await _list(store)) == 1
    with pytest.raises(Conflict, match="DIPEO_STORE_MASTER_KEY") as caught:
        await _put(store, "second")
    assert caught.value.reason == "NO_MASTER_KEY"
    await _restart_with(store, MASTER)
    assert await _reveal(store, "work") == KEY


@pytest.mark.parametrize("column", ["ciphertext", "service", "secret_id"])
async def test_case_29_a_tampered_key_is_refused(store: Store, column: str):
    await _put(store)
    await store.stop()
    ((value,),) = await store.sql(f"SELECT {column} FROM secrets")
    changed = f"'{value}x'"
    if column == "ciphertext":
        changed = store.literal(value[:20] + bytes([value[20] ^ 1]) + value[21:])
    await store.sql(f"UPDATE secrets SET {column} = {changed}")
    await store.start()
    with pytest.raises(DataLoss, match="changed in the database"):
        await _reveal(store, "work")


async def test_case_29_no_table_and_no_list_holds_a_key_in_the_clear(store: Store):
    put = await _put(store)
    assert await _reveal(store, "work") == KEY
    tables = [name for (name,) in await store.sql(TABLES[store.settings.is_postgres])]
    assert "secrets" in tables
    kept = "".join([repr(await store.sql(f"SELECT * FROM {table}")) for table in tables])
    said = f"{put} {await _list(store)}"
    assert "work" in kept and "work" in said
    for text in (KEY, KEY[4:20]):
        assert text not in kept and text.encode().hex() not in kept and text not in said


TABLES = {
    False: "SELECT name FROM sqlite_schema WHERE type = 'table'",
    True: "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
}


def test_the_master_key_may_stand_in_a_file(tmp_path, monkeypatch):
    file = tmp_path / "master.key"
    file.write_text(MASTER + "\n")
    monkeypatch.setenv("DIPEO_STORE_MASTER_KEY_FILE", str(file))
    settings = Settings.load()
    assert settings.safe().seal and MASTER not in repr(settings)
    file.write_text("too short")
    with pytest.raises(SettingsInvalid, match="32 bytes") as caught:
        Settings.load()
    assert "too short" not in str(caught.value)
    monkeypatch.setenv("DIPEO_STORE_MASTER_KEY", "not a key either")
    with pytest.raises(SettingsInvalid, match="DIPEO_STORE_MASTER_KEY:") as caught:
        Settings.load()
    assert "not a key either" not in str(caught.value)
