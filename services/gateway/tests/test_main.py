"""Settings, the token file, taken ports, and how long the gateway takes to import."""

import subprocess
import sys

import httpx2
import pytest

from dipeo_gateway.main import running
from dipeo_gateway.settings import Settings
from dipeo_kit import errors
from dipeo_kit.settings import SettingsInvalid


async def test_health_names_service_version_and_base(house):
    health = (await house.http.get("/health")).json()
    assert health | {"status": "ok", "service": "dipeo-gateway", "base": house.settings.base} == health
    assert health["version"]


async def test_a_taken_port_is_said_in_a_sentence(house):
    taken = house.gateway.url.removeprefix("http://")
    with pytest.raises(errors.Unavailable, match=rf"cannot listen on {taken}: .* choose another port"):
        async with running(house.settings.model_copy(update={"listen": taken})):
            pass


@pytest.mark.parametrize("listen", ["8000", "localhost:", "x:y", "127.0.0.1:99999"])
async def test_an_address_that_is_none_is_said_in_a_sentence(listen):
    with pytest.raises(errors.DipeoError, match="listen"):
        async with running(Settings(listen=listen)):
            pass


async def test_case_20_an_open_address_without_a_token_refuses_to_start(house):
    settings = house.settings.model_copy(update={"listen": "0.0.0.0:0"})
    with pytest.raises(errors.BadInput, match="DIPEO_GATEWAY_TOKEN"):
        async with running(settings):
            pass
    guarded = Settings(**{**settings.model_dump(), "token": "t"})
    async with running(guarded):
        pass


async def test_a_token_file_is_created_once_for_its_owner_only(house, tmp_path):
    path = tmp_path / "run" / "token"
    settings = house.settings.model_copy(update={"token_file": path})
    for _ in range(2):
        async with running(settings) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
            token = path.read_text()
            answers = [
                await http.post("/graphql", json={"query": "{ healthCheck }"}, headers=headers)
                for headers in ({}, {"Authorization": f"Bearer {token}"})
            ]
            assert [answer.status_code for answer in answers] == [401, 200]
    assert len(token) >= 32
    assert path.stat().st_mode & 0o777 == 0o600


async def test_an_empty_token_file_is_refused(house, tmp_path):
    path = tmp_path / "token"
    path.write_text("\n")
    with pytest.raises(errors.BadInput, match="is empty"):
        async with running(house.settings.model_copy(update={"token_file": path})):
            pass


def test_settings_come_from_the_environment(monkeypatch, tmp_path, capsys):
    for name, value in {"ORIGINS": "https://a.example, https://b.example", "HOSTS": "", "TOKEN": "s3cret"}.items():
        monkeypatch.setenv(f"DIPEO_GATEWAY_{name}", value)
    monkeypatch.setenv("DIPEO_BASE_DIR", str(tmp_path))
    settings = Settings.load()
    assert (settings.origins, settings.hosts) == (("https://a.example", "https://b.example"), ())
    assert settings.base == str(tmp_path)
    assert "s3cret" not in repr(settings)
    monkeypatch.setenv("DIPEO_GATEWAY_DRAIN_S", "soon")
    with pytest.raises(SettingsInvalid, match="DIPEO_GATEWAY_DRAIN_S"):
        Settings.load()
    assert "DIPEO_GATEWAY_DRAIN_S" in capsys.readouterr().err


def test_importing_the_gateway_loads_no_client_and_no_second_socket_library():
    loaded = "import sys, dipeo_gateway.main; print({'jinja2', 'httpx2', 'websockets'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"
