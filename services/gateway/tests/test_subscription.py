"""executionUpdates: every journal event once, in order, resumable (spec/gateway.md §9.2, §15)."""

import asyncio
from contextlib import AsyncExitStack

import httpx2
from gateway_client import close_code, socket

from dipeo_gateway.main import running
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb

STORY = (
    ev.ExecutionCreated(diagram_id="tea.light.yaml", origin="cli"),
    ev.ExecutionStarted(executor="here"),
    ev.NodeStarted(node_id="node_0", label="Brew", type="code_job", attempt=1),
    ev.MessageAppended(node_id="node_0", role="user", content="hello"),
    ev.NodeCompleted(node_id="node_0", attempt=1, port="default", output_json=b'"tea"'),
    ev.SignalConsumed(signal_id="0"),
    ev.ExecutionCompleted(result_json=b'"tea"'),
)


async def test_case_3_following_from_the_start_gives_every_event_once_in_order_as_it_happens(house):
    execution_id = await house.store.add(STORY[0])
    async with socket(house.http) as ws:
        await ws.follow(execution_id)
        seqs = [(await ws.update())["seq"]]
        for body in STORY[1:]:
            await house.store.happen(execution_id, body)
            seqs.append((await ws.update())["seq"])
        assert seqs == [1, 2, 3, 4, 5, 6, 7]
        async with asyncio.timeout(1):
            assert await ws.message() == {"id": "1", "type": "complete"}


async def test_case_4_following_a_finished_execution_replays_it_and_completes(house):
    execution_id = await house.store.add(*STORY)
    async with socket(house.http) as ws:
        await ws.follow(execution_id)
        updates = await ws.rest()
    assert [update["seq"] for update in updates] == [1, 2, 3, 4, 5, 6, 7]
    assert [update["data"].get("is_final", False) for update in updates] == [False] * 6 + [True]


async def test_case_5_after_a_killed_socket_following_goes_on_at_the_next_event(house):
    execution_id = await house.store.add(*STORY[:4])
    async with socket(house.http) as ws:
        await ws.follow(execution_id)
        first = [await ws.update() for _ in range(4)]
        await ws.raw.stream.aclose()  # the network is gone: no close frame
    await house.store.happen(execution_id, *STORY[4:])

    async with socket(house.http) as ws:
        await ws.follow(execution_id, last_seq=4)
        rest = await ws.rest()
        await ws.follow(execution_id)
        whole = await ws.rest()
    assert [update["seq"] for update in rest] == [5, 6, 7]
    assert [update["seq"] for update in first + rest] == [update["seq"] for update in whole]


async def test_a_reader_who_came_in_the_middle_still_learns_the_names_of_nodes(house):
    execution_id = await house.store.add(*STORY)
    node_run = pb.NodeRun(node_id="node_0", label="Brew", type="code_job", attempt=1)
    node_run.started_at.FromMilliseconds(1_700_000_000_030)
    house.store.kept[execution_id].node_runs.append(node_run)
    async with socket(house.http) as ws:
        await ws.follow(execution_id, last_seq=4)
        update = await ws.update()
    assert (update["node_name"], update["node_type"], update["data"]["duration_ms"]) == ("Brew", "code_job", 20)


async def test_an_unknown_execution_is_an_error_not_a_silent_end(house):
    async with socket(house.http) as ws:
        await ws.follow("exec_" + "0" * 32)
        message = await ws.message()
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_a_broken_stream_ends_with_an_error_that_says_where_to_go_on(house):
    house.store.resync_after = 4
    execution_id = await house.store.add(*STORY[:4])
    async with socket(house.http) as ws:
        await ws.follow(execution_id)
        for _ in range(4):
            await ws.update()
        message = await ws.message()
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"] | {"request_id": ""} == {
        "code": "RESYNC_REQUIRED",
        "last_seq": 4,
        "request_id": "",
    }


async def test_an_abrupt_disconnect_ends_the_watch_at_the_store(house):
    execution_id = await house.store.add(*STORY[:2])
    async with socket(house.http) as ws:
        await ws.follow(execution_id)
        await ws.update()
        await house.store.watched_by(1)
        assert house.gateway.activity.subscribers == 1
        await ws.raw.stream.aclose()
        async with asyncio.timeout(5):
            await house.store.watched_by(0)
    assert house.gateway.activity.subscribers == 0


async def test_a_client_that_completes_its_operation_ends_the_watch_and_keeps_its_socket(house):
    execution_id = await house.store.add(*STORY[:2])
    async with socket(house.http) as ws:
        await ws.follow(execution_id)
        await ws.update()
        await ws.raw.send_json({"id": "1", "type": "complete"})
        async with asyncio.timeout(5):
            await house.store.watched_by(0)
        await ws.follow(execution_id, operation="2")
        assert (await ws.message())["id"] in ("1", "2")


async def test_two_followers_of_one_execution_see_the_same(house):
    execution_id = await house.store.add(*STORY)
    async with socket(house.http) as one, socket(house.http) as other:
        await one.follow(execution_id)
        await other.follow(execution_id)
        assert await one.rest() == await other.rest()


async def test_a_negative_last_seq_is_bad_input(house):
    async with socket(house.http) as ws:
        await ws.follow(await house.store.add(*STORY), last_seq=-1)
        message = await ws.message()
    assert message["payload"][0]["extensions"]["code"] == "BAD_INPUT"


async def test_another_sub_protocol_is_closed_with_4406(house):
    async with house.http.websocket("/graphql") as raw:
        assert await close_code(raw) == 4406


async def test_a_stopping_gateway_closes_its_sockets_with_1012_so_that_clients_come_back(house):
    execution_id = await house.store.add(*STORY[:2])
    async with AsyncExitStack() as life:
        gateway = await life.enter_async_context(running(house.settings))
        async with httpx2.AsyncClient(base_url=gateway.url) as http, socket(http) as ws:
            await ws.follow(execution_id)
            await ws.update()
            stopping = asyncio.create_task(life.aclose())
            assert await close_code(ws.raw) == 1012
            await stopping
    await house.store.watched_by(0)


async def test_all_executions_can_be_followed_at_once(house):
    first = await house.store.add(*STORY[:2])
    async with socket(house.http) as ws:
        summaries = ws.summaries({"status": "RUNNING", "diagram_id": "tea.light.yaml"})
        assert await anext(summaries) == {first: "RUNNING"}
        await house.store.happen(first, ev.ExecutionCompleted())
        assert await anext(summaries) == {first: "COMPLETED"}
    asked = house.store.requests[-1]
    assert (list(asked.statuses), asked.diagram_id) == ([pb.EXECUTION_STATUS_RUNNING], "tea.light.yaml")
