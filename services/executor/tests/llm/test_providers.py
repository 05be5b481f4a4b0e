"""The real SDKs against local servers that speak each provider's real HTTP format (modelservers.py)."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import modelservers as wire
import pytest
from modelservers import Answer, Server, serving

from dipeo_executor.llm.call import Call
from dipeo_executor.llm.errors import KeyMissing, QuotaUsedUp, RateLimited, RequestRefused, ServiceDown, ToolUnsupported
from dipeo_executor.llm.keys import EnvKeys, FirstOf, Secret
from dipeo_executor.llm.models import Models
from dipeo_executor.llm.services import SERVICES
from dipeo_executor.llm.services.ollama import address_of
from dipeo_executor.nodes.base import ModelTool, Reply, Usage
from dipeo_executor.program import Person

KEY = "sk-test-0123456789"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
TALK = [
    {"role": "system", "content": "You are Pia."},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "three"},
    {"role": "user", "content": "four"},
]
TURNS = [("user", "one"), ("assistant", "two"), ("user", "three"), ("user", "four")]


@dataclass(frozen=True)
class Dialect:
    """One provider's format. `talk` reads (system prompt, turns) out of what the server saw."""

    service: str
    model: str
    env: Mapping[str, str]
    whole: Callable[..., Answer]
    stream: Callable[..., Answer]
    talk: Callable[[Any], tuple[str, list[tuple[str, str]]]]
    key_header: tuple[str, str]

    @property
    def turns(self) -> list[tuple[str, str]]:
        return MERGED if self.service in ("anthropic", "gemini") else TURNS

    def person(self, **more: Any) -> Person:
        return Person("P", "Pia", self.service, self.model, "default", **more)


def _openai_talk(messages: list[dict[str, Any]]) -> tuple[str, list[tuple[str, str]]]:
    return messages[0]["content"], [(it["role"], it["content"]) for it in messages[1:]]


MERGED = [("user", "one"), ("assistant", "two"), ("user", "three|four")]  # where turns have to alternate


def _anthropic_talk(body: Any) -> tuple[str, list[tuple[str, str]]]:
    return body["system"], [(it["role"], "|".join(b["text"] for b in it["content"])) for it in body["messages"]]


def _gemini_talk(body: Any) -> tuple[str, list[tuple[str, str]]]:
    role = {"user": "user", "model": "assistant"}
    turns = [(role[it["role"]], "|".join(part["text"] for part in it["parts"])) for it in body["contents"]]
    return body["systemInstruction"]["parts"][0]["text"], turns


BEARER = ("authorization", f"Bearer {KEY}")
RESPONSES = Dialect(
    "openai", "gpt-4o-mini", {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "{}/v1"},
    wire.responses, wire.responses_stream, lambda body: _openai_talk(body["input"]), BEARER,
)  # fmt: skip
CHAT = Dialect(
    "openai-compatible", "local",
    {"OPENAI_COMPATIBLE_API_KEY": KEY, "OPENAI_COMPATIBLE_BASE_URL": "{}/v1", "OPENAI_API_KEY": "sk-for-openai-only"},
    wire.chat, wire.chat_stream, lambda body: _openai_talk(body["messages"]), BEARER,
)  # fmt: skip
OLLAMA = Dialect(
    "ollama", "llama3.2", {"OLLAMA_HOST": "{}", "OLLAMA_API_KEY": KEY},
    wire.chat, wire.chat_stream, lambda body: _openai_talk(body["messages"]), BEARER,
)  # fmt: skip
ANTHROPIC = Dialect(
    "anthropic", "claude-sonnet-5", {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "{}"},
    wire.anthropic, wire.anthropic_stream, _anthropic_talk, BEARER,
)  # fmt: skip
GEMINI = Dialect(
    "gemini", "gemini-2.5-flash", {"GOOGLE_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": "{}"},
    wire.gemini, wire.gemini_stream, _gemini_talk, ("x-goog-api-key", KEY),
)  # fmt: skip
DIALECTS = [RESPONSES, CHAT, OLLAMA, ANTHROPIC, GEMINI]
every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda it: it.service)


