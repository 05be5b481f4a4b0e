from pathlib import Path

import pytest

from dipeo_cli import config
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
    assert hoisted(["run", "x", "-C", "dir", "--json", "--api-url=u", "-vv"]) == [
        *("-C", "dir", "--api-url=u", "-vv"),
        *("run", "x", "--json"),
    ]
    assert hoisted(["answer", "id", "--", "-C"]) == ["answer", "id", "--", "-C"]
