"""Settings fail at start and name the variable."""

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from dipeo_kit.settings import ServiceSettings, SettingsInvalid


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DIPEO_TEST_", frozen=True)

    port: int = 1
    name: str = Field(default="x", max_length=3)


def test_the_environment_is_read_with_the_prefix(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DIPEO_TEST_PORT", "7")
    assert Settings.load().port == 7


def test_a_wrong_value_names_its_variable_and_ends_the_process_with_2(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DIPEO_TEST_PORT", "many")
    with pytest.raises(SettingsInvalid, match=r"DIPEO_TEST_PORT: .*integer") as caught:
        Settings.load()
    assert caught.value.code == 2
