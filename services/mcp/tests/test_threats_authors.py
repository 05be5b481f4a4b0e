"""Threat cases T6 to T10 of spec/mcp.md §5.2: names, texts and schemas that authors and callers send."""

import asyncio
import json
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from command import chain
from mcp_house import HELLO, MODERN, Place, client, place, text_of
from mcp_keys import ALICE, bearer

from dipeo_kit import publishing
from dipeo_mcp import errors, schemas, settings
from dipeo_mcp.limits import Limits
from dipeo_mcp.settings import Settings

BAD_NAMES = [
    *("../x", "..%2fx", "a/b", "a\\b", "/etc/passwd", "C:\\x", "a\x00b", "a\nb", "x" * 300, "pаypal", "-rf", ".hidden"),
    *("a..b", "", " ", "{{7*7}}", "$(id)", "a b"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_threat_6_what_is_no_name_reaches_nothing(guarded: Place, name: str):
    assert not publishing.is_name(name)
    before = sorted(path.name for path in guarded.house.base.rglob("*.yaml"))
    async with client(guarded.url, MODERN, headers=bearer(ALICE)) as connected:
        for tool, arguments in (
            ("dipeo_run", {"diagram": name}),
            ("run_backend", {"diagram": f"dipeo://diagrams/{name}"}),
            ("fetch", {"id": name}),
            ("compile_diagram", {"diagram_content": HELLO, "push_as": name}),
            ("unpublish_diagram", {"name": name}),
        ):
            assert (await connected.call_tool(tool, arguments)).is_error, tool
    assert sorted(path.name for path in guarded.house.base.rglob("*.yaml")) == before
    assert await guarded.executions() == []


@pytest.mark.parametrize("id", ["/etc/passwd", "file:///etc/passwd", "dipeo://diagrams/../../x", "projects/hello.yaml"])
async def test_threat_7_fetch_opens_no_files(guarded: Place, id: str):
    async with client(guarded.url, MODERN, headers=bearer(ALICE)) as connected:
        answer = await connected.call_tool("fetch", {"id": id})
        assert answer.is_error
        assert id not in text_of(answer) and "root:" not in text_of(answer)


async def test_threat_8_names_shadow_nothing(tmp_path: Path):
    diagrams = dict.fromkeys(("search", "dipeo_run", "Two.names", "two_names", "TWO_NAMES"), HELLO)
    async with place(tmp_path, diagrams=diagrams) as there, client(there.url, MODERN) as connected:
        tools = [tool.name for tool in (await connected.list_tools()).tools]
        assert len(tools) == len(set(tools))
        assert {"search", "diagram_search", "dipeo_run", "diagram_dipeo_run", "diagram_two_names"} <= set(tools)
        twins = [tool for tool in tools if tool.startswith("diagram_two_names")]
        assert len(twins) == 3
        ran = [(await connected.call_tool(tool, {})).structured_content["diagram"] for tool in twins]
        assert sorted(ran) == ["TWO_NAMES", "Two.names", "two_names"]
        assert json.loads(text_of(await connected.call_tool("search", {"query": ""})))["count"] == 5


BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
)


SMALL_BOMB = "\n".join(["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 24)])


@pytest.mark.parametrize(
    "text",
    [BOMB, SMALL_BOMB, "x" * (5 * 1024 * 1024), "!!python/object/apply:os.system ['id']", "nodes: 1\nnodes: 2\n"],
    ids=["bomb", "small bomb", "five megabytes", "tag", "duplicate key"],
)
async def test_threat_9_hostile_texts_are_refused_in_time_and_memory(tmp_path: Path, text: str):
    async with (
        place(tmp_path, diagrams={}, limits=Limits(body_bytes=8 * 1024 * 1024)) as there,
        client(there.url, MODERN) as connected,
    ):
        await connected.call_tool("compile_diagram", {"diagram_content": HELLO})
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with asyncio.timeout(2):
            answer = await connected.call_tool("compile_diagram", {"diagram_content": text, "push_as": "bad"})
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        assert answer.is_error or answer.structured_content["valid"] is False
        assert grown_kib < 128 * 1024  # client, service and executor share this process, and the text is 5 MiB
        assert json.loads(text_of(await connected.call_tool("search", {"query": ""})))["count"] == 0


def deep(levels: int) -> Any:
    return {"type": "object", "properties": {"x": deep(levels - 1)}} if levels else {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"x": {"$ref": "https://evil.example/schema.json"}}},
        {"type": "object", "properties": {"x": {"$ref": "file:///etc/passwd"}}},
        deep(30),
        {"type": "object", "properties": {f"p{n}": {"description": "x" * 100} for n in range(500)}},
        {"type": "array"},
        {"type": "object", "properties": {"x": {"type": 7}}},
        [1],
    ],
    ids=["remote", "file", "deep", "large", "array", "no schema", "list"],
)
async def test_threat_10_a_hostile_schema_is_ignored(tmp_path: Path, schema: Any):
    with pytest.raises(schemas.SchemaRefused):
        schemas.usable(schema)
    text = HELLO.replace(
        "metadata: {description: Greets somebody}", f"metadata: {{mcp: {{input_schema: {json.dumps(schema)}}}}}"
    )
    async with place(tmp_path, diagrams={"odd": text}) as there, client(there.url, MODERN) as connected:
        tool = next(it for it in (await connected.list_tools()).tools if it.name == "diagram_odd")
        assert tool.input_schema["additionalProperties"] is True
        assert (await connected.call_tool("diagram_odd", {"name": "Bo"})).structured_content["result"] == "Hello, Bo!"


def test_threat_10_a_catastrophic_pattern_is_matched_in_linear_time():
    schema = schemas.usable({"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}})
    began = time.perf_counter()
    assert schemas.problems(schemas.compiled(schema), {"x": "a" * 50_000 + "!"})
    assert time.perf_counter() - began < 1


async def test_risky_nodes_run_on_loopback_and_are_refused_when_exposed(tmp_path: Path):
    async with place(tmp_path, diagrams={}, allow_nodes=()) as there:
        there.publish("code", chain("{label: X, type: code_job, language: python, code: 'result = 1'}"))
        async with client(there.url, MODERN) as connected:
            answer = await connected.call_tool("dipeo_run", {"diagram": "code"})
            assert answer.is_error and "code_job" in text_of(answer)
            assert "diagram_code" not in [tool.name for tool in (await connected.list_tools()).tools]
    exposed = Settings(host="0.0.0.0", api_keys=ALICE)
    assert exposed.is_exposed and not Settings().is_exposed
    assert settings.check(exposed) is None
    assert errors.EXIT_CONFIG == 78
