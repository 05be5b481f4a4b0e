"""Two hundred concurrent runs of hello through one stack: all complete, none lost, seqs gapless."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from command import Project

RUNS = 200
HELLO = (Path(__file__).parent.parent.parent / "examples" / "hello.light.yaml").read_text()
EXECUTE = """
mutation Run($text: String) {
  executeDiagram(input: {diagram_source: $text, diagram_format: LIGHT, options: {mock_llm: true}}) {
    success error data { id }
  }
}"""
STATE = "query State($id: String!) { getExecution(execution_id: $id) { status head_seq result } }"
EVENTS = "query Events($id: String!) { executionEvents(execution_id: $id, after_seq: 0, limit: 1000) }"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    made("up", check=0)
    yield made
    made.stop()


async def asked(client: httpx2.AsyncClient, query: str, **variables: Any) -> Any:
    response = await client.post("/graphql", json={"query": query, "variables": variables})
    answer = response.json()
    assert "errors" not in answer, answer
    return next(iter(answer["data"].values()))


async def test_two_hundred_runs_at_once_all_complete(project: Project):
    stack = json.loads((project.base / ".dipeo" / "run" / "gateway.json").read_text())
    headers = {"Authorization": f"Bearer {stack['token']}"}
    async with httpx2.AsyncClient(base_url=stack["url"], headers=headers, timeout=60) as client:
        started = await asyncio.gather(*(asked(client, EXECUTE, text=HELLO) for _ in range(RUNS)))
        assert all(one["success"] for one in started)
        ids = {one["data"]["id"] for one in started}
        assert len(ids) == RUNS

        async def ended(execution_id: str) -> Any:
            while True:
                state = await asked(client, STATE, id=execution_id)
                if state["status"] not in ("PENDING", "RUNNING"):
                    return state
                await asyncio.sleep(0.2)

        states = await asyncio.wait_for(asyncio.gather(*map(ended, ids)), 60)
        assert {state["status"] for state in states} == {"COMPLETED"}
        for execution_id, state in zip(ids, states, strict=True):
            journal = await asked(client, EVENTS, id=execution_id)
            seqs = [event["seq"] for event in journal["events"]]
            assert seqs == list(range(1, state["head_seq"] + 1)) and journal["terminal"]
