"""Conformance cases of the command line (spec/cli.md §17), by number, through the whole stack."""

import json
import signal
import subprocess
import time
from typing import Any

SUCCESS = "✅ Execution Successful\n"
FAILED = "❌ Execution Failed\n"


def test_case_6_simple_report(house: Any) -> None:
    done = house("run", "ok.light.yaml", "--light", "--simple")
    assert done.code == 0
    assert done.out == f'{SUCCESS}\nOutputs:\n  Done: {{"sum": 5}}\n'


def test_case_7_8_9_result_on_stdout_however_it_is_named(house: Any) -> None:
    for arguments in (["ok.light.yaml", "--light"], ["ok", "--light"], ["ok.light.yaml"]):
        done = house("run", *arguments)
        assert done.code == 0
        assert done.out == SUCCESS + '{\n  "sum": 5\n}\n'
        assert 'node "Calc" completed' in done.err


def test_case_10_a_failed_node_fails_the_run(house: Any) -> None:
    done = house("run", "fail", "--light", "--simple")
    assert (done.code, done.out) == (1, FAILED)
    assert 'error: node "Boom" (code_job): RuntimeError: kaboom' in done.err
    going = house("run", "fail", "--keep-going")
    assert going.code == 0
    assert going.out.startswith(SUCCESS)
    assert "warning: 1 node failed" in going.err


def test_case_11_12_30_timeout(house: Any) -> None:
    begun = time.monotonic()
    done = house("run", "slow", "--light", "--timeout", "1")
    assert time.monotonic() - begun < 7
    assert (done.code, done.out) == (1, "❌ Execution timed out after 1 seconds\n")
    simple = house("run", "slow", "--timeout", "1", "--simple")
    assert simple.out.startswith("❌ Execution timed out after 1 seconds\n")
    stored = house("results", "@last")
    assert (stored.code, stored.json["status"]) == (0, "failed")
    assert stored.json["error"] == "Execution timed out after 1 seconds"
    assert stored.json["error_code"] == "timeout"
    assert house("results", "@last", "--exit-status").code == 1


def test_case_18_an_invalid_diagram_is_not_stored(house: Any) -> None:
    before = house("ps", "-q").out
    done = house("run", "bad", "--light")
    assert (done.code, done.out) == (1, "")
    assert "start" in done.err
    assert "bad.light.yaml" in done.err
    document = house("run", "bad", "--json")
    assert (document.code, document.json["error_code"]) == (1, "diagram_invalid")
    assert document.json["errors"]
    assert house("ps", "-q").out == before


def test_case_19_a_piped_line_is_the_answer(house: Any) -> None:
    done = house("run", "ask", "--light", "--json", stdin="Alice\n")
    assert done.code == 0
    assert done.json["outputs"]["Ask"] == "Alice"


def test_case_20_silence_ends_with_the_node_s_timeout(house: Any) -> None:
    begun = time.monotonic()
    with house.start("run", "ask", "--light", "--json", stdin=subprocess.PIPE) as process:
        out = process.stdout.read()  # ends although stdin stays open and silent
        assert process.wait(timeout=10) == 0
    assert 4 < time.monotonic() - begun < 9
    assert json.loads(out)["outputs"]["Ask"] == ""


def test_case_21_nobody_is_asked(house: Any) -> None:
    done = house("run", "ask", "--light", "--no-interactive", "--simple")
    assert done.code == 0
    assert "What is your name?" not in done.err
    answered = house("run", "ask_on", "--answer", "Ask=Bob", "--json")
    assert answered.json["outputs"]["Ask"] == "Bob"


def test_case_22_23_24_26_background(house: Any, eventually: Any) -> None:
    started = house("run", "brief", "--light", "--background", "--debug")  # case 26: nothing but the line
    assert started.code == 0
    assert started.out == json.dumps(started.json) + "\n"
    execution_id = started.json["session_id"]
    now = house("results", execution_id)
    assert (now.code, now.json["session_id"]) == (0, execution_id)
    assert now.json["status"] in ("pending", "running")
    assert house("results", execution_id, "--exit-status").code == 8
    assert house("watch", execution_id).out == SUCCESS + "rested\n"
    assert house("results", execution_id).json["final_output"] == "rested"
    assert house("results", execution_id, "--output-only").out == "rested\n"


def test_case_27_ctrl_c_cancels(house: Any) -> None:
    with house.start("run", "slow", "--progress", "plain") as process:
        while "started" not in (line := process.stderr.readline()) or "Nap" not in line:
            assert line, "the run ended before Nap started"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert "error: interrupted" in err
    assert house("results", "@last").json["status"] == "aborted"


