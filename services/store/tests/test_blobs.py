"""Large values: kept once by their content, read back as they came (spec/store.md §15.4, §20 cases 16 and 17)."""

import asyncio
import hashlib
import json

import pytest
from store_client import PATIENCE_S, Store, completed, event, started

from dipeo_kit import ids, rpc
from dipeo_kit.errors import BadInput, DataLoss, NotFound
from dipeo_protos.store.v1 import content_pb2
from dipeo_protos.store.v1 import store_pb2 as pb

LARGE = json.dumps({"text": "x" * (5 * 1024 * 1024)}, separators=(",", ":")).encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def _with_large_outputs(store: Store, session, *nodes: str, output: bytes = LARGE) -> pb.Work:
    work = await store.running(session)
    for node in nodes:
        result = await store.append(work, started(node), completed(node, output=output))
        assert not result.reason, result
    return work


async def test_case_16_a_value_of_5_mib_reads_back_byte_for_byte(store: Store):
    async with store.session() as session:
        work = await _with_large_outputs(store, session, "a")
        end = event("execution_completed", result_json=LARGE)
        seen = [each.node_completed.output_json async for each in _two(store, work.execution_id, 4)]
        assert seen == [LARGE]
        await store.append(work, end)
        journal = await store.journal(work.execution_id)
        assert journal[3].node_completed.output_json == LARGE
        assert journal[4].execution_completed.result_json == LARGE
        found = await store.get(work.execution_id)
        assert found.execution.result_json == LARGE and found.execution.result_bytes == len(LARGE)
        (run,) = found.node_runs
        assert (run.output_json, run.output_bytes, run.output_blob) == (b"", len(LARGE), _hash(LARGE))
    await store.restart()
    assert (await store.journal(work.execution_id))[3].node_completed.output_json == LARGE
    (listed,) = (await rpc.call(store.stub.ListExecutions, pb.ListExecutionsRequest())).executions
    assert (listed.result_json, listed.result_bytes) == (b"", len(LARGE))
    assert await _get_blob(store, _hash(LARGE)) == LARGE


async def _two(store: Store, execution_id: str, seq: int):
    async for each in store.watch(execution_id, seq - 1):
        yield each
        return


async def test_case_16_the_same_value_is_kept_once_and_payloads_stay_small(store: Store):
    async with store.session() as session:
        works = [await _with_large_outputs(store, session, "a", "b", "c") for _ in range(2)]
        await store.append(works[0], event("execution_completed", result_json=LARGE))
    await store.stop_serving()
    assert await store.sql("SELECT count(*), sum(size) FROM blobs") == [(1, len(LARGE))]
    assert await store.sql("SELECT sum(length(data)) FROM blob_chunks") == [(len(LARGE),)]
    assert (await store.sql("SELECT max(length(payload)) FROM transitions"))[0][0] < 1000
    assert await store.sql("SELECT count(*) FROM blob_refs") == [(2,)]


DAMAGE = {"changed": "UPDATE blob_chunks SET data = {zero} WHERE number = 1", "gone": "DELETE FROM blob_chunks"}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_case_16_a_damaged_value_is_data_loss_and_harms_nothing_else(store: Store, damage: str):
    async with store.session() as session:
        work = await _with_large_outputs(store, session, "a")
        other = await store.running(session)
    await store.stop()
    await store.sql(DAMAGE[damage].format(zero=store.literal(b"\0")))
    await store.start()
    with pytest.raises(DataLoss, match="damaged"):
        await store.journal(work.execution_id)
    with pytest.raises(DataLoss):
        await _get_blob(store, _hash(LARGE))
    assert len(await store.journal(other.execution_id)) == 2
    assert (await store.get(work.execution_id)).node_runs[0].output_blob == _hash(LARGE)


async def test_values_just_above_the_limit_show_in_node_runs_and_large_ones_only_their_size(store: Store):
    small, middle, large = b'"' + b"s" * 8190 + b'"', b'"' + b"m" * 9000 + b'"', b'"' + b"l" * 300_000 + b'"'
    async with store.session() as session:
        work = await store.running(session)
        for node, output in (("s", small), ("m", middle), ("l", large)):
            await store.append(work, started(node), completed(node, output=output))
        runs = (await store.get(work.execution_id)).node_runs
        assert [(run.output_json, run.output_bytes) for run in runs] == [
            (small, len(small)),
            (middle, len(middle)),
            (b"", len(large)),
        ]
        assert [bool(run.output_blob) for run in runs] == [False, True, True]