@asynccontextmanager
async def models_of(dialect: Dialect, server: Server, **limits: Any):
    models = Models({name: value.format(server.url) for name, value in dialect.env.items()}, **limits)
    try:
        yield models
    finally:
        await models.aclose()


async def ask(dialect: Dialect, server: Server, **options: Any) -> Reply:
    """Without streaming, unless `on_text` is given: Anthropic's SDK streams anyway above a certain length."""
    options.setdefault("max_tokens", None if "on_text" in options else 1000)
    person = options.pop("person", dialect.person())
    async with models_of(dialect, server) as models:
        return await models.answer(Call(person, TALK, **options))


@every_dialect
async def test_roles_system_prompt_key_and_usage_cross_the_wire(dialect):
    async with serving(dialect.whole()) as server:
        reply = await ask(dialect, server)
    assert (reply.text, reply.usage, reply.cut) == ("five", Usage(11, 2, 4), False)
    (seen,) = server.seen
    assert dialect.talk(seen.body) == ("You are Pia.", dialect.turns)
    assert seen.headers[dialect.key_header[0]] == dialect.key_header[1]
    assert "sk-for-openai-only" not in str(seen)


@every_dialect
async def test_a_streamed_answer_comes_in_pieces_with_its_usage_at_the_end(dialect):
    pieces: list[str] = []
    async with serving(dialect.stream("fi", "ve", " and", " six")) as server:
        reply = await ask(dialect, server, on_text=pieces.append)
    assert pieces == ["fi", "ve", " and", " six"]
    assert (reply.text, reply.usage.output) == ("five and six", 2)
    assert dialect.talk(server.bodies[0]) == ("You are Pia.", dialect.turns)


@every_dialect
async def test_a_schema_goes_out_in_the_providers_own_way(dialect):
    async with serving(dialect.whole('{"a": 1}')) as server:
        reply = await ask(dialect, server, schema=SCHEMA)
    assert json.loads(reply.text) == {"a": 1}
    body = server.bodies[0]
    sent = {
        "openai": lambda: body["text"]["format"]["schema"],
        "openai-compatible": lambda: body["response_format"]["json_schema"]["schema"],
        "ollama": lambda: body["response_format"]["json_schema"]["schema"],
        "anthropic": lambda: body["output_config"]["format"]["schema"],
        "gemini": lambda: body["generationConfig"]["responseJsonSchema"],
    }[dialect.service]()
    assert sent["properties"] == {"a": {"type": "integer"}} and sent["required"] == ["a"]


DEEPSEEK = Dialect(
    "deepseek", "deepseek-chat", {"DEEPSEEK_API_KEY": KEY, "DEEPSEEK_BASE_URL": "{}/v1"},
    wire.chat, wire.chat_stream, CHAT.talk, BEARER,
)  # fmt: skip
OLDER_CLAUDE = replace(ANTHROPIC, model="claude-3-5-haiku-latest")
CALLED = {"id": "t", "type": "function", "function": {"name": "answer", "arguments": '{"a": 2}'}}
USED = {"type": "tool_use", "id": "t", "name": "answer", "input": {"a": 2}}


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [
        (DEEPSEEK, wire.chat("", message={"content": None, "tool_calls": [CALLED]})),
        (OLDER_CLAUDE, wire.anthropic("", before=[USED], stop="tool_use")),
    ],
    ids=["deepseek", "older claude"],
)
async def test_a_model_without_structured_output_is_made_to_call_a_tool(dialect, answer):
    async with serving(answer) as server:
        reply = await ask(dialect, server, schema=SCHEMA)
    assert json.loads(reply.text) == {"a": 2}
    (tool,) = server.bodies[0]["tools"]
    assert (tool.get("name") or tool["function"]["name"]) == "answer"
    assert server.bodies[0]["tool_choice"] in ("required", {"type": "any"}, {"type": "tool", "name": "answer"})