def test_case_28_29_ids_that_name_nothing(house: Any) -> None:
    bad = house("results", "exec_abc")
    assert bad.code == 1
    assert bad.json == {"error": "Invalid session_id format: exec_abc", "expected_format": "exec_[32-char-hex]"}
    nobody = "exec_" + "0" * 32
    unknown = house("results", nobody)
    assert unknown.code == 1
    assert unknown.out.count("\n") == 1
    assert unknown.json["error"] == f"Execution not found: {nobody}"
    assert unknown.json["session_id"] == nobody


def test_case_31_verbose_results(house: Any) -> None:
    execution_id = house("run", "ok", "--json").json["session_id"]
    found = house("results", execution_id[:20], "--verbose").json
    assert len(found["executed_nodes"]) == 3
    assert found["outputs"]["Calc"] == {"sum": 5}
    assert [run["label"] for run in found["node_runs"]] == ["Start", "Calc", "Done"]
    assert {"sum": 5} in found["node_outputs"].values()
    assert found["started_at"].endswith("Z")
    assert found["node_count"] == 3


def test_case_36_compile_lists_every_problem(house: Any) -> None:
    done = house("compile", "bad", "--light", "--json")
    assert (done.code, done.json["valid"]) == (1, False)
    errors = " ".join(error["message"] for error in done.json["errors"])
    assert "start" in errors
    assert "person" in errors
    assert any("endpoint" in warning["message"] for warning in done.json["warnings"])


def test_case_37_39_46_a_valid_diagram(house: Any) -> None:
    said = "✅ Diagram compiled successfully: {}\n   Nodes: 3\n   Edges: 2\n"
    assert house("compile", "ok.light.yaml", "--light").out == said.format("ok.light.yaml")
    text = (house.base / "ok.light.yaml").read_text()
    assert house("compile", "--stdin", stdin=text).out == said.format("stdin")
    assert house("compile", "-", "--json", stdin=text).json["node_count"] == 3
    native = {
        "nodes": {
            "s": {"type": "start", "position": {"x": 0, "y": 0}, "data": {"label": "Start"}},
            "c": {"type": "code_job", "position": {"x": 1, "y": 0}, "data": {"label": "C", "code": "result = 1"}},
            "e": {"type": "endpoint", "position": {"x": 2, "y": 0}, "data": {"label": "Done"}},
        },
        "arrows": {
            "a1": {"source": "s_default_output", "target": "c_default_input"},
            "a2": {"source": "c_default_output", "target": "e_default_input"},
        },
        "handles": {},
        "persons": {},
    }
    house.write("ok.json", json.dumps(native))
    assert house("compile", "ok.json").out == said.format("ok.json")


def test_case_44_45_what_does_not_load_is_a_diagnostic(house: Any) -> None:
    zebra = house("compile", "unknown", "--light", "--json")
    assert (zebra.code, zebra.json["valid"]) == (1, False)
    problem = zebra.json["errors"][0]
    assert "zebra" in problem["message"]
    assert problem["line"] == 4
    syntax = house("compile", "syntax", "--light", "--json")
    assert (syntax.code, syntax.json["valid"]) == (1, False)
    assert syntax.json["errors"][0]["line"] and syntax.json["errors"][0]["column"]


def test_case_63_64_66_two_running_followed_and_cancelled(house: Any, eventually: Any) -> None:
    first, second = house.background("slow"), house.background("slow")
    listed = house("ps", "--json", "-n", "2")
    assert [each["session_id"] for each in listed.json] == [second, first]
    with house.start("logs", first, "-f") as process:
        while "Nap" not in process.stdout.readline():
            pass
        cancelled = house("cancel", first, second, "--reason", "enough")
        assert (cancelled.code, cancelled.out) == (0, "aborted\naborted\n")
        assert "run aborted" in process.communicate(timeout=20)[0]
        assert process.returncode == 0
    found = house("results", first, "--verbose").json
    assert found["status"] == "aborted"
    assert {run["label"]: run["status"] for run in found["node_runs"]}["Nap"] == "aborted"
    again = house("cancel", first)
    assert (again.code, again.out) == (0, "aborted\n")
    assert "ended already" in again.err


