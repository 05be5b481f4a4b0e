"""init, config and context as commands; none of them needs a stack."""

import json
import tomllib
from typing import Any


def test_init_makes_a_project_and_overwrites_nothing(dipeo: Any) -> None:
    (dipeo.project / ".gitignore").write_text("*.pyc")
    first = dipeo("init")
    assert first.stdout.split() == ["dipeo.toml", ".gitignore", "hello.light.yaml"]
    assert (dipeo.project / ".gitignore").read_text() == "*.pyc\n.dipeo/\n"
    assert tomllib.loads((dipeo.project / "dipeo.toml").read_text()) == {}
    (dipeo.project / "hello.light.yaml").write_text("mine")
    again = dipeo("init", "--json")
    assert json.loads(again.stdout)["created"] == []
    assert (dipeo.project / "hello.light.yaml").read_text() == "mine"


def test_config_is_set_for_the_project_or_the_user_and_says_where_it_comes_from(dipeo: Any) -> None:
    assert dipeo("config", "set", "timeout", "5m").returncode == 0
    assert dipeo("config", "set", "progress", "plain", "--user").returncode == 0
    assert dipeo("config", "get", "timeout").stdout == "5m\n"
    listed = dipeo("config", "list", "--show-origin").stdout
    assert f"({dipeo.project / 'dipeo.toml'})" in next(line for line in listed.splitlines() if "timeout" in line)
    found = json.loads(dipeo("config", "list", "--show-origin", "--json").stdout)
    assert found["progress"] == {"value": "plain", "origin": str(dipeo.project / ".config/dipeo/config.toml")}
    assert found["autostart"] == {"value": False, "origin": "environment DIPEO_AUTOSTART"}
    assert "all the same" in dipeo("config", "set", "autostart", "true").stderr
    for wrong in (["set", "timeouts", "1"], ["set", "strict", "perhaps"], ["get", "nothing"]):
        assert dipeo("config", *wrong).returncode == 2


def test_contexts_are_listed_without_their_tokens(dipeo: Any) -> None:
    assert (
        dipeo("context", "add", "prod", "--url", "http://127.0.0.1:9", "--token", "-", stdin="secret\n").returncode == 0
    )
    assert dipeo("context", "use", "prod").returncode == 0
    kept = json.loads((dipeo.project / ".config/dipeo/contexts.json").read_text())
    assert kept["contexts"]["prod"] == {"url": "http://127.0.0.1:9", "token": "secret"}
    listed = dipeo("context", "list", "--json")
    assert [(each["name"], each["active"]) for each in json.loads(listed.stdout)] == [("local", False), ("prod", True)]
    assert "secret" not in listed.stdout + dipeo("context", "list").stdout
    assert "127.0.0.1:9" in dipeo("ps").stderr
    assert "no local stack" in dipeo("ps", "--context", "local").stderr
    dipeo.environment["DIPEO_CONTEXT"] = "local"
    assert "no local stack" in dipeo("ps").stderr
    assert dipeo("context", "remove", "prod").returncode == 0
    assert dipeo("context", "use", "prod").returncode == 1
    assert dipeo("context", "add", "x y", "--url", "http://a").returncode == 2
    assert dipeo("context", "add", "x", "--url", "a").returncode == 2
