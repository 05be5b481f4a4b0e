"""Options that belong to many commands, and those of run and compile that change what is done (spec/cli.md §14)."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from command import Project, chain

SUCCESS = "✅ Execution Successful\n"
OK = "ok.light.yaml"


def test_one_answer_in_four_forms(house: Project) -> None:
    execution_id = house.json("run", "ok", "-o", "json", "-q")["session_id"]
    assert house("run", "ok", "-o", "raw", "-q").json == {"sum": 5}
    listed = yaml.safe_load(house("-o", "yaml", "ps", "-n", "2").out)
    assert [it["status"] for it in listed] == ["completed", "completed"]
    lines = house("ps", "-n", "2", "--output=ndjson").out.splitlines()
    assert json.loads(lines[1])["session_id"] == execution_id
    house.environment["DIPEO_OUTPUT"] = "json"
    try:
        assert house.json("stats", OK)["edges"] == 2
        wrong = house("stats", "nothing")
        assert (wrong.code, wrong.json["error_code"]) == (1, "not_found")
        assert house("graph", OK, "-o", "drawn.txt").out == ""
    finally:
        del house.environment["DIPEO_OUTPUT"]
    assert "Calc" in (house.base / "drawn.txt").read_text()
    assert house("ps", "-o", "xml").code == 2


def test_quiet_leaves_out_everything_but_errors(house: Project) -> None:
    for command in (["new", "hushed", "-q"], ["-q", "keys", "list"], ["integrations", "list", "-q"]):
        assert house(*command).err == "", command
    assert house("run", "ok", "--quiet").err == ""
    assert "error:" in house("-q", "run", "fail").err


def test_events_of_a_run_are_streamed_as_lines(house: Project) -> None:
    execution_id = house.background("ok")
    lines = house("watch", execution_id, "-o", "ndjson").out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert json.loads(lines[-1])["data"]["is_final"] is True


def test_a_property_is_set_for_one_run(house: Project) -> None:
    before = (house.base / OK).read_text()
    changed = house("run", "ok", "--set", "Calc.code=result = 'other'", "-o", "raw", "-q")
    assert (changed.code, changed.out) == (0, "other\n")
    assert (house.base / OK).read_text() == before
    assert house("run", "ok", "--set", "Calc.language:=5", "-q").code == 1
    unknown = house("run", "ok", "--set", "Nobody.code=x", "-q")
    assert unknown.code == 2 and "there is no such node; there are Start, Calc, Done" in unknown.err
    assert house("run", "ok", "--dry-run", "--set", "Nobody.code=x").code == 2
    assert house("run", "ok", "--set", "code=x").code == 2


def test_a_run_that_is_waited_for_no_longer_goes_on(house: Project) -> None:
    begun = time.monotonic()
    left = house("run", "brief", "--wait-timeout", "0.2", "--json")
    assert (left.code, left.json["error_code"]) == (124, "timeout")
    assert time.monotonic() - begun < 3
    assert house("watch", left.json["session_id"], "-q").out == SUCCESS + "rested\n"
    assert house("run", "brief", "-d", "--wait-timeout", "1").code == 2


def test_a_run_is_run_again_by_its_id(house: Project) -> None:
    house.write(
        "rerun.light.yaml", chain("{label: A, type: code_job, code: \"open('reruns', 'a').write('A')\\nresult = 7\"}")
    )
    execution_id = house.json("run", "rerun", "--json", "-q")["session_id"]
    again = house("run", "--rerun", execution_id, "-q")
    assert (again.code, again.out) == (0, SUCCESS + "7\n")
    assert house("run", "--rerun", execution_id, "--from", "A", "-o", "raw", "-q").out == "7\n"
    assert (house.base / "reruns").read_text() == "AAA"
    assert house("run", "rerun", "--rerun", execution_id).code == 2
    assert house("run", "--rerun", execution_id, "-i", "x=1").code == 2
    assert house("run", "rerun", "--from", "A").code == 2


def test_a_file_of_variables_is_for_the_stack_that_is_started(own_house: Project) -> None:
    ask = "url: 'http://127.0.0.1:9', auth_type: bearer, auth_config: {token: {env: MY_TOKEN}}, max_retries: 0"
    own_house.write("see.light.yaml", chain(f"{{label: See, type: api_job, {ask}}}"))
    own_house.write("my.env", "MY_TOKEN=abc\n")
    assert own_house("run", "see", "--env-file", "missing.env").code == 2
    found = own_house("run", "see", "-q", "--env-file", "my.env")
    assert found.code == 1 and "MY_TOKEN" not in found.err  # nobody listens there, but the token was found
    own_house.write("my.env", "OTHER=abc\n")
    late = own_house("run", "see", "--env-file", "my.env")
    assert "a stack runs already" in late.err


def saved(path: Path, text: str) -> None:
    """As editors do it: a new file in place of the old one."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """A command that would go on for ever, and does not outlive the test, however that ends."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=20)