def test_case_68_no_escape_sequences_when_piped(house: Any) -> None:
    for settings in ({"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, {}):
        with house.start("run", "ok", "--light", env=house.environment | settings, stderr=subprocess.STDOUT) as process:
            both, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "\x1b" not in both


def test_case_70_ten_at_once(house: Any) -> None:
    house("up")
    processes = [house.start("run", "ok", "--light", "--json") for _ in range(10)]
    found = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert len({each["session_id"] for each in found}) == 10
    assert {each["status"] for each in found} == {"completed"}


def test_a_question_waits_and_is_answered_from_elsewhere(house: Any, eventually: Any) -> None:
    execution_id = house.background("ask_on")
    eventually(lambda: house("answer", execution_id).code == 0)
    assert house("answer", execution_id).out == "Ask: What is your name?\n"
    assert house("results", execution_id).json["waiting"] is True
    assert house("answer", execution_id, "Nobody", "x").code == 1
    assert house("answer", execution_id, "Ask", "Grace").code == 0
    assert house("watch", execution_id, "-q").out == SUCCESS + "Grace\n"
    nothing = house("answer", execution_id)
    assert (nothing.code, nothing.out) == (1, "")


def test_an_answer_that_is_no_option_is_refused_with_the_options_and_the_question_stays(
    house: Any, eventually: Any
) -> None:
    execution_id = house.background("choose")
    eventually(lambda: house("answer", execution_id).code == 0)
    assert house("answer", execution_id).out == "Choose: Which? (one of: tea, coffee)\n"
    refused = house("answer", execution_id, "rum")
    assert refused.code == 2 and '"Choose" is answered with one of tea, coffee' in refused.err
    assert house("answer", execution_id, "2").code == 0
    assert house("watch", execution_id, "-q").out == SUCCESS + "coffee\n"


def test_logs_are_one_array_or_lines(house: Any) -> None:
    execution_id = house("run", "ok", "--json").json["session_id"]
    events = house("logs", execution_id, "--json").json
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    lines = house("logs", execution_id, "-o", "ndjson").out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [event["seq"] for event in events]
    assert 'node "Calc" completed' in house("logs", execution_id).out
    assert house("logs", "exec_" + "0" * 32, "-f").code == 1


def test_variables_reach_the_diagram(house: Any) -> None:
    text = (house.base / "ok.light.yaml").read_text()
    house.write("sum.light.yaml", text.replace('{"sum": 2 + 3}', 'variables["a"] + variables["b"]["c"]'))
    house.write("given.json", '{"a": 1}')
    done = house("run", "sum", "--inputs", "given.json", "-i", 'b:={"c": 41}', "--output-only", "-q")
    assert done.out == "42\n"


def test_a_run_is_paused_and_resumed(house: Any, eventually: Any) -> None:
    gate = "import os, time\\nwhile not os.path.exists('gate'): time.sleep(0.01)"
    diagram = house.write(
        "gated.light.yaml",
        "version: light\nnodes:\n  - {label: S, type: start}\n"
        f'  - {{label: A, type: code_job, code: "{gate}"}}\n  - {{label: B, type: code_job, code: "result = 2"}}\n'
        "  - {label: E, type: endpoint}\n"
        "connections:\n  - {from: S, to: A}\n  - {from: A, to: B}\n  - {from: B, to: E}\n",
    )
    execution_id = house.background(diagram)
    never_paused = house("resume", execution_id)
    assert never_paused.code == 1 and "is not paused" in never_paused.err
    eventually(lambda: 'node "A" started' in house("logs", execution_id).out)
    pausing = house("pause", execution_id, "--reason", "lunch")
    assert (pausing.code, pausing.out) == (0, "running\n") and "once the nodes that run have ended" in pausing.err
    house.write("gate", "")
    eventually(lambda: house("pause", execution_id).out == "paused\n")
    assert [each["session_id"] for each in house("ps", "--status", "paused", "--json").json] == [execution_id]
    assert house("resume", execution_id, "--json").json["status"] in ("running", "completed")
    assert house("watch", execution_id, "-q").out == SUCCESS + "2\n"
    assert "run paused: lunch" in house("logs", execution_id).out


def test_a_failed_run_is_retried_and_printed_like_a_run(house: Any) -> None:
    diagram = house.write(
        "flaky.light.yaml",
        "version: light\nnodes:\n  - {label: S, type: start}\n"
        "  - {label: A, type: code_job, code: \"open('trace', 'a').write('A')\\nresult = 7\"}\n"
        "  - {label: B, type: code_job, code: \"import os\\nassert os.path.exists('fixed')\\nresult = default\"}\n"
        "  - {label: E, type: endpoint}\n"
        "connections:\n  - {from: S, to: A}\n  - {from: A, to: B}\n  - {from: B, to: E}\n",
    )
    assert house("run", diagram).code == 1
    house.write("fixed", "")
    done = house("retry", "@last")
    assert (done.code, done.out) == (0, SUCCESS + "7\n")
    assert 'from node "B"; 2 finished node runs are kept' in done.err
    assert (house.base / "trace").read_text() == "A"
    again = house("retry", "@last", "--from", "A", "--json").json
    assert (again["status"], again["final_output"]) == ("completed", 7)
    assert (house.base / "trace").read_text() == "AA"
    unknown = house("retry", "@last", "--from", "Z")
    assert unknown.code == 2 and 'no node "Z"' in unknown.err