async def test_web_search_of_openai_and_what_it_found():
    search = {
        "id": "ws", "type": "web_search_call", "status": "completed",
        "action": {"type": "search", "query": "tea", "sources": [{"type": "url", "url": "https://tea.example"}]},
    }  # fmt: skip
    async with serving(wire.responses("found", before=[search])) as server:
        reply = await ask(RESPONSES, server, tools=[ModelTool("web_search", {"search_context_size": "low"})])
    assert server.bodies[0]["tools"][0] == {"type": "web_search", "search_context_size": "low"}
    (output,) = reply.tool_outputs
    assert output.type == "web_search" and output.result[0]["url"] == "https://tea.example"
    assert reply.text == "found"


async def test_web_search_of_anthropic_and_what_it_found():
    found = {"type": "web_search_result", "url": "https://tea.example", "title": "Tea", "encrypted_content": "x"}
    before = [
        {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "tea"}},
        {"type": "web_search_tool_result", "tool_use_id": "srv", "content": [found]},
    ]
    async with serving(wire.anthropic("found", before=before)) as server:
        reply = await ask(ANTHROPIC, server, tools=[ModelTool("web_search", {"max_uses": 2})])
    tool = server.bodies[0]["tools"][0]
    assert tool["name"] == "web_search" and tool["max_uses"] == 2
    assert reply.tool_outputs[0].result == [
        {"url": "https://tea.example", "title": "Tea", "snippet": None, "score": None}
    ]


async def test_images_of_openai():
    image = {"id": "ig", "type": "image_generation_call", "status": "completed", "result": "aGVsbG8="}
    image |= {"output_format": "png", "size": "1024x1024"}
    async with serving(wire.responses("drawn", before=[image])) as server:
        reply = await ask(RESPONSES, server, tools=[ModelTool("image_generation")])
    assert server.bodies[0]["tools"][0]["type"] == "image_generation"
    (output,) = [it for it in reply.tool_outputs if it.type == "image_generation"]
    assert output.result == {"image_data": "aGVsbG8=", "format": "png", "width": 1024, "height": 1024}


async def test_a_tool_a_service_does_not_have_is_refused_before_anything_is_sent():
    async with serving(wire.chat()) as server:
        with pytest.raises(ToolUnsupported, match=r"ollama of person Pia has no tool web_search; it is in .*openai"):
            await ask(OLLAMA, server, tools=[ModelTool("web_search")])
        with pytest.raises(RequestRefused, match="config does not fit"):
            await ask(RESPONSES, server, tools=[ModelTool("web_search", {"colour": "red"})])
    assert server.seen == []


@every_dialect
@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (400, RequestRefused, "the service said so"),
        (401, KeyMissing, "the key is not accepted"),
        (429, RateLimited, "too many requests"),
        (500, ServiceDown, "try again"),
    ],
)
async def test_a_status_becomes_an_error_in_words_and_is_not_retried_here(dialect, status, error, words):
    body = {"error": {"message": f"the service said so about {KEY}", "type": "x"}}
    async with serving(Answer(body, status, {"retry-after": "7"})) as server:
        with pytest.raises(error, match=words) as caught:
            await ask(dialect, server)
    assert f"{dialect.service} answered {status} for model {dialect.model}" in str(caught.value)
    assert caught.value.details == "the service said so about ***"
    assert KEY not in str(caught.value)
    assert len(server.seen) == 1
    assert caught.value.retryable is (status in (429, 500))
    assert caught.value.retry_after_s == (7.0 if caught.value.retryable else None)


@every_dialect
async def test_a_stream_that_breaks_off_is_worth_trying_again(dialect):
    async with serving(dialect.stream("fi", "ve", ends=False, breaks=True)) as server:
        with pytest.raises(ServiceDown, match="did not finish") as caught:
            await ask(dialect, server, on_text=lambda piece: None)
    assert caught.value.retryable


