"""Calls of models."""

import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from dipeo_executor.export.runtime.kinds import Person
from dipeo_executor.export.runtime.running import NodeError, Run
from dipeo_executor.llm.mock import _LISTED, _STATUS, by_rule, smallest
from dipeo_executor.llm.selector import SCHEMA
from dipeo_executor.llm.services.ollama import address_of

Turns = list[dict[str, str]]
Ask = Callable[[Person, Turns, dict[str, Any] | None], Awaitable[str]]  # with a schema, a JSON object
SERVICES: dict[str, Ask] = {}  # export/script.py fills it


async def complete(run: Run, person: Person, turns: Turns) -> str:
    """What the person's model answers; with --mock, or for the service mock, by rule and offline."""
    if run.mock or person.service == "mock":
        text = mock_answer(turns)
        return f"echo: {asked_last(turns)}" if text is None else text
    return await SERVICES[person.service](person, turns, None)


async def complete_object(run: Run, person: Person, turns: Turns, schema: dict[str, Any]) -> str:
    """The same, where the answer should be a JSON object of that shape."""
    if run.mock or person.service == "mock":
        text = mock_answer(turns)
        return json.dumps(smallest(schema, schema)) if text is None else text
    return await SERVICES[person.service](person, turns, schema)


async def complete_choice(run: Run, person: Person, turns: Turns) -> str:
    """The same, where ids of messages are chosen: the mock takes all."""
    if run.mock or person.service == "mock":
        return json.dumps(_LISTED.findall(asked_last(turns)))
    return await SERVICES[person.service](person, turns, SCHEMA)


def asked_last(turns: Turns) -> str:
    return next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")


def mock_answer(turns: Turns) -> str | None:
    """By rule; None when none fits."""
    asked = asked_last(turns)
    if failing := _STATUS.search(asked):
        raise NodeError(f"mock answered {failing[1]}")
    return by_rule(asked, turns)


def key_of(name: str) -> str:
    if name not in os.environ:
        raise NodeError(f"set {name} to the key of the service, or use --mock")
    return os.environ[name]


async def ask_openai(person: Person, turns: Turns, schema: dict[str, Any] | None) -> str:
    return await chat(person, turns, schema, None, key_of("OPENAI_API_KEY"))


async def ask_gemini(person: Person, turns: Turns, schema: dict[str, Any] | None) -> str:
    address = "https://generativelanguage.googleapis.com/v1beta/openai/"
    key = os.environ.get("GOOGLE_API_KEY") or key_of("GEMINI_API_KEY")
    return await chat(person, turns, schema, address, key)


async def ask_ollama(person: Person, turns: Turns, schema: dict[str, Any] | None) -> str:
    host = person.base_url or os.environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
    return await chat(person, turns, schema, f"{address_of(host)}/v1", os.environ.get("OLLAMA_API_KEY", "ollama"))


def compatible(address: str, needs_key: bool = True) -> Ask:
    """A service with an address and a key of its own: NAME_BASE_URL and NAME_API_KEY."""

    async def ask(person: Person, turns: Turns, schema: dict[str, Any] | None) -> str:
        prefix = person.service.upper().replace("-", "_")
        known = person.base_url or os.environ.get(f"{prefix}_BASE_URL") or address
        if not known:
            raise NodeError(f"set {prefix}_BASE_URL to the address of the service")
        key = key_of(f"{prefix}_API_KEY") if needs_key else os.environ.get(f"{prefix}_API_KEY", "none")
        return await chat(person, turns, schema, known, key)

    return ask


async def chat(person: Person, turns: Turns, schema: dict[str, Any] | None, address: str | None, key: str) -> str:
    """Every service that speaks OpenAI's language."""
    from openai import AsyncOpenAI

    shape: Any = {"json_schema": {"name": "answer", "schema": schema}, "type": "json_schema"} if schema else None
    more: dict[str, Any] = {"response_format": shape} if shape else {}
    async with AsyncOpenAI(api_key=key, base_url=address, max_retries=4) as client:
        answer = await client.chat.completions.create(model=person.model, messages=turns, **more)  # type: ignore[arg-type]
    return answer.choices[0].message.content or ""


async def ask_anthropic(person: Person, turns: Turns, schema: dict[str, Any] | None) -> str:
    from anthropic import AsyncAnthropic

    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    if schema:
        system += f"\n\nAnswer with one JSON object only. It must fit: {json.dumps(schema)}"
    talk: Any = [turn for turn in turns if turn["role"] != "system"]
    more: dict[str, Any] = {"system": system} if system else {}
    async with AsyncAnthropic(api_key=key_of("ANTHROPIC_API_KEY"), max_retries=4) as client:
        answer = await client.messages.create(model=person.model, max_tokens=4096, messages=talk, **more)
    return "".join(block.text for block in answer.content if block.type == "text")
