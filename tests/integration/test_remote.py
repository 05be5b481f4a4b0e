"""A gateway elsewhere: it asks for the files a diagram names, runs on them, and gives back what was written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Project, chain, wait_for

FLOW = """version: light
persons:
  Writer: {service: mock, model: mock, api_key_id: none}
nodes:
  - {label: Start, type: start}
  - {label: Load, type: db, operation: read, format: json, file: data/in.json}
  - {label: Work, type: code_job, language: python, file_path: code/work.py}
  - {label: Write, type: person_job, person: Writer, prompt_file: ask.txt}
  - {label: Part, type: sub_diagram, diagram_name: part, diagram_format: light}
  - {label: Keep, type: db, operation: write, format: text, file: out/report.txt}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Load}
  - {from: Load, to: Work}
  - {from: Work, to: Write}
  - {from: Write, to: Part}
  - {from: Part, to: Keep}
  - {from: Keep, to: Done}
"""
PART = """version: light
nodes:
  - {label: Start, type: start}
  - {label: Seen, type: code_job, language: bash, code: 'ls -A | sort | tr "\\n" " "; cat data/in.json'}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Seen}
  - {from: Seen, to: Done}
"""
CODE = "import helper\n\ndef main(**inputs):\n    open('trace.txt', 'w').write('was here')\n    return helper.NUMBER\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Its own folder holds a file that no run may see."""
    made = Project(tmp_path_factory.mktemp("server"))
    made.write("secret.txt", "of the server")
    made.environment |= {"DIPEO_EXECUTOR_REMOTE": "1", "DIPEO_EXECUTOR_WORKSPACES": str(made.base / "workspaces")}
    made("up", check=0)
    yield made
    made.stop()


@pytest.fixture
def client(tmp_path: Path, server: Project) -> Project:
    """A project that uses the server; it has no stack of its own."""
    made = Project(tmp_path / "client")
    files = {
        "flow.light.yaml": FLOW,
        "part.light.yaml": PART,
        "code/work.py": CODE,
        "code/helper.py": "NUMBER = 42\n",
        "prompts/ask.txt": "Say it.",
        "data/in.json": '{"a": 1}',
        "data/unused.json": "{}",
        ".env": "KEY=secret",
    }
    for name, text in files.items():
        made.write(name, text)
    described = json.loads((server.base / ".dipeo/run/gateway.json").read_text())
    made("context", "add", "far", "--url", described["url"], "--token", described["token"], "--use", check=0)
    return made


def uploaded(done: Any) -> set[str]:
    return {line.split()[1] for line in done.err.splitlines() if line.startswith("uploaded ")}


def test_what_the_diagram_names_travels_once_and_what_it_wrote_comes_back(client: Project) -> None:
    first = client("run", "flow", "-v", "--json", check=0)
    assert first.json["status"] == "completed"
    expected = {"part.light.yaml", "code/work.py", "code/helper.py", "prompts/ask.txt", "data/in.json"}
    assert uploaded(first) == expected
    assert first.json["outputs"]["Work"] == 42
    seen = first.json["outputs"]["Part/Seen"]
    assert '{"a": 1}' in seen and "secret" not in seen and ".env" not in seen
    written = client("results", first.json["session_id"], "--files", "back", check=0)
    assert written.out.split() == ["back/out/report.txt", "back/trace.txt"]
    assert (client.base / "back/trace.txt").read_text() == "was here"
    assert not (client.base / "out").exists() and not (client.base / ".dipeo").exists()
    assert uploaded(client("run", "flow", "-v", "--json", check=0)) == set()
    client.write("data/in.json", '{"a": 2}')
    assert uploaded(client("run", "flow", "-v", check=0)) == {"data/in.json"}
    assert client("run", "flow", "--background", check=0).json["status"] == "started"


def test_compiling_needs_the_files_too_and_names_those_that_are_missing(client: Project) -> None:
    assert client("compile", "flow", "--json", check=0).json["node_count"] == 7
    (client.base / "prompts/ask.txt").unlink()
    missing = client("compile", "flow", "--json")
    assert missing.code == 1
    assert any("ask.txt" in error["message"] for error in missing.json["errors"])
    refused = client("run", "flow", "--json")
    assert (refused.code, refused.json["error_code"]) == (1, "diagram_invalid")


@pytest.mark.parametrize("name", ["secret.txt", "../server/secret.txt", ".env", "/etc/hostname"])
def test_neither_side_gives_away_what_lies_elsewhere(client: Project, name: str) -> None:
    """The server's own folder, a folder above, a hidden file, an absolute path."""
    client.write("read.light.yaml", chain(f"{{label: Read, type: db, operation: read, format: text, file: '{name}'}}"))
    done = client("run", "read", "-v", "--json")
    assert done.code == 1
    assert uploaded(done) == set()
    assert "secret" not in json.dumps(done.json.get("outputs", {}))


def test_of_what_a_run_wrote_large_files_and_links_stay_there(client: Project) -> None:
    code = "head -c 11000000 /dev/zero > large.bin; echo hi > small.txt; ln -s /etc/hostname link; ln small.txt b.txt"
    client.write("write.light.yaml", chain(f"{{label: Write, type: code_job, language: bash, code: '{code}'}}"))
    execution_id = client("run", "write", "--json", check=0).json["session_id"]
    back = client("results", execution_id, "--files", "back", check=1)
    assert back.out.splitlines()[:2] == ["back/b.txt", "back/small.txt"]
    assert "large.bin" in back.err and "1 of 3 files" in back.err
    assert sorted(path.name for path in (client.base / "back").iterdir()) == ["b.txt", "small.txt"]


def test_code_sees_nothing_of_the_server_or_of_other_runs(client: Project, server: Project) -> None:
    code = f"ls {server.base} ..; cat {server.base}/secret.txt; true"
    client.write("peek.light.yaml", chain(f"{{label: Peek, type: code_job, language: bash, code: '{code}'}}"))
    found = str(client("run", "peek", "--json", check=0).json["final_output"])
    if "flow.light" in found or "secret.txt" in found:
        pytest.skip("no Landlock here: code can read what its user can")
    assert "of the server" not in found


def test_a_run_survives_the_executor_in_its_workspace(client: Project, server: Project) -> None:
    first = "{label: First, type: code_job, language: bash, code: 'echo kept > first.txt'}"
    second = "{label: Second, type: code_job, language: bash, code: 'sleep 2; cat first.txt'}"
    client.write("two.light.yaml", chain(first, second))
    execution_id = client.background("two")
    wait_for(lambda: '"Second" started' in client("logs", execution_id).out, "the second node")
    server.kill_stack()
    server("up", check=0)
    described = json.loads((server.base / ".dipeo/run/gateway.json").read_text())
    client("context", "add", "far", "--url", described["url"], "--token", described["token"], check=0)
    assert client("wait", execution_id, "--timeout", "40").code == 0
    assert client("results", execution_id, "--output-only").out == "kept\n"


def test_a_local_stack_says_where_the_files_are(house: Project) -> None:
    execution_id = house("run", "ok", "--json", check=0).json["session_id"]
    told = house("results", execution_id, "--files", "back")
    assert told.code != 0
    assert "in the project itself" in told.err