@pytest.mark.parametrize("dialect", [RESPONSES, ANTHROPIC, GEMINI], ids=lambda it: it.service)
async def test_a_stream_that_ends_early_is_no_answer(dialect):
    async with serving(dialect.stream("fi", "ve", ends=False)) as server:
        with pytest.raises(ServiceDown, match="did not finish"):
            await ask(dialect, server, on_text=lambda piece: None)


@every_dialect
async def test_a_service_that_says_nothing_is_given_up_in_time(dialect):
    async with serving(dialect.whole(delay_s=5)) as server, models_of(dialect, server, timeout_s=0.1) as models:
        await warmed(models, dialect, server)
        with pytest.raises(ServiceDown):
            await models.answer(Call(dialect.person(), TALK, max_tokens=10))


async def warmed(models: Models, dialect: Dialect, server: Server) -> None:
    """Import the SDK, which takes longer than the time limits of these tests."""
    await asyncio.to_thread(models.preload, [dialect.person()])
    slow, server.answer = server.answer, dialect.whole()
    await models.answer(Call(dialect.person(), TALK, max_tokens=10))
    server.answer = slow
    server.seen.clear()
    server.arrived.clear()


@every_dialect
async def test_a_cancelled_call_hangs_up(dialect):
    async with serving(dialect.whole(delay_s=30)) as server, models_of(dialect, server) as models:
        await warmed(models, dialect, server)
        calling = asyncio.create_task(models.answer(Call(dialect.person(), TALK, max_tokens=10)))
        await server.arrived.wait()
        calling.cancel()
        async with asyncio.timeout(5):
            await server.left.wait()
        with pytest.raises(asyncio.CancelledError):
            await calling


@every_dialect
async def test_an_answer_that_is_none_is_an_error_or_empty(dialect):
    async with serving(Answer({"hello": "world"})) as server:
        if dialect is GEMINI:
            assert (await ask(dialect, server)).text == ""
        else:
            with pytest.raises(RequestRefused, match=r"cannot be (used|read)"):
                await ask(dialect, server)


async def test_a_server_that_has_no_responses_api_is_asked_by_chat_completions_from_then_on():
    def answer(seen: wire.Seen) -> Answer:
        return Answer({"detail": "Not Found"}, 404) if seen.path == "/v1/responses" else wire.chat()

    async with serving(answer) as server, models_of(RESPONSES, server) as models:
        for _ in range(2):
            assert (await models.answer(Call(RESPONSES.person(), TALK))).text == "five"
    assert [seen.path for seen in server.seen] == ["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"]


async def test_an_unknown_model_is_said_without_a_second_request():
    body = {"error": {"message": "The model `gpt-9` does not exist", "code": "model_not_found"}}
    async with serving(Answer(body, 404)) as server:
        with pytest.raises(RequestRefused, match="there is no such model"):
            await ask(RESPONSES, server)
    assert len(server.seen) == 1


async def test_a_model_ollama_does_not_have_is_never_pulled_but_named():
    async with serving(Answer({"error": {"message": 'model "llama3.2" not found, try pulling it first'}}, 404)) as it:
        with pytest.raises(RequestRefused, match=r"ollama pull llama3\.2"):
            await ask(OLLAMA, it)
    assert [seen.path for seen in it.seen] == ["/v1/chat/completions"]


async def test_an_empty_purse_is_not_worth_trying_again():
    body = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}}
    body["error"]["code"] = "insufficient_quota"
    async with serving(Answer(body, 429)) as server:
        with pytest.raises(QuotaUsedUp) as caught:
            await ask(RESPONSES, server)
    assert not caught.value.retryable


async def test_reasoning_models_are_spared_the_temperature_they_refuse():
    reasoning = Person("P", "Pia", "openai", "gpt-5-nano-2025-08-07", "default")
    async with serving(wire.responses()) as server:
        await ask(RESPONSES, server, temperature=0)
        await ask(RESPONSES, server, temperature=0, person=reasoning)
    assert server.bodies[0]["temperature"] == 0 and "temperature" not in server.bodies[1]


