"""doctor looks and changes nothing; version tells whom it talks to."""

import json
import sqlite3
from typing import Any


def states(done: Any) -> dict[str, str]:
    return {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"]}


def test_a_healthy_project_has_no_problem(dipeo: Any) -> None:
    done = dipeo("doctor", "--json")
    assert done.returncode == 0, done.stdout
    found = states(done)
    assert {"python", "versions", "project", "stack", "port", "store", "sandbox", "keys", "terminal"} <= found.keys()
    assert "problem" not in found.values()
    assert list((dipeo.project / ".dipeo").iterdir()) == []
    assert "✔ python" in dipeo("doctor").stdout


def test_a_damaged_store_is_a_problem_with_a_way_out(dipeo: Any) -> None:
    path = dipeo.project / ".dipeo/data/state.db"
    path.parent.mkdir()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    assert states(dipeo("doctor", "--json"))["store"] == "ok"
    path.write_bytes(b"this is no database at all, " * 100)
    done = dipeo("doctor")
    assert done.returncode == 1
    assert "error: store:" in done.stderr and "backup" in done.stderr


def test_keys_are_named_and_never_shown(dipeo: Any) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY", "OLLAMA_HOST"):
        dipeo.environment.pop(name, None)
    assert states(dipeo("doctor", "--json"))["keys"] == "warning"
    (dipeo.project / ".env").write_text("export OPENAI_API_KEY=sk-secret\n")
    done = dipeo("doctor", "--json")
    assert states(done)["keys"] == "ok"
    assert "OPENAI_API_KEY (.env)" in done.stdout and "sk-secret" not in done.stdout


def test_a_gateway_elsewhere_is_asked_and_its_silence_is_a_problem(remote: Any, gateway: Any) -> None:
    found = states(remote("doctor", "--json"))
    assert found["gateway"] == "ok" and "store" not in found
    remote.environment["DIPEO_API_URL"] = "http://127.0.0.1:9"
    done = remote("doctor")
    assert done.returncode == 1 and "127.0.0.1:9 does not answer" in done.stderr


def test_version_tells_that_of_the_gateway_and_whether_it_fits(dipeo: Any, remote: Any, gateway: Any) -> None:
    gateway.version = "9"
    found = json.loads(remote("version", "--json").stdout)
    assert found["gateway"] == {"url": gateway.url, "version": "9"}
    assert found["compatible"] is False
    del remote.environment["DIPEO_API_URL"]
    alone = json.loads(dipeo("version", "--json").stdout)
    assert (alone["gateway"], alone["compatible"], alone["version"]) == (None, None, "0.1.0")
