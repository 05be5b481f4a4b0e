"""Keys of model services from the command line to the request, and nowhere else (store contract 15.6, 20 case 29)."""

import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from command import Project
from otlp import Received, receiver

KEY = "sk-test-7c1d9e5b3f8a2640d1c7"
WRONG = "sk-test-000000000000wrong111"


class Models(ThreadingHTTPServer):
    """Speaks enough of Chat Completions; repeats the key it was given in its refusals."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.keys: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class Answering(BaseHTTPRequestHandler):
    server: Models

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self) -> None:
        """A stream of one piece."""
        self.rfile.read(int(self.headers["content-length"]))
        whole = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        said, end = {"role": "assistant", "content": "hello"}, {}
        pieces = [(said, None), (end, "stop")]
        chunks = [whole | {"choices": [{"index": 0, "delta": it, "finish_reason": why}]} for it, why in pieces]
        self._answer("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n")

    def _answer(self, body: Any) -> None:
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.server.keys.append(key)
        status = 200 if key == KEY else 401
        body = body if status == 200 else {"error": {"message": f"no such key: {key}"}}
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("content-type", "text/event-stream" if isinstance(body, str) else "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Not on stderr."""


@pytest.fixture
def models() -> Iterator[Models]:
    server = Models()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def received() -> Iterator[Received]:
    with receiver() as started:
        yield started


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.stop()


def _diagram(url: str, key: str, *, api_job: bool = True) -> str:
    auth = f"auth_type: bearer, auth_config: {{api_key_id: {key}}}"
    call = f'type: api_job, url: "{url}/models", {auth}' if api_job else "type: code_job, code: 'result = 1'"
    return (
        "version: light\npersons:\n"
        f"  Pia: {{service: openai-compatible, model: m, base_url: '{url}', api_key_id: {key}}}\n"
        "nodes:\n  - {label: S, type: start}\n"
        f"  - {{label: Call, {call}}}\n"
        "  - {label: Talk, type: person_job, person: Pia, default_prompt: hi, max_iteration: 1}\n"
        "  - {label: E, type: endpoint}\n"
        "connections:\n  - {from: S, to: Call}\n  - {from: Call, to: Talk}\n  - {from: Talk, to: E}\n"
    )


def _add(project: Project, name: str, key: str, *words: str) -> None:
    project("keys", "add", name, *words, stdin=f"{key}\n", check=0)


def test_keys_are_added_listed_tested_used_and_removed(project: Project, models: Models) -> None:
    assert project("keys", "list").out == ""
    _add(project, "lab", KEY, "--service", "openai-compatible", "--base-url", models.url)
    (listed,) = project.json("keys", "list", "--json")
    assert (listed["label"], listed["service"], listed["last4"], listed["base_url"], listed["used_at"]) == (
        "lab", "openai-compatible", KEY[-4:], models.url, None,
    )  # fmt: skip
    assert listed["id"].startswith("APIKEY_")
    assert "lab" in project("keys", "list", check=0).out
    assert "accepts it" in project("keys", "test", "lab", check=0).out
    for reference in ("lab", listed["id"], "APIKEY_52609F"):  # the last: the only key there is for that service
        diagram = project.write("talk.light.yaml", _diagram(models.url, reference, api_job=reference == "lab"))
        assert project("run", diagram, "--output-only", check=0).out == "hello\n"
    assert set(models.keys) == {KEY}
    assert project.json("keys", "list", "--json")[0]["used_at"]
    project("keys", "remove", "lab", check=0)
    assert "no key is kept" in project("keys", "remove", "lab", check=1).err
    assert "no key is kept" in project("keys", "test", "lab", check=1).err


def test_a_key_that_is_refused_is_said_so(project: Project, models: Models) -> None:
    _add(project, "lab", WRONG, "--service", "openai-compatible", "--base-url", models.url)
    refused = project("keys", "test", "lab", check=1)
    assert "refuses it" in refused.out
    assert project.json("keys", "test", "lab", "--json", check=1)["valid"] is False


