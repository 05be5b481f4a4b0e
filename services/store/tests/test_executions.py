"""Conformance cases of executions and what is read of them (spec/store.md §20)."""

import asyncio
import sqlite3

import asyncpg
import postgres
import pytest
from store_client import Store, completed, event, started

from dipeo_kit import ids, rpc
from dipeo_kit.errors import AlreadyExists, BadInput, NotFound
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb
from dipeo_store.backends import postgres_reads
from dipeo_store.backends.sqlite_reads import executions_query
from dipeo_store.model import ExecutionFilter


async def test_case_15_a_node_in_a_loop_has_a_run_per_iteration_in_the_order_they_started(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        for number in range(5):
            usage = ev.TokenUsage(input=10, output=number, cached=1, cost_usd=0.25, unpriced=number % 2)
            output = str(number).encode()
            await store.append(work, started("loop", number, person_id="p"), started(f"side{number}"))
            await store.append(work, completed("loop", number, output=output, usage=usage, model="mock"))
        await store.append(work, event("node_skipped", node_id="never", label="Never", type="endpoint"))
        error = ev.Error(type="ValueError", message="no", code="node_failed", node_id="side0")
        await store.append(
            work,
            event("node_failed", node_id="side0", attempt=1, error=error, port="error", output_json=b"{}"),
            event("node_failed", node_id="side1", attempt=1, error=error),
            event("node_retrying", node_id="side2", attempt=2, reason="executor_lost"),
            event("execution_completed", result_json=b'{"x":1}', warnings=["careful"], skipped_node_ids=["never"]),
        )
        response = await store.get(work.execution_id)
    run, runs = response.execution, response.node_runs
    loops = [each for each in runs if each.node_id == "loop"]
    assert [(each.iteration, each.output_json, each.usage.output) for each in loops] == [
        (number, str(number).encode(), number) for number in range(5)
    ]
    assert (run.usage.input, run.usage.output, run.usage.cached, run.runs_done, run.runs_failed) == (50, 10, 5, 5, 2)
    assert (run.usage.cost_usd, run.usage.unpriced) == (1.25, 2)
    assert [each.node_id for each in runs[:4]] == ["loop", "side0", "loop", "side1"]
    assert (runs[-1].node_id, runs[-1].status, runs[-1].label) == ("never", pb.NODE_RUN_STATUS_SKIPPED, "Never")
    by_id = {(each.node_id, each.attempt): each for each in runs}
    assert by_id["side0", 1].handled and not by_id["side1", 1].handled
    assert by_id["side0", 1].error == error
    assert by_id["side2", 1].status == by_id["side2", 2].status == pb.NODE_RUN_STATUS_ABORTED
    assert by_id["side2", 2].label == "Side2" and loops[0].person_id == "p" and loops[0].model == "mock"
    assert (run.status, run.result_json, list(run.warnings)) == (
        pb.EXECUTION_STATUS_COMPLETED, b'{"x":1}', ["careful"],
    )  # fmt: skip


async def test_case_23_creating_twice_with_one_key_makes_one_execution(store: Store):
    fields = {"idempotency_key": "k", "idempotency_hash": "h", "principal": "me", "variables_json": b'{"a":[1.0,null]}'}
    made = await asyncio.gather(*(store.create(**fields) for _ in range(20)))
    assert len({each.execution.execution_id for each in made}) == 1
    assert sum(each.created for each in made) == 1
    assert made[0].execution.variables_json == b'{"a":[1.0,null]}'
    with pytest.raises(AlreadyExists):
        await store.create(**fields | {"idempotency_hash": "other"})
    assert (await store.create(**fields | {"principal": "you"})).created  # a key is its principal's own


async def test_case_23_creating_with_an_id_that_is_taken(store: Store):
    execution_id = ids.new_execution_id()
    assert (await store.create(execution_id=execution_id)).created
    assert not (await store.create(execution_id=execution_id)).created
    with pytest.raises(AlreadyExists):
        await store.create(execution_id=execution_id, source=b"something else")
    with pytest.raises(BadInput, match="exec_"):
        await store.create(execution_id="exec_short")
    with pytest.raises(BadInput, match="variables_json"):
        await store.create(variables_json=b"{")


async def test_a_retried_create_of_its_holder_returns_the_claim_again(store: Store):
    async with store.session() as session:
        execution_id = ids.new_execution_id()
        first = await store.create(execution_id=execution_id, session_id=session.session_id)
        again = await store.create(execution_id=execution_id, session_id=session.session_id)
        assert first.claim == again.claim and not again.created


async def _pages(store: Store, **fields) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        request = pb.ListExecutionsRequest(page_size=7, page_token=token, **fields)
        page = await rpc.call(store.stub.ListExecutions, request)
        found += [each.execution_id for each in page.executions]
        if not (token := page.next_page_token):
            return found


async def test_case_24_paging_misses_and_repeats_nothing_while_executions_are_created(store: Store):
    made = [(await store.create(diagram_id=f"d{number % 2}")).execution.execution_id for number in range(30)]

    async def keep_creating() -> None:
        for _ in range(20):
            await store.create(diagram_id="d1")

    creating = asyncio.create_task(keep_creating())
    found = [each for each in await _pages(store) if each in made]
    assert found == made[::-1]
    await creating
    assert await _pages(store, diagram_id="d0") == made[::2][::-1]


async def test_case_24_each_filter_finds_its_own(store: Store):
    async with store.session() as session:
        works = [await store.running(session) for _ in range(3)]
        pending = (await store.create()).execution
        await store.append(works[0], event("execution_completed"))
    all_ids = [pending.execution_id, *(work.execution_id for work in works[::-1])]
    assert await _pages(store) == all_ids
    assert await _pages(store, statuses=[pb.EXECUTION_STATUS_COMPLETED]) == [works[0].execution_id]
    assert await _pages(store, statuses=[pb.EXECUTION_STATUS_PENDING, pb.EXECUTION_STATUS_RUNNING]) == all_ids[:3]
    assert await _pages(store, id_prefix=works[1].execution_id[:36]) == [
        each for each in all_ids if each.startswith(works[1].execution_id[:36])
    ]
    theirs = (await store.create(principal="ann")).execution.execution_id
    assert await _pages(store, principal="ann") == [theirs]
    assert theirs not in await _pages(store, principal="bob")
    second = (await store.get(works[1].execution_id)).execution.started_at
    assert await _pages(store, started_after=second) == all_ids[1:3]
    assert await _pages(store, started_before=second) == all_ids[3:]


async def test_a_foreign_page_token_or_size_is_refused(store: Store):
    with pytest.raises(BadInput, match="page token"):
        await rpc.call(store.stub.ListExecutions, pb.ListExecutionsRequest(page_token="later"))
    with pytest.raises(BadInput, match="1 to 1000"):
        await rpc.call(store.stub.ListExecutions, pb.ListExecutionsRequest(page_size=1001))


FILTERS = [
    ExecutionFilter(),
    ExecutionFilter(statuses=("running",)),
    ExecutionFilter(diagram_id="d7"),
    ExecutionFilter(id_prefix="exec_000007"),
    ExecutionFilter(started_after=1, started_before=2),
    ExecutionFilter(principal="p7"),
]


@pytest.mark.parametrize("wanted", FILTERS)
async def test_case_24_each_filter_uses_an_index(sqlite_store: Store, sqlite_settings, wanted: ExecutionFilter):
    sql, values = executions_query(wanted, (1, 1), 10)
    with sqlite3.connect(sqlite_settings.file) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    db.close()
    assert any("e USING INDEX" in step for step in plan), plan
    assert not any(step.startswith("SCAN") and "USING INDEX" not in step for step in plan), plan


@pytest.mark.parametrize("wanted", FILTERS)
async def test_case_24_each_filter_uses_an_index_on_postgres(busy_postgres: str, wanted: ExecutionFilter):
    sql, values = postgres_reads.executions_query(wanted, (1_000_000, 1), 10)
    db = await asyncpg.connect(busy_postgres)
    try:
        plan = "\n".join(row[0] for row in await db.fetch(f"EXPLAIN {sql}", *values))
    finally:
        await db.close()
    assert "Seq Scan on executions" not in plan and "executions_" in plan, plan


@pytest.fixture
async def busy_postgres(postgres_url: str) -> str:
    """With as many executions as it takes for an index to be worth it."""
    source = "0" * 64
    await postgres.execute(
        postgres_url,
        f"INSERT INTO sources VALUES ('{source}', '')",
        f"""
        INSERT INTO executions (execution_id, status, diagram_id, diagram_name, source_hash, origin, principal,
          trace_parent, idempotency_hash, head_seq, created_at, started_at)
        SELECT 'exec_' || lpad(to_hex(n), 8, '0') || repeat('0', 24),
          CASE WHEN n % 100 = 0 THEN 'running' ELSE 'pending' END,
          'd' || n % 100, '', '{source}', '', 'p' || n % 100, '', '', 1, n, n FROM generate_series(1, 5000) n
        """,
        "ANALYZE executions",
    )
    return postgres_url


async def test_messages_come_in_order_and_page_by_page(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        for number in range(5):
            fields = {"message_id": ids.new_hex(), "person_id": "p", "role": "user", "content": f"{number} \0 🙂"}
            await store.append(work, event("message_appended", **fields))
    request = pb.ListMessagesRequest(execution_id=work.execution_id, page_size=3)
    first = await rpc.call(store.stub.ListMessages, request)
    request.page_token = first.next_page_token
    second = await rpc.call(store.stub.ListMessages, request)
    assert [each.content for page in (first, second) for each in page.messages] == [f"{n} \0 🙂" for n in range(5)]
    assert second.next_page_token == ""


async def test_reading_something_unknown_is_not_found(store: Store):
    for method, request in (
        (store.stub.GetExecution, pb.GetExecutionRequest),
        (store.stub.ReadJournal, pb.ReadJournalRequest),
        (store.stub.ListMessages, pb.ListMessagesRequest),
        (store.stub.ListInteractions, pb.ListInteractionsRequest),
    ):
        with pytest.raises(NotFound, match="no execution"):
            await rpc.call(method, request(execution_id=ids.new_execution_id()))


async def test_pages_of_large_events_stay_below_the_size_of_a_message(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        big = b'"' + b"x" * 900_000 + b'"'
        for number in range(25):
            await store.append(work, started("a", number), completed("a", number, output=big))
        header, events = await store.recover(work)
        assert len(events) == work.head_seq == header.execution.head_seq
        assert len(await store.journal(work.execution_id)) == work.head_seq
