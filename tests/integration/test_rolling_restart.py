"""A rollout under load: a hundred runs in flight, every service stopped and started once, nothing lost or repeated."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
from cluster import TOKEN, Cluster, cluster

RUNS = 100
DIAGRAM = """version: light
nodes:
  - {label: Start, type: start}
  - {label: Before, type: code_job, code: "result = number + 1"}
  - {label: Go, type: user_response, prompt: Go on?}
  - {label: After, type: code_job, code: "result = number + 2"}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Before}
  - {from: Before, to: Go}
  - {from: Go, to: After}
  - {from: After, to: Done}
"""
EXECUTE = "mutation($input: ExecuteDiagramInput!) { executeDiagram(input: $input) { success error data { id } } }"
ANSWER = "mutation($input: InteractiveResponseInput!) { sendInteractiveResponse(input: $input) { success error } }"
EVENTS = "query($id: String!) { executionEvents(execution_id: $id) }"


class Client:
    """GraphQL over whichever gateway answers, tried again as any careful client does."""

    def __init__(self, urls: list[str], http: httpx2.AsyncClient) -> None:
        self._urls, self._http = urls, http

    async def ask(self, document: str, variables: dict[str, Any], number: int, key: str = "") -> dict[str, Any]:
        for attempt in range(300):
            url = self._urls[(number + attempt) % len(self._urls)]
            try:
                response = await self._http.post(
                    f"{url}/graphql",
                    json={"query": document, "variables": variables},
                    headers={"authorization": f"Bearer {TOKEN}", **({"idempotency-key": key} if key else {})},
                )
            except httpx2.HTTPError:
                response = None
            if response is not None and response.status_code == 200 and "errors" not in response.json():
                answer: dict[str, Any] = next(iter(response.json()["data"].values()))
                if answer.get("success", True):
                    return answer
                assert "try again" in answer["error"] or "stopping" in answer["error"], answer
            await asyncio.sleep(0.1)
        raise AssertionError(f"nobody answers {document}: {response.text if response is not None else 'no connection'}")

    async def begin(self, number: int) -> str:
        given = {"diagram_source": DIAGRAM, "variables": {"number": number}}
        return str((await self.ask(EXECUTE, {"input": given}, number, key=f"run {number}"))["data"]["id"])

    async def answer(self, execution_id: str, number: int) -> None:
        given = {"execution_id": execution_id, "node_id": "node_2", "response": "yes"}
        await self.ask(ANSWER, {"input": given}, number)

    async def reached(self, execution_id: str, type_: str, number: int) -> list[dict[str, Any]]:
        """The journal, once an event of this type is in it."""
        for _ in range(600):
            page = await self.ask(EVENTS, {"id": execution_id}, number)
            events: list[dict[str, Any]] = page["events"]
            if any(it["type"] == type_ for it in events):
                return events
            assert not page["terminal"], events[-1]
            await asyncio.sleep(0.2)
        raise AssertionError(f"{execution_id} never reached {type_}")


async def rollout(house: Cluster) -> None:
    """As Kubernetes does it: one process at a time, the next when the last is ready."""
    for service in [*house.gateways, *house.executors, house.store]:
        code = await asyncio.to_thread(service.stop)
        assert code == 0, f"{service.module} did not leave in order: {code}, see {service.log}"
        await asyncio.to_thread(service.start)


async def test_a_hundred_runs_survive_a_rollout_of_every_service(tmp_path: Path):
    with cluster(tmp_path, executors=2, gateways=2) as house:
        urls = [f"http://{it.environment['DIPEO_GATEWAY_LISTEN']}" for it in house.gateways]
        async with httpx2.AsyncClient(timeout=30) as http:
            client = Client(urls, http)
            runs = await asyncio.gather(*(client.begin(number) for number in range(RUNS)))
            await rollout(house)  # while some have begun and others ask their question
            await asyncio.gather(*(client.reached(it, "INTERACTIVE_PROMPT", n) for n, it in enumerate(runs)))
            await asyncio.gather(rollout(house), *(client.answer(it, n) for n, it in enumerate(runs)))
            ends = await asyncio.gather(*(client.reached(it, "EXECUTION_COMPLETED", n) for n, it in enumerate(runs)))

    assert len(set(runs)) == RUNS
    for number, events in enumerate(ends):
        assert [it["seq"] for it in events] == list(range(1, len(events) + 1)), "a journal has a gap"
        assert events[-1]["result"] == number + 2
        completed = Counter(it["node_id"] for it in events if it["type"] == "NODE_COMPLETED")
        assert set(completed.values()) == {1} and len(completed) == 5, completed
