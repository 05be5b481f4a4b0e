"""The life of the local stack: one per project, started on demand, gone when useless (spec/cli.md §11.2)."""

import json
import signal
import socket
import stat
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest


def test_two_command_lines_at_once_start_one_stack(own_house: Any) -> None:
    processes = [own_house.start("run", "ok", "--json") for _ in range(4)]
    outcomes = [process.communicate(timeout=60) for process in processes]
    assert [json.loads(out)["status"] for out, _ in outcomes] == ["completed"] * 4
    log = (own_house.base / ".dipeo/logs/stack.log").read_text()
    assert log.count("gateway.ready") == 1


def test_up_status_down(own_house: Any) -> None:
    url = own_house("up").out.strip()
    status = own_house("status", "--json").json
    assert (status["running"], status["url"], status["base"]) == (True, url, str(own_house.base))
    assert status["pid"] == own_house.stack_pid()
    assert own_house("up").out.strip() == url
    assert own_house("status").code == 0
    assert own_house("down").code == 0
    assert own_house("down").code == 0
    assert own_house("status", "--json").json == {"running": False, "base": str(own_house.base)}
    assert not (own_house.base / ".dipeo/run/gateway.json").exists()


def test_secrets_are_for_the_owner_only(own_house: Any) -> None:
    own_house("up")
    for name in ("gateway.json", "token"):
        mode = stat.S_IMODE((own_house.base / ".dipeo/run" / name).stat().st_mode)
        assert mode == 0o600
    stranger = own_house("--api-url", own_house("status", "--json").json["url"], "--token", "guess", "ps")
    assert stranger.code == 4


def test_a_killed_stack_is_replaced(own_house: Any) -> None:
    own_house("up")
    pid = own_house.stack_pid()
    own_house.kill_stack()
    assert own_house("status").code == 3
    assert (own_house.base / ".dipeo/run/gateway.json").exists()  # stale, and nobody minds
    assert own_house("run", "ok").code == 0
    assert own_house.stack_pid() != pid


def test_case_69_a_run_survives_its_stack(own_house: Any) -> None:
    execution_id = own_house.background("brief")
    own_house.kill_stack()
    own_house("up")
    assert own_house("watch", execution_id, "-q").out == "✅ Execution Successful\nrested\n"


def test_a_command_line_follows_its_run_over_the_death_of_the_stack(own_house: Any) -> None:
    own_house("up")
    with own_house.start("run", "brief", "--progress", "plain") as process:
        while "Nap" not in process.stderr.readline():
            pass
        own_house.kill_stack()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "✅ Execution Successful\nrested\n"), err


def test_an_idle_stack_leaves(own_house: Any, eventually: Any) -> None:
    own_house.environment["DIPEO_IDLE_S"] = "0.4"
    own_house("up")
    eventually(lambda: not own_house.serves())  # asking the stack itself would keep it busy
    assert own_house("status").code == 3


def test_a_stack_with_work_stays(own_house: Any, eventually: Any) -> None:
    own_house.environment["DIPEO_IDLE_S"] = "2"  # time for the command to come back to the stack it started
    own_house.background("slow")
    eventually(lambda: not own_house.serves())
    runs = own_house("results", "@last", "--verbose").json["node_runs"]
    assert [(run["label"], run["status"], run["attempt"]) for run in runs][1] == ("Nap", "completed", 1)


@pytest.mark.parametrize("own_house", ["d" * 90], indirect=True)
def test_a_deep_project_has_its_sockets_elsewhere(own_house: Any) -> None:
    assert own_house("run", "ok").code == 0
    assert not list((own_house.base / ".dipeo/run").glob("*.sock"))


def test_an_older_stack_is_replaced_when_idle_and_named_when_busy(own_house: Any) -> None:
    own_house("up")
    described = own_house.base / ".dipeo/run/gateway.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"version": "0.0.9"}))
    idle = own_house("run", "ask_on", "--background")
    assert idle.code == 0
    assert "version 0.0.9" in idle.err
    described.write_text(json.dumps(json.loads(described.read_text()) | {"version": "0.0.9"}))
    busy = own_house("run", "ok")
    assert (busy.code, busy.out) == (3, "")
    assert "runs in progress" in busy.err
    assert "dipeo down && dipeo up" in busy.err


def test_a_start_that_fails_shows_the_end_of_the_log(own_house: Any) -> None:
    (own_house.base / ".dipeo").mkdir()
    (own_house.base / ".dipeo/data").write_text("a file where a folder should be")
    done = own_house("up")
    assert done.code == 3
    assert "did not start" in done.err
    assert "data" in done.err
    assert "stack.log" in done.err
    assert own_house("up", "--json").json["error_code"] == "unavailable"


@pytest.mark.parametrize("words", [["--host", "127.0.0.1", "--port"], ["--server", "--port"], ["serve", "--port"]])
def test_case_62_serve_until_sigterm_as_it_was_always_written(own_house: Any, words: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with own_house.start(*words, str(port)) as process:
        while "serving" not in process.stderr.readline():
            pass
        with urlopen(f"http://127.0.0.1:{port}/health") as health:
            assert health.status == 200
        second = own_house("serve")
        assert second.code == 1
        assert "running already" in second.err
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0


def test_a_taken_port_is_a_sentence(own_house: Any, taken_port: int) -> None:
    done = own_house("serve", "--port", str(taken_port))
    assert done.code == 1
    assert str(taken_port) in done.err
    assert "Traceback" not in done.err


@pytest.fixture
def hangs_up() -> Iterator[None]:
    """Under nohup the tests, and so the command, would ignore SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangs_up")
def test_hanging_up_detaches(own_house: Any) -> None:
    with own_house.start("run", "slow", "--progress", "plain") as process:
        while "Nap" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=20) == 128 + signal.SIGHUP
    assert own_house("watch", "@last", "-q").out == "✅ Execution Successful\nrested\n"
