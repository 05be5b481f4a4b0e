"""Exported scripts give what the diagram gives: both run with mock models. (spec/cli.md §7, cases 47 to 49)"""

import ast
import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from asyncio.subprocess import PIPE
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from command import chain
from exported_diagrams import MANY
from house import House
from lightly import light
from scripts import export_of, run_script, script_of

from dipeo_executor.formats.detect import format_of_name

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("**/*.light.yaml"))
SHARED = Path(os.environ.get("DIPEO_TEST_SHARED", "/nowhere"))
CORPUS = sorted(path for path in SHARED.glob("corpus/run/*") if format_of_name(path.name))
NEEDS = {"ask_a_human": ["--answer", "Name=Ada"]}


async def both(home: House, text: str, path: str = "", *arguments: str, **how: Any) -> tuple[Any, Any]:
    """(result of the diagram, result of its script)"""
    format = f"FORMAT_{(format_of_name(path) or 'light').upper()}"
    run = await home.run(text, path=path, format=format, non_interactive=True, **how)
    assert run.status == "completed", run.execution.error.message
    script = await script_of(home, text, path)
    shutil.rmtree(home.base / "out", ignore_errors=True)
    done = await asyncio.to_thread(run_script, home.base, script, "--no-interactive", *arguments)
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
    "{label: X, type: person_job, person: Gem, default_prompt: hi, tools: websearch}": "tool web_search of gemini",
    "{label: X, type: code_job, language: typescript, code: return 1}": "TypeScript",
    "{label: X, type: api_job, url: http://x, auth_type: bearer, auth_config: {token: abc}}": "secret",
}


@pytest.mark.parametrize("node", REFUSED)
async def test_what_a_script_cannot_do_is_an_error_that_names_the_node(home: House, node: str) -> None:
    text = light(
        f"- {{label: Start, type: start}}\n- {node}\n- {{label: Done, type: endpoint}}",
        "- {from: Start, to: X}\n- {from: X, to: Done}",
        "Gem: {service: gemini, model: m}",
    )
    response = await export_of(home, text)
    problems = [it for it in response.diagnostics if it.code == "X1"]
    assert response.text == "" and len(problems) == 1
    assert REFUSED[node] in problems[0].message and 'node "X"' in problems[0].message


async def test_a_question_nobody_answers_in_time_does_not_hold_the_script_nor_eat_the_next_answer(home: House) -> None:
    text = light(
        """
        - {label: Start, type: start}
        - {label: First, type: user_response, prompt: "first?", timeout: 1}
        - {label: Second, type: user_response, prompt: "second?", timeout: 30}
        - {label: Third, type: user_response, prompt: "third?", timeout: 1}
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: First}
        - {from: First, to: Second, label: first}
        - {from: Second, to: Third, label: second}
        - {from: First, to: Done, label: first}
        - {from: Second, to: Done, label: second}
        - {from: Third, to: Done, label: third}
        """,
    )
    (home.base / "script.py").write_text(await script_of(home, text))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "script.py", cwd=home.base, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    await process.stderr.readuntil(b"second? ")
    process.stdin.write(b"Ada\n")
    printed, said = await asyncio.wait_for(process.stdout.read(), 20), await process.stderr.read()
    assert await process.wait() == 0, said
    assert json.loads(printed) == {"first": "", "second": "Ada", "third": ""}


async def test_a_script_takes_one_of_the_options_by_text_or_number_and_asks_again_for_anything_else(
    home: House,
) -> None:
    choose = "{label: Ask, type: user_response, prompt: Which?, options: [tea, coffee]}"
    script = await script_of(home, chain(choose))

    def answered(*options: str, stdin: str = "") -> tuple[int, str, str]:
        done = run_script(home.base, script, *options, stdin=stdin)
        return done.returncode, done.stdout, done.stderr

    code, printed, said = await asyncio.to_thread(answered, stdin="rum\n\n2\n")
    assert (code, printed) == (0, "coffee\n")
    assert said.count("Which?\n  1) tea\n  2) coffee\n> ") == 3
    assert said.count("that is none of tea, coffee") == 2
    assert (await asyncio.to_thread(answered, stdin="tea"))[:2] == (0, "tea\n")
    assert (await asyncio.to_thread(answered, "--answer", "Ask=coffee"))[:2] == (0, "coffee\n")
    code, _, said = await asyncio.to_thread(answered, "--answer", "Ask=rum")
    assert code != 0 and "the answer is none of its options: tea, coffee" in said
