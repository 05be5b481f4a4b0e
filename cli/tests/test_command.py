"""The real command against a scripted gateway: what no stack is needed for, and what a stack does only by accident."""

import json
import signal
import subprocess
import time
from typing import Any

import pytest
from typer.main import get_command

import dipeo_cli.main  # noqa: F401  # adds the commands to the app
from dipeo_cli.app import GROUPS, app

CASES = pytest.mark.parametrize


@pytest.fixture
def script(gateway: Any) -> Any:
    """A gateway on which a run of one node goes well."""

    def accepted(status: str) -> dict[str, Any]:
        return {"success": True, "envelope": None, "data": {"id": gateway.execution_id, "status": status}}

    gateway.answers = {
        "executeDiagram": accepted("PENDING"),
        "getExecution": gateway.execution(),
        "controlExecution": accepted("ABORTED"),
        "sendInteractiveResponse": accepted("RUNNING"),
    }
    started = [gateway.event(1, "EXECUTION_STARTED"), gateway.node(2, "NODE_STARTED", "Done")]
    gateway.scripts = [[*started, gateway.final(3)]]
    return gateway


def test_the_answer_is_on_stdout_and_progress_on_stderr(remote: Any, script: Any) -> None:
    done = remote("run", "ok", "-i", "topic=tea", "--mock-llm", "--answer", "Name=Ada")
    assert done.stdout == '✅ Execution Successful\n{\n  "sum": 5\n}\n'
    assert 'node "Done" started' in done.stderr
    assert done.returncode == 0
    _, variables = script.asked[0]
    sent = variables["input"]
    assert (sent["diagram_path"], sent["variables"]) == ("ok.light.yaml", {"topic": "tea"})
    expected = {
        "mock_llm": True,
        "keep_going": False,
        "interactive": False,
        "answers": {"Name": "Ada"},
        "timeout_s": 300,
    }
    assert sent["options"] == expected


def test_json_is_one_document_and_output_only_the_bare_result(remote: Any, script: Any) -> None:
    script.scripts *= 2
    verbose = json.loads(remote("run", "ok", "--json").stdout)
    assert (verbose["status"], verbose["final_output"], verbose["node_count"]) == ("completed", {"sum": 5}, 1)
    assert remote("run", "ok", "--output-only", "-q").stdout == '{\n  "sum": 5\n}\n'


def test_a_dropped_connection_is_taken_up_where_it_broke(remote: Any, script: Any) -> None:
    first, second = script.scripts[0][:2], script.scripts[0][2:]
    script.scripts = [first, second]
    done = remote("run", "ok")
    assert script.subscribed_from == [0, 2]
    assert done.stderr.count('node "Done" started') == 1
    assert done.returncode == 0


def test_an_invalid_diagram_shows_its_problems_and_stores_nothing(remote: Any, script: Any) -> None:
    problem = {"phase": "VALIDATION", "code": "V4", "severity": "error", "message": "no start node", "line": 1}
    script.answers["executeDiagram"] = {
        "success": False,
        "error": "the diagram is invalid: 1 error",
        "error_type": "DIAGRAM_INVALID",
        "envelope": {"errors": [problem], "warnings": []},
        "data": None,
    }
    text = remote("run", "ok")
    assert text.returncode == 1
    assert "error[V4]: no start node\n  --> ok.light.yaml:1" in text.stderr
    assert text.stdout == ""
    document = json.loads(remote("run", "ok", "--json").stdout)
    assert (document["error_code"], document["errors"]) == ("diagram_invalid", [problem])


def test_background_prints_exactly_one_line(remote: Any, script: Any) -> None:
    done = remote("run", "ok", "--background", "--debug")
    line = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert list(line) == ["session_id", "status"]
    assert line["session_id"] == script.asked[0][1]["input"]["execution_id"]
    assert "timeout_s" not in script.asked[0][1]["input"]["options"]


@CASES(
    ("code", "exit_code"),
    [("BAD_INPUT", 2), ("UNAUTHENTICATED", 4), ("FORBIDDEN", 4), ("INTERNAL", 3), ("NOT_FOUND", 1)],
)
def test_gateway_errors_become_exit_codes(remote: Any, script: Any, code: str, exit_code: int) -> None:
    script.answers["executeDiagram"] = {"errors": [{"message": "no", "extensions": {"code": code}}]}
    done = remote("run", "ok", "--json")
    assert done.returncode == exit_code
    assert json.loads(done.stdout)["error_code"] == code.lower()
    assert "error: no" in done.stderr


