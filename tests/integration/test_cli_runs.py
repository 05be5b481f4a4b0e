"""Commands about runs, through the whole stack: wait, show, ps, logs, results, cancel, and the options of run."""

import json
import time
from typing import Any

import pytest
from command import chain

NOBODY = "exec_" + "0" * 32
HANDLED = chain(
    "{label: Boom, type: code_job, language: python, on_error: continue, code: 'raise RuntimeError(\"kaboom\")'}",
    "{label: Nap, type: code_job, language: bash, code: 'sleep 3; echo rested'}",
)


def test_case_65_wait_gives_up_in_time_and_later_tells_the_outcome(house: Any) -> None:
    execution_id = house.background("brief")
    begun = time.monotonic()
    early = house("wait", execution_id, "--timeout", "0.2")
    assert (early.code, early.out) == (124, "")
    assert "still running" in early.err
    assert time.monotonic() - begun < 2
    later = house("wait", execution_id)
    assert (later.code, later.out, later.err) == (0, "", "")
    failed = house.background("fail")
    both = house("wait", execution_id, failed, "--json")
    assert both.code == 1
    assert [each["status"] for each in both.json] == ["completed", "failed"]
    assert house("wait", NOBODY).code == 1


def test_show_tells_people_what_happened(house: Any) -> None:
    done = house("run", "fail", "--name", "the sad one", "--label", "kind=test", "--json").json
    shown = house("show", done["session_id"]).out
    for words in ("status:   failed", "name:     the sad one", "kind=test", "Boom", "kaboom"):
        assert words in shown
    rows = house("show", house("run", "ok", "--json").json["session_id"]).out.splitlines()
    calc = next(row.split() for row in rows if row.startswith("Calc"))
    assert calc[1:4] == ["code_job", "1", "completed"]
    assert rows[-4:] == ["result:", "{", '  "sum": 5', "}"]


def test_runs_are_found_by_name_label_status_and_time(house: Any) -> None:
    tea = house("run", "ok", "--name", "tea", "--label", "team=a", "--label", "kind=x", "--json").json["session_id"]
    house("run", "ok", "--label", "team=a", "--json", check=0)
    bad = house("run", "fail", "--label", "team=a", "--json").json["session_id"]
    assert house("ps", "--label", "team=a", "--label", "kind=x", "-q").out == f"{tea}\n"
    assert house("ps", "--name", "tea", "-q").out == f"{tea}\n"
    assert house("ps", "--label", "team=a", "--status", "failed", "-q").out == f"{bad}\n"
    assert len(house("ps", "--label", "team=a", "-q").out.split()) == 3
    assert house("ps", "--label", "team=a", "--since", "1h", "-q").out.split()[-1] == tea
    assert house("ps", "--since", "2100-01-01", "-q").out == ""
    assert house("ps", "--all", "-q").out.count("\n") >= 3
    assert house("ps", "--since", "yesterday").code == 2
    listed = house("ps", "--label", "kind=x", "--json").json[0]
    assert (listed["name"], listed["labels"]) == ("tea", {"team": "a", "kind": "x"})
    assert "kind=x" in house("ps", "--label", "kind=x").out
    assert "terminal" in house("ps", "--watch").err


def test_logs_are_filtered_by_node_level_time_and_number(house: Any) -> None:
    execution_id = house("run", "fail", "--json").json["session_id"]
    only = house("logs", execution_id, "--node", "Boom").out.splitlines()
    assert only and all("Boom" in line for line in only)
    worst = house("logs", execution_id, "--level", "error", "--json").json
    assert {event["type"] for event in worst} == {"NODE_ERROR", "EXECUTION_ERROR"}
    assert house("logs", execution_id, "--tail", "1").out.endswith("run failed\n")
    assert house("logs", execution_id, "--tail", "1", "-f").out.endswith("run failed\n")
    assert house("logs", execution_id, "--since", "2100-01-01").out == ""
    everything = house("logs", execution_id, "--events", "--timestamps").out.splitlines()
    assert len(everything) == len(house("logs", execution_id, "--json").json)
    assert everything[0].split()[0].endswith("Z") and "execution.created" in everything[0]
    assert house("logs", execution_id, "--level", "loud").code == 2


def test_results_wait_filter_and_speak_yaml(house: Any) -> None:
    execution_id = house.background("brief")
    assert house("results", execution_id, "--wait=0.1").code == 124
    assert house("results", execution_id, "--wait", "--output-only").out == "rested\n"
    assert house("results", execution_id, "--node", "Nap").out == "rested\n"
    missing = house("results", execution_id, "--node", "Nope")
    assert (missing.code, missing.json["error_code"]) == (1, "not_found")
    assert "Nap" in missing.err
    assert "status: completed" in house("results", execution_id, "--format", "yaml").out
    assert house("results", execution_id, "--format", "text").out.startswith("id:")
    assert house("results", execution_id, "--jq", ".status").out == "completed\n"
    assert house("ps", "--json", "--jq", ".[0].session_id").out.startswith("exec_")
    assert house("results", execution_id, "--jq", ".[").code == 2


def test_everything_in_progress_is_cancelled_at_once_if_one_says_yes(own_house: Any) -> None:
    runs = {own_house.background("slow"), own_house.background("slow")}
    assert own_house("cancel", "--all-running").code == 2
    assert own_house("cancel").code == 2
    assert own_house("cancel", runs.pop(), "--all-running").code == 2
    done = own_house("cancel", "--all-running", "--yes")
    assert done.code == 0
    assert sorted(line.split()[1] for line in done.out.splitlines()) == ["aborted", "aborted"]
    none = own_house("cancel", "--all-running", "--json")
    assert (none.code, none.json) == (0, [])