def test_a_diagram_runs_again_when_it_is_saved(house: Project) -> None:
    text = chain("{label: A, type: code_job, code: result = 1}")
    house.write("edited.light.yaml", text)
    with ended(house.start("run", "edited", "--watch-file", "--progress", "none")) as process:
        assert process.stdout is not None and process.stderr is not None
        assert [process.stdout.readline() for _ in range(2)] == [SUCCESS, "1\n"]
        assert "Ctrl-C ends it" in process.stderr.readline()
        saved(house.base / "edited.light.yaml", text.replace("result = 1", "result = 22"))
        assert [process.stdout.readline() for _ in range(2)] == [SUCCESS, "22\n"]
        assert "Ctrl-C ends it" in process.stderr.readline()
        saved(house.base / "edited.light.yaml", "nodes: [")
        assert "error[" in process.stderr.readline()
        while "Ctrl-C ends it" not in (line := process.stderr.readline()):  # it goes on
            assert line
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130


def test_several_diagrams_are_compiled_at_once(house: Project) -> None:
    both = house("compile", "ok", "brief", "bad", "--json")
    assert both.code == 1
    assert [(it["source"], it["valid"]) for it in both.json] == [
        (OK, True), ("brief.light.yaml", True), ("bad.light.yaml", False),
    ]  # fmt: skip
    assert house("compile", "ok", "brief").out.count("Diagram compiled successfully") == 2
    assert house("compile", "ok", "brief", "--push-as", "x").code == 2
    missing = house("check", "ok", "nothing", "--json")
    assert missing.code == 1 and missing.json[1]["errors"][0]["phase"] == "LOAD"


def test_warnings_fail_only_when_asked_to(house: Project) -> None:
    warned = house.write("warned.light.yaml", (house.base / OK).read_text().replace("language:", "langage:"))
    assert house("compile", warned).code == 0
    strict = house("compile", warned, "--strict")
    assert strict.code == 1 and "has warnings" in strict.err
    assert house("compile", warned, "--strict", "--json").code == 1


def test_problems_are_annotations_for_github(house: Project) -> None:
    house.write("odd%name.light.yaml", (house.base / "unknown.light.yaml").read_text())
    done = house("compile", "odd%name", "--format", "github")
    assert done.code == 1
    first = done.out.splitlines()[0]
    assert first.startswith("::error file=odd%25name.light.yaml,line=4,col=") and "zebra" in first
    assert house("compile", "ok", "--format", "html").code == 2


def test_a_diagram_is_compiled_again_when_it_is_saved(house: Project) -> None:
    text = (house.base / OK).read_text()
    house.write("checked.light.yaml", text)
    with ended(house.start("compile", "checked", "--watch")) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "successfully" in process.stdout.readline()
        assert "Ctrl-C ends it" in process.stderr.readline()
        saved(house.base / "checked.light.yaml", text.replace("type: start", "type: zebra"))
        while "failed" not in (line := process.stdout.readline()):
            assert line


def test_only_published_diagrams_are_listed(own_house: Project) -> None:
    assert own_house.json("list", "--published", "--json") == {"diagrams": []}
    own_house("compile", "ok", "--push-as", "shown", check=0)
    assert [it["path"] for it in own_house.json("list", "--published", "--json")["diagrams"]] == [
        "projects/mcp-diagrams/shown.yaml"
    ]


def test_options_may_be_shortened_as_long_as_one_fits(house: Project) -> None:
    """Old scripts do (spec/cli.md §1.1)."""
    assert house.json("run", "ok", "--back", "--keep")["status"] == "started"
    assert (
        house("run", "ok", "--timeo=40", "--no-inter", "--simp").out == f'{SUCCESS}\nOutputs:\n  Done: {{"sum": 5}}\n'
    )
    assert house("run", "ok", "--inp", "x").code == 2


def test_settings_that_cannot_be_read_do_not_keep_help_away(own_house: Project) -> None:
    own_house.write("dipeo.toml", "x = [")
    assert own_house("ps").code == 2
    for command in (["help"], ["run", "--help"], ["version"], ["--version"], ["completion", "bash"]):
        assert own_house(*command).code == 0, command
    own_house.write("dipeo.toml", "")


def test_names_that_are_not_ascii_and_streams_that_cannot_show_them(house: Project) -> None:
    name = house.write("día 日本.light.yaml", chain("{label: Número, type: code_job, code: \"result = {'día': 'ñ'}\"}"))
    assert house.json("run", name, "-o", "raw", "-q") == {"día": "ñ"}
    house.environment |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    try:
        plain = house("run", name, "--simple")
        assert plain.out.startswith("OK: Execution Successful\n")
        assert house.json("run", name, "--json", "-q")["final_output"] == {"día": "ñ"}
    finally:
        del house.environment["PYTHONIOENCODING"], house.environment["PYTHONUTF8"]


def test_a_full_disk_and_a_closed_stdout(house: Project) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(house.command("run", "ok", "-q"), cwd=house.base, env=house.environment, stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60)  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "error: cannot write to stdout: No space left on device\n")
    closed: Any = subprocess.run(
        ["bash", "-c", 'exec "$@" >&-', "bash", *house.command("run", "ok", "-q")],
        cwd=house.base, env=house.environment, stderr=subprocess.PIPE, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_folder_where_nothing_can_be_written_is_a_sentence(tmp_path: Path, house: Project) -> None:
    """Root may write anywhere but where the kernel says no."""
    done = house("-C", "/proc/self" if os.geteuid() == 0 else "/", "ps")
    assert done.code == 3
    assert "cannot write" in done.err and "Traceback" not in done.err