async def test_a_large_journal_is_read_in_pages_of_a_bearable_size(store: Store):
    value = b'"' + b"v" * 700_000 + b'"'
    async with store.session() as session:
        work = await store.running(session)
        for n in range(6):
            output = value[:-2] + str(n).encode() + b'"'
            await store.append(work, started("a", n), completed("a", n, output=output))
        page = await rpc.call(store.stub.ReadJournal, pb.ReadJournalRequest(execution_id=work.execution_id))
        assert len(page.events) < 6
        assert len(await store.journal(work.execution_id)) == 14
        _, events = await store.recover(work)
        assert len(events) == 14


async def test_a_long_message_is_whole_in_the_journal_and_in_the_conversation(store: Store):
    text = "ü\n" * 20_000
    async with store.session() as session:
        work = await store.running(session)
        await store.append(work, started("a"), event("message_appended", message_id=ids.new_hex(), content=text))
        await store.append(work, completed("a"), event("execution_completed"))
        assert (await store.journal(work.execution_id))[3].message_appended.content == text
        fork = pb.Fork(execution_id=work.execution_id, before_seq=6)
        again = (await store.create(fork=fork, source=b"")).execution.execution_id
    for execution_id in (work.execution_id, again):
        request = pb.ListMessagesRequest(execution_id=execution_id)
        (message,) = (await rpc.call(store.stub.ListMessages, request)).messages
        assert message.content == text
        assert text in [each.message_appended.content for each in await store.journal(execution_id)]


def _deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    "value",
    [
        b'"\\u0000 a \\u0000"',
        '"🙂 ü \U0001f469‍\U0001f4bb"'.encode(),
        b"100000000000000000000",
        b"-0.1e-7",
        b'{"$blobs":{"output":["no",1]},"$type":"bytes","data":"AAEC"}',
        _deep(200),
        b'{"":{"a":null,"b":[1,2.5,"x"]}}',
    ],
    ids=["nul", "emoji", "1e20", "float", "marks", "deep", "mixed"],
)
async def test_case_17_odd_values_come_back_as_they_came(store: Store, value: bytes):
    large = b'{"filler":"' + b"f" * 10_000 + b'","value":' + value + b"}"
    async with store.session() as session:
        work = await store.running(session)
        for node, output in (("a", value), ("b", large)):
            assert not (await store.append(work, started(node), completed(node, output=output))).reason
        await store.append(work, event("execution_completed", result_json=large))
    await store.restart()
    journal = await store.journal(work.execution_id)
    outputs = [each.node_completed.output_json for each in journal if each.HasField("node_completed")]
    assert [json.loads(each) for each in outputs] == [json.loads(value), json.loads(large)]
    found = await store.get(work.execution_id)
    assert json.loads(found.execution.result_json) == json.loads(large)
    assert [json.loads(run.output_json) for run in found.node_runs] == [json.loads(value), json.loads(large)]


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"\xff", b"{'a': 1}"])
async def test_case_17_what_is_no_json_is_refused(store: Store, value: bytes):
    async with store.session() as session:
        work = await store.running(session)
        assert (await store.append(work, started("a"), completed("a", output=value))).reason == "INVALID"


# --- blobs of their own ----------------------------------------------------------------------------------------------


async def _put_blob(
    store: Store, data: bytes, *, hash_: str = "", piece: int = 256 * 1024
) -> content_pb2.PutBlobResponse:
    call = store.stub.PutBlob()
    first = content_pb2.PutBlobRequest(hash=hash_ or _hash(data), data=data[:piece])
    rest = [content_pb2.PutBlobRequest(data=data[at : at + piece]) for at in range(piece, len(data), piece)]
    with rpc.translated():
        for request in (first, *rest):
            await call.write(request)
        await call.done_writing()
        async with asyncio.timeout(PATIENCE_S):
            return await call.read()


async def _get_blob(store: Store, hash_: str) -> bytes:
    with rpc.translated():
        return b"".join([each.data async for each in store.stub.GetBlob(content_pb2.GetBlobRequest(hash=hash_))])


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 3 * 1024 * 1024 + 7])
async def test_bytes_that_were_put_can_be_got(store: Store, size: int):
    data = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    for _ in range(2):
        assert (await _put_blob(store, data)).size_bytes == size
    assert await _get_blob(store, _hash(data)) == data


async def test_a_wrong_hash_and_an_unknown_one_are_said(store: Store):
    with pytest.raises(BadInput, match="hash"):
        await _put_blob(store, b"abc", hash_=_hash(b"abd"))
    with pytest.raises(BadInput, match="64 hex digits"):
        await _put_blob(store, b"abc", hash_="abc")
    with pytest.raises(NotFound):
        await _get_blob(store, _hash(b"abc"))


async def test_more_than_the_limit_is_refused(store: Store, monkeypatch):
    monkeypatch.setattr("dipeo_store.blobs.MAX_BYTES", 1000)
    with pytest.raises(BadInput, match="at most 1000"):
        await _put_blob(store, b"x" * 1001)
