"""Diagrams as text through the whole stack: cases 36 to 54 of the command line (spec/cli.md §17), and what is new."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

OK = "ok.light.yaml"


def test_case_36_every_problem_of_a_bad_diagram_is_told(house: Any) -> None:
    done = house("compile", "bad.light.yaml", "--light", "--json")
    assert (done.code, done.json["valid"]) == (1, False)
    codes = {problem["code"] for problem in [*done.json["errors"], *done.json["warnings"]]}
    assert {"V4", "V5", "V12", "T2"} <= codes


def test_case_37_to_40_compile_says_what_it_counted_and_what_is_missing(house: Any) -> None:
    done = house("compile", OK, "--light")
    assert (done.code, done.out) == (0, f"✅ Diagram compiled successfully: {OK}\n   Nodes: 3\n   Edges: 2\n")
    nothing = house("compile")
    assert (nothing.code, nothing.out) == (2, "")
    assert "Either diagram path or --stdin is required" in nothing.err
    text = (house.base / OK).read_text()
    assert house("compile", "--stdin", stdin=text).code == 0
    empty = house("compile", "--stdin", "--light", stdin="")
    assert (empty.code, empty.out) == (1, "")
    assert "No content received from stdin" in empty.err


def test_case_41_a_valid_diagram_is_pushed_byte_by_byte(house: Any) -> None:
    text = "# kept\r\n" + (house.base / OK).read_text()
    done = house("compile", "--stdin", "--light", "--push-as", "demo", "--json", stdin=text)
    path = house.base / "projects/mcp-diagrams/demo.yaml"
    assert done.code == 0
    assert done.json["pushed"] == {
        "name": "demo", "path": str(path), "uri": "dipeo://diagrams/demo", "replaced": False,
    }  # fmt: skip
    assert path.read_bytes() == text.encode()
    assert path.stat().st_mode & 0o777 == 0o644
    again = house("compile", OK, "--push-as", "demo", "--target-dir", "projects/mcp-diagrams")
    assert f"✅ Pushed diagram to: {path} (replaced)" in again.out
    kept = house("compile", OK, "--push-as", "demo", "--no-clobber")
    assert kept.code == 1
    assert "exists" in kept.err


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a..b", "", "x" * 101, "a\nb"])
def test_case_42_a_name_that_leads_elsewhere_is_refused(house: Any, name: str) -> None:
    done = house("compile", "--stdin", "--push-as", name, stdin=(house.base / OK).read_text())
    assert (done.code, done.out) == (2, "")
    assert not (house.base / "projects/x.yaml").exists()


def test_case_43_what_does_not_compile_is_not_pushed(house: Any) -> None:
    assert house("compile", "bad", "--light", "--push-as", "y", "--target-dir", "out").code == 1
    assert not (house.base / "out").exists()
    assert house("compile", OK, "--push-as", "y", "--check-only").code == 2


def test_case_44_45_a_diagram_that_does_not_load_is_a_report_with_places(house: Any) -> None:
    unknown = house("compile", "unknown", "--light", "--json")
    assert unknown.code == 1
    zebra = next(problem for problem in unknown.json["errors"] if "zebra" in problem["message"])
    assert (zebra["phase"], zebra["line"]) == ("LOAD", 4)
    broken = house("compile", "syntax", "--light", "--json")
    assert broken.code == 1
    assert broken.json["errors"][0]["phase"] == "LOAD"
    assert broken.json["errors"][0]["line"] and broken.json["errors"][0]["column"]


def test_case_46_50_51_convert_by_flag_or_by_name_and_compile_the_outcome(house: Any) -> None:
    for target, flags in (("ok.json", ["--from-format", "light", "--to-format", "native"]), ("new.json", [])):
        done = house("convert", OK, target, *flags)
        assert (done.code, done.out) == (0, f"✅ Converted {OK} to {target}\n")
        compiled = house("compile", target)
        assert compiled.out.splitlines()[1:] == ["   Nodes: 3", "   Edges: 2"]
    for target in ("ok2.readable.yaml", "back.light.yaml"):
        assert house("convert", "ok.json", target).code == 0
        assert house("run", target, "--output-only", "-q").json == {"sum": 5}


def test_case_52_a_missing_input_is_named(house: Any) -> None:
    done = house("convert", "nope.json", "x.yaml")
    assert (done.code, done.out) == (1, "")
    assert "Input file not found: nope.json" in done.err


def test_convert_reads_and_writes_pipes_and_tells_losses(house: Any) -> None:
    twice = {
        "nodes": {"a": {"type": "start", "data": {"label": "x"}}, "b": {"type": "endpoint", "data": {"label": "x"}}}
    }
    text = json.dumps({**twice, "arrows": {}})
    done = house("convert", "-", "-", "--to-format", "light", stdin=text)
    assert done.code == 0
    assert done.out.startswith("version: light\n")
    assert 'warning: node "x" is now called "x~1"' in done.err
    assert house("convert", "-", "out.light.yaml", "--check", stdin=text).code == 1
    assert house("convert", OK, "out.readable.yaml", "--check").code == 0
    assert not (house.base / "out.light.yaml").exists()
    broken = house("convert", "syntax", "x.json")
    assert (broken.code, broken.out) == (1, "")
    assert "error[L2]" in broken.err
    assert house("convert", OK, "x.txt").code == 2


def test_fmt_keeps_comments_and_check_changes_nothing(house: Any) -> None:
    untidy = "# why\nnodes:\n- label: Go\n  type: start\n  position:\n    x: 1\n    y: 2\n"
    house.write("untidy.light.yaml", untidy)
    assert house("fmt", "untidy.light.yaml", "--check").code == 1
    assert (house.base / "untidy.light.yaml").read_text() == untidy
    assert house("fmt", "untidy.light.yaml", OK).code == 0
    tidy = (house.base / "untidy.light.yaml").read_text()
    assert tidy == "# why\nnodes:\n  - label: Go\n    type: start\n    position: {x: 1, y: 2}\n"
    assert house("fmt", "untidy.light.yaml", "--check").code == 0
    assert house("fmt", "-", stdin=untidy).out == tidy


def test_case_53_stats_counts_arrows(house: Any) -> None:
    done = house("stats", OK)
    assert done.code == 0
    assert done.out.startswith(
        f"Diagram Statistics: {OK}\n  Nodes: 3\n  Edges: 2\n  Node Types:\n"
        "    code_job: 1\n    endpoint: 1\n    start: 1\n"
    )
    figures = house("stats", OK, "--json").json
    assert (figures["diagram"], figures["edges"], figures["depth"], figures["loops"]) == (OK, 2, 3, [])


def test_graph_draws_in_four_ways(house: Any) -> None:
    assert "│ Calc" in house("graph", OK).out or "Calc" in house("graph", OK).out
    assert house("graph", OK, "--format", "mermaid").out.startswith("flowchart TD\n")
    assert house("graph", OK, "--format", "dot").out.startswith("digraph diagram {\n")
    assert house("graph", OK, "--format", "svg", "-o", "ok.svg").code == 0
    ElementTree.parse(house.base / "ok.svg")
    assert house("graph", OK, "--format", "png").code == 2


def test_case_54_list_shows_each_diagram_once_sorted_by_path(house: Any) -> None:
    house.write("package.json", '{"name": "x"}')
    done = house("list", "--json", "--format", "light")
    paths = [it["path"] for it in done.json["diagrams"]]
    assert (done.code, paths) == (0, sorted(set(paths)))
    assert OK in paths and "package.json" not in paths and "syntax.light.yaml" not in paths
    found = next(it for it in done.json["diagrams"] if it["path"] == OK)
    assert (found["name"], found["format"], found["nodes"], found["start_nodes"]) == ("ok.light", "light", 3, ["Start"])
    assert [it["path"] for it in house("list", "slow", "--json").json["diagrams"]] == ["slow.light.yaml"]
    assert OK in house("list").out


def test_nodes_and_schema_are_the_reference(house: Any) -> None:
    assert "person_job" in house("nodes").out
    job = house("nodes", "code_job", "--json").json
    assert next(it for it in job["properties"] if it["name"] == "language")["default"] == "python"
    assert "max_iteration" in house("nodes", "person_job").out
    wrong = house("nodes", "code_jub")
    assert wrong.code == 1 and "did you mean code_job?" in wrong.err
    assert json.loads(house("schema").out)["title"] == "DiPeO light diagram"


def test_case_67_without_a_stack_the_names_of_files_are_listed(own_house: Any) -> None:
    done = own_house("list", "--json", "--no-autostart")
    assert done.code == 0
    assert OK in [it["path"] for it in done.json["diagrams"]]
    assert own_house("stats", OK, "--no-autostart").code == 3
    assert not Path(own_house.base, ".dipeo/run/gateway.json").exists()


def run_python(house: Any, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], cwd=house.base, capture_output=True, text=True, timeout=60)


def test_case_47_an_exported_script_gives_the_result_of_the_run(house: Any) -> None:
    done = house("export", OK, "out.py", "--light")
    assert (done.code, done.out) == (0, "✅ Exported diagram to out.py\n")
    ran = run_python(house, "out.py")
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"sum": 5})
    assert house("export", OK, "-").out == (house.base / "out.py").read_text()
    assert house("export", OK, "out.py").code == 1  # it exists
    assert house("export", OK, "out.py", "--force").code == 0
    assert house("export", OK, "out.py", "--check").code == 0
    (house.base / "out.py").write_text("changed")
    assert house("export", OK, "out.py", "--check").code == 1


LOOP = """version: light
nodes:
  - {label: Start, type: start}
  - {label: Init, type: code_job, code: "result = {'n': 0}"}
  - {label: Step, type: code_job, code: "result = {'n': state.get('state', state)['n'] + 1}"}
  - {label: Enough, type: condition, expression: state.n >= 4}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Init}
  - {from: Init, to: Step, label: state}
  - {from: Step, to: Enough, label: state}
  - {from: "Enough[condfalse]", to: Step, label: state}
  - {from: "Enough[condtrue]", to: Done}
"""


def test_case_48_a_loop_ends_in_a_script_where_it_ends_in_a_run(house: Any) -> None:
    house.write("loop.light.yaml", LOOP)
    assert house("export", "loop", "loop.py", "--light").code == 0
    ran = run_python(house, "loop.py")
    assert json.loads(ran.stdout) == house("run", "loop", "--output-only", "-q").json == {"state": {"n": 4}}


def test_case_49_a_bad_diagram_is_not_exported(house: Any) -> None:
    done = house("export", "bad.light.yaml", "bad.py", "--light")
    assert (done.code, done.out) == (1, "")
    assert "error[V4]" in done.err
    assert not (house.base / "bad.py").exists()
