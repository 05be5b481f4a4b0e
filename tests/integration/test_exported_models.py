"""Exported scripts ask model services by their own SDKs, here stand-ins that speak the real formats."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import modelservers as wire
import pytest
from house import House
from lightly import light
from scripts import export_of, run_script, script_of

SERVICES = ("openai", "anthropic", "ollama", "groq", "openai-compatible")


def diagram(address: str) -> str:
    """Every service in turn, each remembering what was said; the last answers with an object."""
    nodes = ["{label: Start, type: start}"]
    nodes += [f'{{label: {it}, type: person_job, person: {it} one, default_prompt: "ask {it}"}}' for it in SERVICES]
    shape = "{type: object, properties: {n: {type: integer}}, required: [n]}"
    nodes[-1] = nodes[-1][:-1] + f", text_format: {shape}}}"
    nodes.append("{label: Done, type: endpoint}")
    names = ["Start", *SERVICES, "Done"]
    persons = [f"{it} one: {{service: {it}, model: m-{it}, system_prompt: Be {it}.}}" for it in SERVICES]
    persons[-1] = persons[-1][:-1] + f", base_url: {address}/own}}"
    arrows = [f"- {{from: {one}, to: {other}}}" for one, other in pairwise(names)]
    return light("\n".join(f"- {it}" for it in nodes), "\n".join(arrows), "\n".join(persons))


async def test_every_service_is_asked_with_its_own_key_and_all_that_was_said(home: House) -> None:
    failed: list[str] = []

    def answer(seen: wire.Seen) -> wire.Answer:
        if seen.path.startswith("/groq") and not failed:
            failed.append(seen.path)
            return wire.Answer({"error": {"message": "busy"}}, 429, {"retry-after": "0"})
        if seen.path.endswith("/messages"):
            return wire.anthropic("from anthropic")
        return wire.chat('{"n": 7}' if seen.path.startswith("/own") else f"from {seen.path}")

    async with wire.serving(answer) as server:
        services = {
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "ANTHROPIC_BASE_URL": server.url,
            "OLLAMA_HOST": server.url,
            "GROQ_BASE_URL": f"{server.url}/groq",
            **{f"{it.upper().replace('-', '_')}_API_KEY": f"key of {it}" for it in SERVICES},
        }
        script = await script_of(home, diagram(server.url))
        done = await asyncio.to_thread(run_script, home.base, script, services=services)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"n": 7}
    asked = {seen.body["model"].removeprefix("m-"): seen for seen in server.seen}
    assert list(asked) == list(SERVICES) and len(server.seen) == len(SERVICES) + 1, "429 is asked again"
    for service, seen in asked.items():
        key = seen.headers.get("x-api-key") or seen.headers["authorization"].removeprefix("Bearer ")
        assert key == f"key of {service}"
    check_openai(asked["openai-compatible"].body)
    assert asked["anthropic"].body["system"] == "Be anthropic."
    assert asked["anthropic"].body["messages"][-1] == {"role": "user", "content": "ask anthropic"}


def check_openai(body: dict[str, Any]) -> None:
    assert body["messages"][0] == {"role": "system", "content": "Be openai-compatible."}
    said = [message["content"] for message in body["messages"][1:]]
    assert said[:2] == ["ask openai", "from /v1/chat/completions"] and said[-1] == "ask openai-compatible"
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["n"]


async def test_tools_of_a_service_are_asked_for_and_images_kept(home: House) -> None:
    image = {"id": "i", "type": "image_generation_call", "status": "completed", "result": "aGVsbG8="}

    def answer(seen: wire.Seen) -> wire.Answer:
        return wire.anthropic("found") if seen.path.endswith("/messages") else wire.responses("drawn", before=[image])

    text = light(
        """
        - {label: Start, type: start}
        - label: Draw
          type: person_job
          person: Ann
          default_prompt: draw it
          tools: [image, {type: web_search, config: {search_context_size: low}}]
        - {label: Search, type: person_job, person: Bob, default_prompt: "find {{it}}", tools: websearch}
        - {label: Done, type: endpoint}
        """,
        "- {from: Start, to: Draw}\n- {from: Draw, to: Search, label: it}\n- {from: Search, to: Done}",
        "Ann: {service: openai, model: m, system_prompt: Be brief.}\nBob: {service: anthropic, model: n}",
    )
    async with wire.serving(answer) as server:
        keys = {"OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a"}
        services = {"OPENAI_BASE_URL": f"{server.url}/v1", "ANTHROPIC_BASE_URL": server.url, **keys}
        done = await asyncio.to_thread(run_script, home.base, await script_of(home, text), services=services)
    assert (done.returncode, done.stdout) == (0, "found\n"), done.stderr
    draw, search = server.bodies
    assert draw["tools"] == [{"type": "image_generation"}, {"type": "web_search", "search_context_size": "low"}]
    assert draw["input"][-1] == {"role": "user", "content": "draw it"}
    assert search["tools"][0]["name"] == "web_search"
    assert search["messages"][-1] == {"role": "user", "content": "find drawn"}
    assert [path.read_bytes() for path in (home.base / "files/results/images").iterdir()] == [b"hello"]


async def test_a_key_that_is_not_set_is_named(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES:
        monkeypatch.delenv(f"{service.upper().replace('-', '_')}_API_KEY", raising=False)
    script = await script_of(home, diagram("http://127.0.0.1:9"))
    done = await asyncio.to_thread(run_script, home.base, script, services={})
    problem = "set OPENAI_API_KEY to the key of the service, or use --mock"
    assert (done.returncode, done.stderr) == (1, f'error: node "openai" (person_job): {problem}\n')


async def test_the_key_of_a_service_goes_to_no_other_address(home: House) -> None:
    text = light(
        "- {label: Start, type: start}\n- {label: X, type: person_job, person: Ann, default_prompt: hi}",
        "- {from: Start, to: X}",
        "Ann: {service: openai, model: m, base_url: https://elsewhere.example/v1}",
    )
    response = await export_of(home, text)
    assert response.text == "" and "use openai-compatible" in response.diagnostics[-1].message


async def test_an_object_of_another_shape_is_asked_for_once_more_and_then_refused(home: House) -> None:
    shape = (
        "{type: object, properties: {n: {type: integer}, names: {type: array, items: {type: string}}}, required: [n]}"
    )
    text = light(
        f"""
        - {{label: Start, type: start}}
        - {{label: Ask, type: person_job, person: Ann, default_prompt: "how many?", text_format: {shape}}}
        - {{label: Done, type: endpoint}}
        """,
        "- {from: Start, to: Ask}\n- {from: Ask, to: Done}",
        "Ann: {service: openai, model: m}",
    )
    script = await script_of(home, text)

    async def ran(*answers: str) -> tuple[Any, list[wire.Seen]]:
        left = list(answers)
        async with wire.serving(lambda seen: wire.chat(left.pop(0))) as server:
            services = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "key"}
            return await asyncio.to_thread(run_script, home.base, script, services=services), server.seen

    done, seen = await ran('{"m": 1}', '{"n": 2, "names": ["a"]}')
    assert json.loads(done.stdout) == {"n": 2, "names": ["a"]}, done.stderr
    assert seen[1].body["messages"][-1]["content"].startswith("at answer: 'n' is missing. Answer with one JSON object")
    done, _ = await ran('{"n": "2"}', '{"n": 2, "names": ["a", 1]}')
    assert done.returncode == 1
    assert "asked twice" in done.stderr and "(at answer['names'][1]: it is not of type string)" in done.stderr