async def test_a_limit_of_tokens_goes_out_under_the_name_a_server_knows():
    async with serving(wire.chat()) as server:
        await ask(CHAT, server, max_tokens=50)
        await ask(OLLAMA, server, max_tokens=50)
    assert [body["max_tokens"] for body in server.bodies] == [50, 50]


async def test_what_a_server_did_not_count_is_not_known():
    answer = wire.chat()
    del answer.body["usage"]
    async with serving(answer) as server:
        assert (await ask(CHAT, server)).usage == Usage(unpriced=1)


async def test_a_service_that_cannot_be_reached_is_named():
    models = Models({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})
    with pytest.raises(ServiceDown, match="openai cannot be reached"):
        await models.answer(Call(RESPONSES.person(), TALK))
    await models.aclose()


@pytest.mark.parametrize(
    ("service", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("gemini", "GOOGLE_API_KEY"),
        ("deepseek", "DEEPSEEK_API_KEY"),
        ("groq", "GROQ_API_KEY"),
        ("openrouter", "OPENROUTER_API_KEY"),
    ],
)
async def test_a_missing_key_names_the_variable(service, variable):
    with pytest.raises(KeyMissing, match=variable):
        await Models({}).answer(Call(Person("P", "Pia", service, "m", "k"), TALK))


async def test_a_persons_own_address_never_gets_a_key_meant_for_another():
    async with serving(wire.chat()) as server:
        own = CHAT.person(base_url=f"{server.url}/v1")
        models = Models({"OPENAI_API_KEY": KEY})
        await models.answer(Call(own, TALK))
        assert server.seen[0].headers["authorization"] == "Bearer none"
        await models.aclose()
    for service in ("openai", "anthropic", "gemini", "deepseek", "groq", "openrouter"):
        with pytest.raises(RequestRefused, match="use service openai-compatible"):
            elsewhere = Person("P", "Pia", service, "m", "default", base_url="http://127.0.0.1:9")
            await models.answer(Call(elsewhere, TALK))
    with pytest.raises(RequestRefused, match="OPENAI_COMPATIBLE_BASE_URL"):
        await models.answer(Call(CHAT.person(), TALK))


class Stored:
    """A store of keys, as the secrets service will be."""

    async def find(self, api_key_id: str, service: str) -> Secret | None:
        return Secret("sk-stored-key") if api_key_id == "APIKEY_1" else None


async def test_a_stored_key_comes_before_the_environment_and_an_unknown_id_falls_back_to_it():
    async with serving(wire.responses()) as server:
        env = {name: value.format(server.url) for name, value in RESPONSES.env.items()}
        models = Models(env, FirstOf([Stored(), EnvKeys(env)]))
        for api_key_id in ("APIKEY_1", "APIKEY_2"):
            await models.answer(Call(Person("P", "Pia", "openai", "gpt-4o-mini", api_key_id), TALK))
        await models.aclose()
    assert [seen.headers["authorization"] for seen in server.seen] == ["Bearer sk-stored-key", f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("box", "http://box:11434"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("https://ollama.example", "https://ollama.example:443"),
        ("http://box:1234/v1/", "http://box:1234"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(host, address):
    assert address_of(host) == address


async def test_calls_with_one_key_share_its_limit_and_its_connections():
    async with serving(wire.chat(delay_s=0.03)) as server, models_of(CHAT, server, at_once=2) as models:
        await asyncio.gather(*(models.answer(Call(CHAT.person(), TALK)) for _ in range(6)))
    assert len(server.seen) == 6 and len(server.connections) == 2


@every_dialect
async def test_even_the_most_talkative_log_of_an_sdk_has_no_key(dialect, caplog):
    caplog.set_level(logging.DEBUG)
    body = {"error": {"message": "no", "type": "x"}}
    async with serving(Answer(body, 401)) as server:
        with pytest.raises(KeyMissing):
            await ask(dialect, server)
    assert caplog.records and KEY not in caplog.text


def test_secrets_do_not_print():
    assert KEY not in repr(Secret(KEY)) and "openai" in SERVICES