def test_the_models_of_a_service_are_asked_for_with_a_kept_key(project: Project, models: Models) -> None:
    project.environment.pop("GROQ_API_KEY", None)
    services = {it["name"]: it for it in project.json("models", "--json")}
    assert services["openai"]["key_variables"] == ["OPENAI_API_KEY"] and services["ollama"]["needs_key"] is False
    assert "anthropic" in project("models").out
    none = project("models", "groq")
    assert none.code == 1 and "dipeo keys add NAME --service groq`, or set GROQ_API_KEY" in none.err
    assert project("models", "nothing").code == 1
    _add(project, "lab", KEY, "--service", "openai-compatible", "--base-url", models.url)
    assert project("models", "openai-compatible").out == "m\n"
    assert project.json("models", "openai_compatible", "--key", "lab", "--json") == ["m"]
    assert project("models", "openai-compatible", "--key", "other").code == 1
    _add(project, "bad", WRONG, "--service", "openai-compatible", "--base-url", models.url)
    refused = project("models", "openai-compatible", "--key", "bad")
    assert refused.code == 1 and "refuses it (HTTP 401)" in refused.err and WRONG not in refused.err


def test_a_key_is_sent_to_its_own_address_only(project: Project, models: Models) -> None:
    _add(project, "lab", KEY, "--service", "openai-compatible", "--base-url", "http://127.0.0.1:9/v1")
    _add(project, "openai", KEY, "--service", "openai")
    for name in ("lab", "openai"):
        diagram = project.write("talk.light.yaml", _diagram(models.url, name, api_job=False))
        failed = project("run", diagram, check=1)
        assert "kept for http://127.0.0.1:9/v1 only" in failed.err
    assert models.keys == []


def test_what_is_no_key_is_refused(project: Project) -> None:
    assert "no key" in project("keys", "add", "x", "--service", "openai", stdin="\n", check=2).err
    assert "base_url" in project("keys", "add", "x", "--service", "openai-compatible", stdin="k\n", check=2).err
    assert "--service" in project("keys", "add", "x", stdin="k\n", check=2).err
    _add(project, "x", "k" * 20, "--service", "Notion")
    assert "label" in project("keys", "add", "x", "--service", "notion", stdin="k\n", check=1).err
    assert "not known here" in project("keys", "test", "x", check=1).out


def test_case_29_a_key_is_nowhere_but_in_requests(project: Project, models: Models, received: Received) -> None:
    project.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    }
    _add(project, "lab", KEY, "--service", "openai-compatible", "--base-url", models.url)
    said = [project("keys", "list", "--json").out, project("keys", "test", "lab").out]
    project.write("talk.light.yaml", _diagram(models.url, "lab"))
    done = project("run", "talk.light.yaml", "--json", "--debug", check=0)
    said += [done.out, done.err]
    _add(project, "wrong", WRONG, "--service", "openai-compatible", "--base-url", models.url)
    for api_job in (True, False):
        project.write("wrong.light.yaml", _diagram(models.url, "wrong", api_job=api_job))
        failed = project("run", "wrong.light.yaml", "--json", "--debug", check=1)
        assert "401" in failed.out + failed.err
        said += [failed.out, failed.err]
    for reference in ("@last", "@last~1", "@last~2"):
        said += [project("results", reference, "--verbose").out, project("logs", reference, "--json").out]
    project.write("said.light.yaml", _diagram(models.url, "lab", api_job=False))
    said += [project("export", "said.light.yaml", "-", check=0).out, project("metrics", "@last", "--json", check=0).out]
    project("down", check=0)
    assert models.keys.count(KEY) >= 3 and models.keys.count(WRONG) >= 2
    files = [path for path in project.base.rglob("*") if path.is_file()]
    assert any(path.name == "state.db" for path in files) and any(path.suffix == ".log" for path in files)
    for key in (KEY, WRONG):
        assert not any(key in text for text in said)
        assert [path for path in files if key.encode() in path.read_bytes()] == []
        assert not any(key.encode() in request for request in received.raw)
    chats = [span.attributes for span in received.spans if span.name == "chat m"]
    assert [it.get("error.type") for it in chats] == [None, "KeyMissing"] and "gen_ai.input.messages" in chats[0]
    assert received.logs and received.metrics


def test_the_master_key_of_a_project_is_its_owner_s_alone(project: Project) -> None:
    project("up", check=0)
    file = project.base / ".dipeo" / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(bytes.fromhex(file.read_text())) == 32