@CASES(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_aborts_the_run(remote: Any, script: Any, number: signal.Signals, exit_code: int) -> None:
    script.scripts = [
        [script.event(1, "EXECUTION_STARTED"), {"until": "never"}],
        [{"until": "controlExecution"}, script.final(2, "aborted")],
    ]
    with remote.start("run", "ok", "--progress", "plain", "--json") as process:
        assert "running" in process.stderr.readline()
        process.send_signal(number)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == exit_code
    assert json.loads(out)["error_code"] == "interrupted"
    assert ("controlExecution", "abort") in [(name, asked["input"].get("action")) for name, asked in script.asked[1:]]
    assert "Traceback" not in errors


def test_a_question_is_answered_by_the_next_line_of_a_pipe(remote: Any, script: Any) -> None:
    prompt = {"prompt_id": "p1", "prompt": "Name?", "default": "", "context": ""}
    script.scripts = [
        [
            script.node(1, "INTERACTIVE_PROMPT", "Ask", **prompt),
            {"until": "sendInteractiveResponse"},
            script.final(2),
        ]
    ]
    done = remote("run", "ok", stdin="Alice\n")
    assert done.returncode == 0
    assert "? Ask: Name?" in done.stderr
    answer = dict(script.asked)["sendInteractiveResponse"]["input"]
    assert (answer["response"], answer["metadata"]) == ("Alice", {"prompt_id": "p1"})


def test_one_of_its_options_answers_a_question_by_text_or_number_and_nothing_else_does(
    remote: Any, script: Any
) -> None:
    def asked(number: int) -> list[dict[str, Any]]:
        prompt = {"prompt_id": f"p{number}", "prompt": "Which?", "options": ["tea", "7 up"]}
        return [
            script.node(number, "INTERACTIVE_PROMPT", "Ask", **prompt),
            {"until": "sendInteractiveResponse"},
        ]

    script.scripts = [[*asked(1), script.final(2)]]
    done = remote("run", "ok", stdin="rum\n3\n\n2\n")
    assert done.returncode == 0, done.stderr
    assert "  1) tea\n  2) 7 up\n" in done.stderr
    refusals = [line.strip() for line in done.stderr.splitlines() if "is none of" in line]
    assert refusals == [f"{said} is none of tea, 7 up" for said in ("rum", "3", "that")]
    assert dict(script.asked)["sendInteractiveResponse"]["input"]["response"] == "7 up"


def test_a_question_closed_elsewhere_is_withdrawn_and_holds_nothing_up(remote: Any, script: Any) -> None:
    script.scripts = [
        [
            script.node(1, "INTERACTIVE_PROMPT", "Ask", prompt_id="p1", prompt="Name?"),
            script.node(2, "INTERACTIVE_RESPONSE", "Ask", prompt_id="p1", outcome="expired"),
            script.final(3),
        ]
    ]
    with remote.start("run", "ok", stdin=subprocess.PIPE) as process:  # open, and silent
        assert process.wait(timeout=20) == 0
        assert "is closed: expired" in process.stderr.read()


def test_failed_nodes_are_named_and_the_verdict_is_negative(remote: Any, script: Any) -> None:
    failed = {"id": "n", "label": "Boom", "type": "code_job", "error_type": "RuntimeError", "message": "kaboom"}
    script.answers["getExecution"] = script.execution("failed", error="kaboom", failed_nodes=[failed], result=None)
    done = remote("run", "ok")
    assert (done.returncode, done.stdout) == (1, "❌ Execution Failed\n")
    assert 'error: node "Boom" (code_job): RuntimeError: kaboom' in done.stderr


def test_a_handled_failure_is_a_success_with_a_warning(remote: Any, script: Any) -> None:
    failed = {"id": "n", "label": "Boom", "type": "code_job", "error_type": "", "message": "kaboom"}
    script.answers["getExecution"] = script.execution(failed_nodes=[failed])
    done = remote("run", "ok")
    assert done.returncode == 0
    assert "warning: 1 node failed" in done.stderr


def test_results_of_what_cannot_be_found_is_one_line(remote: Any, script: Any) -> None:
    script.answers["getExecution"] = None
    nobody = "exec_" + "0" * 32
    unknown = remote("results", nobody)
    expected = {"error": f"Execution not found: {nobody}", "session_id": nobody, "error_code": "not_found"}
    assert (unknown.returncode, json.loads(unknown.stdout)) == (1, expected)
    bad = remote("results", "exec_abc")
    assert bad.returncode == 1
    assert bad.stdout == ('{"error": "Invalid session_id format: exec_abc", "expected_format": "exec_[32-char-hex]"}\n')


def test_exit_status_tells_the_outcome(remote: Any, script: Any) -> None:
    for status, code in (("completed", 0), ("failed", 1), ("maxiter_reached", 1), ("running", 8)):
        script.answers["getExecution"] = script.execution(status)
        assert remote("results", script.execution_id, "--exit-status").returncode == code
        assert remote("results", script.execution_id).returncode == 0


def test_a_broken_pipe_is_quiet(remote: Any, gateway: Any) -> None:
    many = [gateway.execution(id=f"exec_{number:032x}") for number in range(1000)]
    gateway.answers = {"listExecutions": many}
    with remote.start("ps", "-q", "-n", "1000") as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == ""


# --- without any gateway ---------------------------------------------------------------------------------------------


def test_case_1_help_lists_the_commands_in_groups(dipeo: Any) -> None:
    done = dipeo("--help")
    assert done.returncode == 0
    shown = [each for each in get_command(app).commands.values() if not each.hidden]  # type: ignore[attr-defined]
    for command in shown:
        assert f"\n  {command.name} " in done.stdout
    assert [line for line in done.stdout.splitlines() if line.rstrip(":") in GROUPS] == [f"{name}:" for name in GROUPS]
    for old in ("run", "convert", "export", "stats", "metrics", "integrations", "compile", "list", "results"):
        assert old in [command.name for command in shown]
    assert dipeo().stdout == done.stdout


def test_case_2_version(dipeo: Any) -> None:
    assert dipeo("--version").stdout == dipeo("version").stdout == "dipeo 0.1.0\n"


@CASES(
    ("arguments", "said"),
    [
        (["runn", "x"], "Did you mean 'run'?"),  # case 3
        (["run"], "Missing argument 'DIAGRAM'"),  # case 4
        (["run", "ok", "--light", "--native"], "not allowed with"),  # case 5
        (["run", "ok", "--input-data", "{bad"], "line 1, column 2"),  # case 14
        (["run", "ok", "--input-data", "[1,2]"], "must be an object"),  # case 15
        (["run", "ok", "--inputs", "a.json", "--input-data", "{}"], "not allowed with"),  # case 16
        (["run", "ok", "--inputs", "missing.json"], "cannot read missing.json"),  # case 17
        (["compile"], "Either diagram path or --stdin is required"),  # case 38
        (["run", "ok", "--timeout", "0"], "--timeout"),
        (["run", "ok", "--nonsense"], "--nonsense"),
        (["-C", "nowhere", "ps"], "nowhere does not exist"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_why(dipeo: Any, arguments: list[str], said: str) -> None:
    done = dipeo(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(dipeo(*arguments, "--json").stdout)
    assert document["error_code"] == "usage"


def test_case_13_and_25_a_diagram_that_is_not_there(dipeo: Any) -> None:
    for arguments in (["run", "nosuch", "--light"], ["run", "nosuch", "--background"]):
        done = dipeo(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert "nosuch not found" in done.stderr
        assert str(dipeo.project) in done.stderr


def test_case_40_empty_standard_input(dipeo: Any) -> None:
    done = dipeo("compile", "--stdin", "--light", stdin="")
    assert done.returncode == 1
    assert "No content received from stdin" in done.stderr


def test_case_67_no_stack_and_none_may_be_started(dipeo: Any) -> None:
    for arguments in (["run", "ok"], ["ps"], ["compile", "ok"], ["results", "@last"], ["keys", "list"]):
        done = dipeo(*arguments, "--no-autostart")
        assert done.returncode == 3
        assert "no local stack is running" in done.stderr and str(dipeo.project.resolve()) in done.stderr
        assert "dipeo up" in done.stderr
    status = dipeo("status", "--json")
    assert status.returncode == 3
    assert json.loads(status.stdout) == {"running": False, "base": str(dipeo.project.resolve())}


def test_a_gateway_that_does_not_answer_is_exit_3(dipeo: Any) -> None:
    dipeo.environment["DIPEO_API_URL"] = "http://127.0.0.1:9"
    done = dipeo("ps", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error_code"] == "unavailable"
    assert "127.0.0.1:9" in done.stderr


def test_a_project_that_cannot_be_written_is_a_sentence(dipeo: Any) -> None:
    (dipeo.project / ".dipeo").rmdir()
    (dipeo.project / ".dipeo").write_text("a file where a folder should be")
    done = dipeo("up")
    assert done.returncode == 3
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_loads_none_of_the_heavy_modules(dipeo: Any) -> None:
    import sys

    program = "import dipeo_cli.main, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    for module in ("httpx2", "rich", "asyncio", "pydantic", "yaml", "orjson", "grpc", "dipeo_gateway", "dipeo_store"):
        assert module not in loaded


def test_a_mistake_of_ours_is_a_sentence_and_a_log(dipeo: Any, gateway: Any) -> None:
    dipeo.environment["DIPEO_API_URL"] = gateway.url
    gateway.answers = {"listExecutions": [{"id": 1}]}  # no gateway of ours answers like this
    begun = time.monotonic()
    done = dipeo("ps")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    log = dipeo.project / ".dipeo" / "logs" / "cli.log"
    assert str(log) in done.stderr
    assert "Traceback" in log.read_text()
    assert time.monotonic() - begun < 30
