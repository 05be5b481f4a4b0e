"""The real SDK against a server of ours that speaks Chat Completions."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dipeo_executor.llm.errors import KeyMissing, RateLimited, RequestRefused, ServiceDown
from dipeo_executor.llm.models import Models
from dipeo_executor.nodes.base import Usage
from dipeo_executor.program import Person

PIA = Person("P", "Pia", "openai", "gpt-4o-mini", "default")
TALK = [
    {"role": "system", "content": "You are Pia."},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "three"},
    {"role": "user", "content": "four"},
]


@dataclass
class Service:
    url: str = ""
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)

    def env(self, **more: str) -> dict[str, str]:
        return {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": self.url, **more}


COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "five"}}],
    "usage": {
        "prompt_tokens": 11,
        "completion_tokens": 2,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 4},
    },
}


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            service.seen.append({"path": self.path, "authorization": self.headers["authorization"], "body": body})
            data = json.dumps(COMPLETION if service.body is None else service.body).encode()
            self.send_response(service.status)
            for name, text in {"content-type": "application/json", "content-length": str(len(data))}.items():
                self.send_header(name, text)
            for name, text in service.headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield service
    server.shutdown()
    thread.join()
    server.server_close()


async def complete(env, person=PIA, **options):
    models = Models(False, env)
    try:
        return await models.complete(person, TALK, **options)
    finally:
        await models.aclose()


async def test_roles_system_prompt_and_usage_cross_the_wire(service):
    reply = await complete(service.env(), max_tokens=50)
    assert (reply.text, reply.model, reply.usage) == ("five", "gpt-4o-mini-2024", Usage(11, 2, 4))
    (seen,) = service.seen
    assert seen["path"] == "/v1/chat/completions"
    assert seen["authorization"] == "Bearer sk-test"
    assert seen["body"]["messages"] == TALK
    assert seen["body"]["model"] == "gpt-4o-mini"
    assert "temperature" not in seen["body"]


async def test_a_schema_goes_out_as_response_format(service):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    await complete(service.env(), schema=schema)
    wanted = service.seen[0]["body"]["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["schema"]["properties"]["a"] == {"type": "integer"}


async def test_reasoning_models_are_spared_the_temperature_they_refuse(service):
    await complete(service.env(), temperature=0)
    reasoning = Person("P", "Pia", "openai", "gpt-5-nano-2025-08-07", "default")
    await complete(service.env(), person=reasoning, temperature=0)
    assert service.seen[0]["body"]["temperature"] == 0
    assert "temperature" not in service.seen[1]["body"]


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, KeyMissing, "the key is not accepted"),
        (404, RequestRefused, "no such model"),
        (429, RateLimited, "too many requests"),
        (500, ServiceDown, "try again"),
        (400, RequestRefused, "the service said so"),
    ],
)
async def test_a_status_becomes_an_error_in_words_and_is_not_retried_here(service, status, error, words):
    service.status, service.body = status, {"error": {"message": "the service said so", "type": "x"}}
    service.headers = {"retry-after": "7"}
    with pytest.raises(error, match=words) as caught:
        await complete(service.env())
    assert f"openai answered {status} for model gpt-4o-mini" in str(caught.value)
    assert caught.value.details == "the service said so"
    assert "sk-test" not in str(caught.value)
    assert len(service.seen) == 1
    assert caught.value.retry_after_s == (7.0 if status in (429, 500) else None)


async def test_a_service_that_cannot_be_reached_is_named(service):
    with pytest.raises(ServiceDown, match="cannot be reached"):
        await complete({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})


async def test_an_answer_that_is_no_completion_is_an_error(service):
    service.body = {"hello": "world"}
    with pytest.raises(RequestRefused):
        await complete(service.env())


async def test_a_missing_key_names_the_variable():
    with pytest.raises(KeyMissing, match="OPENAI_API_KEY"):
        await complete({})


async def test_a_compatible_service_never_gets_the_key_meant_for_openai(service):
    other = Person("P", "Pia", "openai-compatible", "local", "default", base_url=service.url)
    await complete(service.env(), person=other)
    await complete(service.env(OPENAI_COMPATIBLE_API_KEY="own"), person=other)
    assert [seen["authorization"] for seen in service.seen] == ["Bearer none", "Bearer own"]
    with pytest.raises(RequestRefused, match="openai-compatible"):
        await complete(service.env(), person=Person("P", "Pia", "openai", "m", "default", base_url=service.url))
    with pytest.raises(RequestRefused, match="OPENAI_COMPATIBLE_BASE_URL"):
        await complete({}, person=Person("P", "Pia", "openai-compatible", "m", "default"))
