"""`dipeo metrics` through the whole stack; cases 32 to 35 of spec/cli.md §17."""

from command import Project

NOBODY = "exec_" + "0" * 32
MULTI = """version: light
nodes:
  - {label: Start, type: start}
  - {label: A, type: code_job, language: bash, code: 'sleep 1.4; echo a'}
  - {label: B, type: code_job, language: bash, code: 'sleep 1.1; echo b'}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: A}
  - {from: Start, to: B}
  - {from: A, to: Done}
  - {from: B, to: Done}
"""
OUTER = """version: light
nodes:
  - {label: Start, type: start}
  - {label: Part, type: sub_diagram, diagram_name: ok, diagram_format: light, passInputData: true}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Part}
  - {from: Part, to: Done}
"""


def test_case_32_no_run_yet(own_house: Project) -> None:
    none = own_house("metrics")
    assert (none.code, none.out) == (1, "No main executions found\n")
    assert own_house("metrics", "--json").json["error_code"] == "not_found"


def test_case_33_an_unknown_run(house: Project) -> None:
    unknown = house("metrics", NOBODY)
    assert (unknown.code, unknown.out) == (1, f"❌ Execution {NOBODY} not found\n")
    document = house("metrics", NOBODY, "--json")
    assert (document.code, document.json["error_code"], document.json["execution_id"]) == (1, "not_found", NOBODY)


def test_case_34_true_figures_of_two_nodes_at_once(house: Project) -> None:
    house.write("multi.light.yaml", MULTI)
    done = house("run", "multi", "--light", "--timing", "--simple")
    assert "📊 Execution Metrics" in done.err and "⏱️  Per-Node Timing Breakdown:" in done.err
    found = house("metrics", "--json").json
    assert found["node_count"] == 4
    assert [slow["label"] for slow in found["bottlenecks"]] == ["A", "B"]
    assert {slow["node_type"] for slow in found["bottlenecks"]} == {"code_job"}
    assert [run["label"] for run in found["critical_path"]] == ["Start", "A", "Done"]
    assert (found["critical_path_length"], found["parallelizable_groups"]) == (3, 0)
    assert 1400 <= found["total_duration_ms"] < 2400
    assert found["critical_path_ms"] <= found["total_duration_ms"]
    text = house("metrics", "@last", "--critical-path").out
    bars = [line for line in text.splitlines() if "█" in line]
    assert [bar.split()[0] for bar in bars] == ["Start", "A", "Done"]
    assert bars[1].count("█") > 10 > bars[2].count("█")
    slow = house("metrics", "--bottlenecks", "--threshold", "1300").out
    assert "1. node_1_iter_0 A (code_job):" in slow and " B " not in slow
    assert "Make A faster" in house("metrics", "--optimizations").out
    assert "No main executions found for diagram: never" in house("metrics", "--diagram", "never").out


def test_case_35_every_run_has_figures(house: Project) -> None:
    for name, code in (("ok", 0), ("fail", 1)):
        assert house("run", name).code == code
        found = house("metrics", "--latest")
        assert found.code == 0
        assert "📊 Execution Metrics" in found.out
    boom = house("metrics", "--latest", "--json").json["node_breakdown"][1]
    assert (boom["label"], boom["error"]) == ("Boom", "kaboom")


def test_a_run_in_progress_and_one_with_a_sub_diagram(house: Project) -> None:
    execution_id = house.background("slow")
    assert house("metrics", execution_id, "--json").json["running"] is True
    house("cancel", execution_id)
    house.write("outer.light.yaml", OUTER)
    house("run", "outer", check=0)
    found = house("metrics", "--diagram", "outer", "--json").json
    path = [run["label"] for run in found["critical_path"]]
    assert path == ["Start", "Start", "Calc", "Done", "Done"]
    assert "/" in found["critical_path"][2]["node_id"]


def test_store_case_25_the_latest_run_of_a_diagram_is_one_of_its_own(house: Project) -> None:
    house("run", "ok", check=0)
    own = house("metrics", "--diagram", "ok", "--json").json["execution_id"]
    batch = "batch: true, batch_input_key: items, passInputData: true"
    house.write("outer.light.yaml", OUTER)
    house.write("many.light.yaml", OUTER.replace("passInputData: true", batch))
    house("run", "outer", check=0)
    house("run", "many", "-i", "items:=[1, 2]", check=0)
    assert house("metrics", "--diagram", "ok", "--json").json["execution_id"] == own
    assert house("metrics", "--latest", "--json").json["execution_id"] != own


def test_history_and_comparison(house: Project) -> None:
    first, second = (house("run", "ok", "--json").json["session_id"] for _ in range(2))
    history = house("metrics", "--diagram", "ok", "--history", "-n", "2")
    assert history.out.splitlines()[0].split()[:2] == ["ID", "STATUS"]
    assert "median" in history.out
    listed = house("metrics", "--diagram", "ok", "--history", "-n", "2", "--json").json
    assert [run["id"] for run in listed] == [second, first]
    assert listed[0]["metrics"] is None
    compared = house("metrics", "--compare", first, second).out
    assert "Calc" in compared and "CHANGE" in compared
    document = house("metrics", "--compare", first, second, "--json").json
    before, after, change = document["total_duration_ms"]
    assert round(after - before, 1) == change
    assert house("metrics", "--compare", first, NOBODY).code == 1
