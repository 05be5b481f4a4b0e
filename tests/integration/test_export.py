"""Exported scripts give what the diagram gives: both run with mock models. (spec/cli.md §7, cases 47 to 49)"""

import ast
import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from house import House
from lightly import light

from dipeo_executor.formats.detect import format_of_name
from dipeo_kit import rpc
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("**/*.light.yaml"))
SHARED = Path(os.environ.get("DIPEO_TEST_SHARED", "/nowhere"))
CORPUS = sorted(path for path in SHARED.glob("corpus/run/*") if format_of_name(path.name))
NEEDS = {"ask_a_human": ["--answer", "Name=Ada"]}


async def exported(home: House, text: str, path: str = "") -> executor_pb2.ExportResponse:
    request = executor_pb2.ExportRequest(source=diagram_pb2.Source(text=text, path=path))
    return await rpc.call(home.executor.Export, request)


async def script_of(home: House, text: str, path: str = "") -> str:
    response = await exported(home, text, path)
    assert response.text, [it.message for it in response.diagnostics]
    return response.text


def run_script(base: Path, text: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Without our packages in sight, but with those that scripts may need."""
    (base / "script.py").write_text(text)
    command = [sys.executable, "-W", "error", "script.py", "--mock", "--no-interactive", *arguments]
    return subprocess.run(command, cwd=base, capture_output=True, text=True, timeout=60)


async def both(home: House, text: str, path: str = "", *arguments: str, **how: Any) -> tuple[Any, Any]:
    """(result of the diagram, result of its script)"""
    format = f"FORMAT_{(format_of_name(path) or 'light').upper()}"
    run = await home.run(text, path=path, format=format, non_interactive=True, **how)
    assert run.status == "completed", run.execution.error.message
    script = await script_of(home, text, path)
    shutil.rmtree(home.base / "out", ignore_errors=True)
    done = await asyncio.to_thread(run_script, home.base, script, *arguments)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.removesuffix("\n")
    return run.result, shown if isinstance(run.result, str) else json.loads(shown)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
async def test_examples_give_the_same_as_scripts(home: House, path: Path) -> None:
    shutil.copytree(ROOT / "examples", home.base / "examples", dirs_exist_ok=True)
    name = path.relative_to(ROOT).as_posix()
    more = NEEDS.get(path.name.partition(".")[0], [])
    how: dict[str, Any] = {"answers": {"Name": "Ada"}} if more else {}
    if path.parent.name == "parts":
        how["variables"], more = {"text": "tea"}, ["-i", "text=tea"]
    result, script = await both(home, path.read_text(), name, *more, **how)
    assert script == result


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
async def test_the_original_s_diagrams_give_the_same_as_scripts(home: House, path: Path) -> None:
    shutil.copytree(SHARED / "corpus/run/files", home.base / "files", dirs_exist_ok=True)
    for folder in list(home.base.rglob("*")):  # the copies are read-only like their originals
        folder.chmod(0o755 if folder.is_dir() else 0o644)
    result, script = await both(home, path.read_text(), path.name)
    assert script == result


async def test_scripts_stand_alone_and_are_the_same_each_time(home: House) -> None:
    text = (ROOT / "examples/debate.light.yaml").read_text()
    first, second = await script_of(home, text), await script_of(home, text)
    assert first == second
    assert "dipeo" not in first.split('"""', 2)[2].lower()
    names = [node for node in ast.walk(ast.parse(first)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(getattr(node, "module", None) != "dipeo_executor" for node in names)
    assert '# dependencies = ["openai>=2"]' in first
    ruff = [str(ROOT / ".venv/bin/ruff"), "check", "--isolated", "--select", "F,E9", "-"]
    if Path(ruff[0]).exists():
        done = await asyncio.to_thread(subprocess.run, ruff, input=first, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


MANY = {
    "loop over a counter": light(
        """
        - {label: Start, type: start}
        - {label: Init, type: code_job, code: "result = {'n': 0, 'seen': []}"}
        - label: Step
          type: code_job
          code: |
            state = inputs["default"].get("default", inputs["default"])
            state = {"n": state["n"] + 1, "seen": [*state["seen"], state["n"]]}
            result = state
        - label: Enough
          type: condition
          condition_type: custom
          expression: "default.n >= 3 and len([x for x in default.seen if x < 9]) > 2 and not missing"
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Init}
        - {from: Init, to: Step}
        - {from: Step, to: Enough}
        - {from: "Enough[condfalse]", to: Step}
        - {from: "Enough[condtrue]", to: Done}
        """,
    ),
    "code in many forms": light(
        '''
        - {label: Start, type: start, trigger_mode: manual, custom_data: {who: tea}}
        - {label: A, type: code_job, code: "return who + str(len(globals))"}
        - label: B
          type: code_job
          code: |
            import math
            def main(a, who="x"):
                return [a, who, math.floor(2.5)]
        - label: C
          type: code_job
          code: |
            text = """two
              lines"""
            a = a + "!"
            result = {"text": text, "a": a}
        - {label: D, type: code_job, language: bash, code: 'echo "$INPUT_a and $INPUT_KEYS"'}
        - {label: E, type: code_job, code: "async def main(inputs):\\n    return sorted(inputs['inputs'])"}
        - {label: Nothing, type: code_job, code: "x = 1"}
        - {label: Done, type: endpoint}
        ''',
        """
        - {from: Start, to: A}
        - {from: A, to: B, label: a}
        - {from: A, to: C, label: a}
        - {from: A, to: D, label: a}
        - {from: A, to: E, label: a}
        - {from: A, to: Nothing}
        - {from: B, to: Done, label: b}
        - {from: C, to: Done, label: c}
        - {from: D, to: Done, label: d}
        - {from: E, to: Done, label: e}
        - {from: Nothing, to: Done, label: f}
        """,
    ),
    "errors that go on": light(
        """
        - {label: Start, type: start}
        - {label: Boom, type: code_job, code: "raise ValueError('no')"}
        - {label: Bang, type: code_job, code: "1 / 0", on_error: continue}
        - {label: Note, type: code_job, code: "result = [caught['error'], caught['type']]"}
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Boom}
        - {from: Start, to: Bang}
        - {from: "Boom[error]", to: Note, label: caught}
        - {from: Note, to: Done, label: note}
        - {from: Bang, to: Done, label: bang}
        """,
    ),
    "memory words and structured answers": light(
        """
        - {label: Start, type: start}
        - {label: One, type: person_job, person: Ann, default_prompt: "[[turn]]"}
        - {label: Two, type: person_job, person: Bob, default_prompt: "[[count]]", memorize_to: SENT_BY_ME}
        - {label: Three, type: person_job, person: Ann, default_prompt: "[[turn]]", memorize_to: GOLDFISH}
        - {label: Four, type: person_job, person: Ann, default_prompt: "[[count]]", at_most: 1, ignore_person: Bob}
        - {label: Six, type: person_job, person: Ann, default_prompt: "[[count]]", memorize_to: the rest, at_most: 2}
        - label: Five
          type: person_job
          person: Bob
          default_prompt: "{{#if two}}give {{two}}{{else}}nothing{{/if}}"
          text_format: {type: object, properties: {n: {type: integer}, s: {type: string}}, required: [n, s]}
        - {label: Agree, type: condition, condition_type: llm_decision, person: Bob, judge_by: "answer YES to {{two}}"}
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: One}
        - {from: One, to: Two, content_type: conversation_state}
        - {from: Two, to: Three, label: two}
        - {from: Two, to: Four, label: two}
        - {from: Three, to: Four, label: three}
        - {from: Four, to: Six, label: four}
        - {from: Six, to: Done, label: six}
        - {from: Six, to: Five, label: four}
        - {from: Two, to: Five, label: two}
        - {from: Five, to: Agree, label: five}
        - {from: "Agree[condtrue]", to: Done, label: agreed}
        - {from: "Agree[condfalse]", to: Done, label: refused}
        - {from: Four, to: Done, label: four}
        """,
        "Ann: {service: openai, model: m, system_prompt: Be brief.}\nBob: {service: anthropic, model: n}",
    ),
    "files of all kinds": light(
        """
        - {label: Start, type: start, trigger_mode: manual, custom_data: {name: things}}
        - {label: Make, type: code_job, code: "result = [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]"}
        - {label: Csv, type: db, operation: write, file: "out/{name}.csv", format: csv}
        - {label: Rows, type: db, operation: read, file: out/things.csv, format: csv, csv: rows}
        - {label: Yaml, type: db, operation: write, file: out/y.yaml, format: yaml}
        - {label: Read, type: db, operation: read, file: out/y.yaml, format: yaml}
        - {label: Set, type: code_job, code: "result = 7"}
        - {label: Update, type: db, operation: update, file: out/u.json, keys: a.b}
        - {label: Append, type: db, operation: append, file: out/l.json}
        - {label: All, type: db, operation: read, file: ["out/*.json"], keys: a}
        - {label: Lines, type: db, operation: read, file: out/things.csv, lines: "2:3", format: text}
        - {label: Done, type: endpoint, save_to_file: true, file_name: out/result.json}
        """,
        """
        - {from: Start, to: Make}
        - {from: Make, to: Csv}
        - {from: Csv, to: Rows}
        - {from: Rows, to: Yaml}
        - {from: Yaml, to: Read}
        - {from: Read, to: Set}
        - {from: Set, to: Update}
        - {from: Update, to: Append}
        - {from: Append, to: All}
        - {from: All, to: Lines}
        - {from: Lines, to: Done, label: lines}
        - {from: All, to: Done, label: all}
        - {from: Read, to: Done, label: read}
        """,
    ),
    "templates and schemas": light(
        """
        - {label: Start, type: start, trigger_mode: manual, custom_data: {items: [one thing, two]}}
        - label: Fill
          type: template_job
          template_content: "{% for it in items %}{{ it | snake_case }},{% endfor %}{{ extra }}"
          output_path: out/{{ extra }}.txt
          variables: {extra: end}
        - {label: Wrap, type: code_job, code: "result = {'text': default}"}
        - label: Check
          type: json_schema_validator
          json_schema: {type: object, properties: {text: {type: string}}}
          error_on_extra: true
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Fill}
        - {from: Fill, to: Wrap}
        - {from: Wrap, to: Check}
        - {from: Check, to: Done}
        """,
    ),
    "diagrams inside": light(
        """
        - {label: Start, type: start}
        - {label: Make, type: code_job, code: "result = {'items': [1, 2, 3], 'x': {'y': 5}}"}
        - label: Each
          type: sub_diagram
          batch: true
          diagram_data: &inner
            version: light
            nodes:
              - {label: S, type: start}
              - {label: W, type: code_job, code: "result = {'got': variables.get('default', variables.get('y'))}"}
              - {label: E, type: endpoint}
            connections:
              - {from: S, to: W}
              - {from: W, to: E}
        - label: Once
          type: sub_diagram
          input_mapping: {y: default.x.y}
          output_mapping: {answer: got}
          diagram_data: *inner
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Make}
        - {from: Make, to: Each}
        - {from: Make, to: Once}
        - {from: Each, to: Done, label: each}
        - {from: Once, to: Done, label: once}
        """,
    ),
    "counts and branches": light(
        """
        - {label: Start, type: start}
        - {label: Ask, type: person_job, person: Ann, default_prompt: "[[turn]]", max_iteration: 3}
        - {label: Loop, type: condition, condition_type: detect_max_iterations, expose_index_as: i}
        - {label: Ran, type: condition, condition_type: check_nodes_executed, node_indices: [Ask]}
        - {label: Text, type: code_job, code: "result = f'{i} {inputs}'"}
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Ask}
        - {from: Ask, to: Loop}
        - {from: "Loop[condfalse]", to: Ask}
        - {from: "Loop[condtrue]", to: Ran}
        - {from: "Ran[condtrue]", to: Text}
        - {from: Text, to: Done}
        """,
        "Ann: {service: openai, model: m}",
    ),
}


@pytest.mark.parametrize("name", MANY)
async def test_node_types_and_their_modes_give_the_same_as_scripts(home: House, name: str) -> None:
    result, script = await both(home, MANY[name])
    assert script == result


class _Answering(BaseHTTPRequestHandler):
    """Says what it was asked; once "busy" where the path says so."""

    busy: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        if self.path.startswith("/flaky") and not self.busy:
            self.busy.append(self.path)
            self.send_response(429)
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        said = {"path": self.path, "body": json.loads(body or "null"), "token": self.headers.get("Authorization")}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    do_GET = do_POST

    def log_message(self, format: str, *arguments: Any) -> None: ...


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEA_TOKEN", "hunter2")


async def test_requests_are_the_same_from_scripts(token: None, home: House) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    text = light(
        f"""
        - {{label: Start, type: start, trigger_mode: manual, custom_data: {{n: 3, q: a b}}}}
        - label: Post
          type: api_job
          url: {address}/post/{{{{q}}}}
          method: POST
          params: {{a: [1, 2], q: "{{{{q}}}}"}}
          body: {{n: "{{{{n}}}}", text: "n is {{{{n}}}}"}}
          auth_type: bearer
          auth_config: {{token: {{env: TEA_TOKEN}}}}
        - {{label: Get, type: api_job, url: "{address}/flaky"}}
        - {{label: Done, type: endpoint}}
        """.replace("/post/{{q}}", "/post"),
        "- {from: Start, to: Post}\n- {from: Post, to: Done, label: post}\n"
        "- {from: Post, to: Get}\n- {from: Get, to: Done, label: get}",
    )
    try:
        result, script = await both(home, text)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert script == result
    assert result["post"]["body"] == {"n": 3, "text": "n is 3"}


async def test_variables_come_from_the_command_line(home: House) -> None:
    text = light(
        """
        - {label: Start, type: start, trigger_mode: manual, custom_data: {amount: 1, name_of_it: tea}}
        - {label: Do, type: code_job, code: "result = [amount, name_of_it]"}
        - {label: Done, type: endpoint}
        """,
        "- {from: Start, to: Do}\n- {from: Do, to: Done}",
    )
    script = await script_of(home, text)
    done = await asyncio.to_thread(run_script, home.base, script, "--name-of-it", "coffee", "-i", "amount:=40")
    assert json.loads(done.stdout) == [40, "coffee"]


async def test_a_failing_node_is_named(home: House) -> None:
    text = light(
        "- {label: Start, type: start}\n- {label: Boom, type: code_job, code: \"raise RuntimeError('kaboom')\"}\n"
        "- {label: Done, type: endpoint}",
        "- {from: Start, to: Boom}\n- {from: Boom, to: Done}",
    )
    done = await asyncio.to_thread(run_script, home.base, await script_of(home, text))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'error: node "Boom" (code_job): RuntimeError: kaboom\n'


REFUSED = {
    "{label: X, type: hook, hook_type: shell, command: ls}": "nodes of type hook",
    "{label: X, type: person_job, person: Ann, default_prompt: hi, tools: websearch}": "tools",
    "{label: X, type: person_job, person: Ann, default_prompt: hi, batch: true}": "batch",
    "{label: X, type: code_job, code: result = 1, retry: 3}": "retry",
    "{label: X, type: api_job, url: http://x, auth_type: bearer, auth_config: {token: abc}}": "secret",
}


@pytest.mark.parametrize("node", REFUSED)
async def test_what_a_script_cannot_do_is_an_error_that_names_the_node(home: House, node: str) -> None:
    text = light(
        f"- {{label: Start, type: start}}\n- {node}\n- {{label: Done, type: endpoint}}",
        "- {from: Start, to: X}\n- {from: X, to: Done}",
        "Ann: {service: openai, model: m}",
    )
    response = await exported(home, text)
    problems = [it for it in response.diagnostics if it.code == "X1"]
    assert response.text == "" and len(problems) == 1
    assert REFUSED[node] in problems[0].message and 'node "X"' in problems[0].message