def test_strict_counts_a_handled_failure_and_fail_fast_ends_at_it(house: Any) -> None:
    house.write("handled.light.yaml", HANDLED.replace("sleep 3; ", ""))
    assert house("run", "handled").code == 0
    assert house("run", "handled", "--strict").code == 1
    house.environment["DIPEO_STRICT"] = "1"
    assert house("run", "handled").code == 1
    del house.environment["DIPEO_STRICT"]
    house.write("handled.light.yaml", HANDLED)
    begun = time.monotonic()
    fast = house("run", "handled", "--fail-fast", "--json")
    assert (fast.code, fast.json["status"]) == (1, "aborted")
    assert time.monotonic() - begun < 3
    assert "Boom" in fast.json["error"]


def test_what_is_printed_and_where_it_is_kept(house: Any) -> None:
    every = house("run", "ok", "--outputs", "all").out.partition("\n")[2]
    assert json.loads(every) == {"Start": {}, "Calc": {"sum": 5}, "Done": {"sum": 5}} | {
        "Start": json.loads(every)["Start"]
    }
    assert house("run", "ok", "--outputs", "none").out == "✅ Execution Successful\n"
    assert house("--no-emoji", "run", "ok", "--outputs", "none").out == "OK: Execution Successful\n"
    house("run", "ok", "--save", "kept.json", check=0)
    assert json.loads((house.base / "kept.json").read_text()) == {"sum": 5}
    lost = house("run", "ok", "--save", "no/such/folder.json")
    assert lost.code == 1
    assert "--output-only" in lost.err
    before = house("ps", "-q").out
    assert house("run", "ok", "--validate-only").out.startswith("✅ Diagram compiled successfully")
    assert house("run", "bad", "--dry-run").code == 1
    assert house("ps", "-q").out == before


@pytest.mark.parametrize("word", ["open", "monitor"])
def test_the_address_of_the_page_is_printed(house: Any, word: str) -> None:
    url = house("up").out.strip()
    assert house(word, "--no-browser").out == f"{url}/\n"
    execution_id = house("run", "ok", "--json").json["session_id"]
    assert house(word, execution_id, "--no-browser").out == f"{url}/?execution={execution_id}\n"
    assert house(word, "ok", "--no-browser").out == f"{url}/?diagram=ok.light.yaml\n"
    assert house(word, "nothing", "--no-browser").code == 1


def test_colour_only_where_it_is_wanted(house: Any) -> None:
    assert "\x1b" not in house("results", "exec_abc").err
    assert house("results", "exec_abc", "--color", "always").err.startswith("\x1b[31merror:\x1b[0m")
    house.environment["NO_COLOR"] = "1"
    assert "\x1b" not in house("results", "exec_abc").err
    assert "\x1b" in house("results", "exec_abc", "--color", "always").err
    del house.environment["NO_COLOR"]


@pytest.mark.parametrize("template", ["hello", "code", "branch", "ask"])
def test_a_new_diagram_runs_as_it_is(house: Any, template: str) -> None:
    name = house("new", f"first_{template}", "--template", template, check=0).out.strip()
    assert house("run", name, "--mock-llm", "--no-interactive").code == 0
    assert house("new", f"first_{template}").code == 1
    assert house("new", "x", "--template", "nothing").code == 2


def test_completion_knows_the_runs_and_nodes_of_a_live_stack(house: Any) -> None:
    execution_id = house("run", "ok", "--name", "for the shell", "--json").json["session_id"]
    offered = house("complete-line", f"dipeo results {execution_id[:12]}").out
    assert f"{execution_id}\tcompleted for the shell\n" in offered
    assert house("complete-line", f"dipeo logs {execution_id} --node C").out == "Calc\tcode_job\n"
    assert "Calc\tcode_job\n" in house("complete-line", "dipeo logs @last --node ").out


def test_doctor_of_a_running_stack(house: Any) -> None:
    house("up")
    found = {check["name"]: check for check in house("doctor", "--json").json["checks"]}
    assert found["stack"]["state"] == "ok" and str(house.stack_pid()) in found["stack"]["found"]
    assert found["store"]["found"].endswith("in use") or "no runs yet" in found["store"]["found"]
    version = house("version", "--json").json
    assert version["compatible"] is True and version["gateway"]["version"] == version["version"]


def test_a_script_answers_for_every_person_and_what_is_wrong_with_it_is_told(house: Any) -> None:
    person = "persons:\n  Ada: {service: openai, model: gpt-4o-mini}\n"
    asking = "{label: Ask, type: person_job, person: Ada, default_prompt: about tea, max_iteration: 1}"
    name = house.write("scripted.light.yaml", chain(asking) + person)

    def run(script: str, text: str) -> Any:
        return house("run", name, "--output-only", "--mock-llm-file", house.write(script, text))

    assert (
        run("script.yaml", "- {contains: coffee, reply: no}\n- {node: Ask, reply: a green one}\n").out
        == "a green one\n"
    )
    assert run("script.json", '[{"person": "Ada", "reply": {"score": 3}}]').out == '{"score": 3}\n'
    for script, text, words in (
        ("wrong.yaml", "- {node: Ask, answer: x}", "rule 1 answer"),
        ("map.yaml", "reply: x", "must be a list of rules"),
        ("broken.json", "[{", "--mock-llm-file"),
        ("status.yaml", "- {status: 200}", "rule 1 status"),
    ):
        refused = run(script, text)
        assert refused.code in (1, 2) and refused.out == "" and words in refused.err, refused
    missing = house("run", name, "--mock-llm-file", "none.yaml")
    assert missing.code == 2 and "none.yaml" in missing.err
