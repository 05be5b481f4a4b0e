from pathlib import Path

import pytest
from typer.main import get_command

from dipeo_cli import config
from dipeo_cli.app import app
from dipeo_cli.errors import Usage
from dipeo_cli.main import hoisted


def test_the_project_root_is_the_nearest_marked_ancestor(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert config.find_base("", deep) == deep
    (tmp_path / "a" / "dipeo.toml").touch()
    assert config.find_base("", deep) == tmp_path / "a"
    (deep / ".dipeo").mkdir()
    assert config.find_base("", deep) == deep
    assert config.find_base("..", deep) == tmp_path / "a"


def test_a_project_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="does not exist"):
        config.find_base("nowhere", tmp_path)


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DIPEO_API_URL", "http://env:1/")
    monkeypatch.setenv("DIPEO_AUTOSTART", "0")
    monkeypatch.setenv("DIPEO_BASE_DIR", str(tmp_path))
    assert config.load().api_url == "http://env:1"
    loaded = config.load(config.Flags(api_url="http://flag:2"))
    assert (loaded.api_url, loaded.base, loaded.autostart) == ("http://flag:2", tmp_path.resolve(), False)


def test_global_options_work_before_and_after_the_command() -> None:
    program = get_command(app)
    assert hoisted(["run", "x", "-C", "dir", "--json", "--api-url=u", "-vv", "-o", "yaml"], program) == [
        *("-C", "dir", "--api-url=u", "-vv", "-o", "yaml"),
        *("run", "x", "--json"),
    ]
    assert hoisted(["run", "--", "-C"], program) == ["run", "--", "-C"]


def test_an_option_that_the_command_has_itself_is_left_to_it() -> None:
    program = get_command(app)
    for line in (["graph", "x", "-o", "file"], ["ps", "-q"], ["integrations", "openapi-import", "x", "--output", "d"]):
        assert hoisted(line, program) == line
    assert hoisted(["keys", "list", "-q"], program) == ["-q", "keys", "list"]
