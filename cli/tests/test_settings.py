"""Where settings come from, and which gateway they choose."""

from pathlib import Path

import pytest

from dipeo_cli import config, contexts, settings
from dipeo_cli.errors import NotFound, Usage


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No environment, no files but the test's own."""
    for name in [variable for known in settings.KNOWN.values() for variable in known.env]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("DIPEO_API_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DIPEO_BASE_DIR", str(tmp_path))
    return tmp_path


def user(home: Path, text: str) -> None:
    (home / "home/dipeo").mkdir(parents=True, exist_ok=True)
    (home / "home/dipeo/config.toml").write_text(text)


def test_flag_environment_project_user_default_in_this_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def progress(**flags: str) -> tuple[settings.Value, str]:
        found = settings.resolve(home, flags)["progress"]
        return found.value, found.origin

    assert progress() == ("auto", "default")
    user(home, 'progress = "none"\n')
    assert progress() == ("none", str(home / "home/dipeo/config.toml"))
    (home / "pyproject.toml").write_text('[tool.dipeo]\nprogress = "json"\n')
    assert progress() == ("json", str(home / "pyproject.toml"))
    (home / "dipeo.toml").write_text('# ours\nprogress = "plain"\n')
    assert progress() == ("plain", str(home / "dipeo.toml"))
    monkeypatch.setenv("DIPEO_PROGRESS", "tty")
    assert progress() == ("tty", "environment DIPEO_PROGRESS")
    assert progress(progress="auto") == ("auto", "command line")


@pytest.mark.parametrize(
    ("variable", "text", "color"),
    [("NO_COLOR", "0", "never"), ("FORCE_COLOR", "1", "always"), ("DIPEO_COLOR", "always", "always")],
)
def test_the_usual_variables_decide_on_colour(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, color: str
) -> None:
    monkeypatch.setenv(variable, text)
    assert settings.resolve(home, {})["color"].value == color


@pytest.mark.parametrize(
    ("text", "said"),
    [("strict = 'yes'", "true or false"), ("color = 'red'", "auto, always or never"), ("color = ", "dipeo.toml")],
)
def test_a_setting_that_makes_no_sense_names_its_file(home: Path, text: str, said: str) -> None:
    (home / "dipeo.toml").write_text(text)
    with pytest.raises(Usage, match=said) as refused:
        settings.resolve(home, {})
    assert "dipeo.toml" in str(refused.value)


def test_setting_a_key_keeps_the_rest_of_the_file(home: Path) -> None:
    path = home / "dipeo.toml"
    path.write_text("# why\ntimeout = 10\n\n[other]\ntimeout = 1\n")
    settings.write(path, "timeout", "5m")
    settings.write(path, "strict", True)
    assert path.read_text() == '# why\ntimeout = "5m"\n\nstrict = true\n[other]\ntimeout = 1\n'


def test_a_context_is_a_gateway_with_its_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts.add("prod", "https://dipeo.example/", "secret")
    assert contexts.path().stat().st_mode & 0o777 == 0o600
    assert config.load().api_url == ""
    by_flag = config.load(config.Flags(context="prod"))
    assert (by_flag.api_url, by_flag.token) == ("https://dipeo.example", "secret")
    contexts.use("prod")
    assert config.load().api_url == "https://dipeo.example"
    assert config.load(config.Flags(context="local")).api_url == ""
    assert config.load(config.Flags(api_url="http://other:1")).api_url == "http://other:1"
    monkeypatch.setenv("DIPEO_CONTEXT", "nowhere")
    with pytest.raises(NotFound, match="nowhere"):
        config.load()
    with pytest.raises(Usage):
        config.load(config.Flags(api_url="http://other:1", context="prod"))
    contexts.remove("prod")
    assert contexts.load() == contexts.Book()


def test_a_project_file_never_gets_a_token_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloned project may point at a stranger's gateway."""
    monkeypatch.setenv("DIPEO_API_TOKEN", "secret")
    (home / "dipeo.toml").write_text('api_url = "https://stranger.example"\n')
    loaded = config.load()
    assert (loaded.api_url, loaded.token) == ("https://stranger.example", "")
    contexts.add("known", "https://stranger.example", "its own")
    assert config.load().token == "its own"
