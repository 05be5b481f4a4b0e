"""A service that is older than its caller says so. The caller's messages come from a schema a release ahead."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc import aio

from dipeo_kit import errors, rpc, skew
from dipeo_protos.executor.v1 import executor_pb2, executor_pb2_grpc

SERVICE = "/dipeo.executor.v1.ExecutorService"


class Executor(executor_pb2_grpc.ExecutorServiceServicer):
    def __init__(self) -> None:
        self.called = False

    async def Submit(self, request: Any, context: Any) -> executor_pb2.SubmitResponse:
        self.called = True
        return executor_pb2.SubmitResponse(execution_id="exec_1")


@pytest.fixture
def next_release() -> Any:
    """SubmitRequest of a release whose RunOptions have a field more, `max_hours = 900`."""
    pool = descriptor_pool.DescriptorPool()
    for name in ("dipeo_protos/diagram/v1/diagram.proto", "dipeo_protos/executor/v1/executor.proto"):
        file = descriptor_pb2.FileDescriptorProto()
        descriptor_pool.Default().FindFileByName(name).CopyToProto(file)
        for message in file.message_type:
            if message.name == "RunOptions":
                message.field.add(name="max_hours", number=900, type=1, label=1)
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("dipeo.executor.v1.SubmitRequest"))


@pytest.fixture
async def executor() -> Executor:
    return Executor()


@pytest.fixture
async def channel(tmp_path: Path, executor: Executor) -> AsyncIterator[aio.Channel]:
    def register(server: Any) -> None:
        executor_pb2_grpc.add_ExecutorServiceServicer_to_server(executor, server)

    async with (
        rpc.serve(f"unix:{tmp_path}/s", register, service_names=["x"]) as address,
        rpc.open_channel(address) as opened,
    ):
        yield opened


async def test_a_field_of_a_later_release_is_refused_by_name_not_left_out(
    channel: aio.Channel, executor: Executor, next_release: Any
):
    submit: Any = channel.unary_unary(
        f"{SERVICE}/Submit", next_release.SerializeToString, executor_pb2.SubmitResponse.FromString
    )
    with pytest.raises(errors.Unavailable, match=r"the executor is release .* older .* field 900 of RunOptions"):
        await rpc.call(submit, next_release(options={"max_hours": 2.0, "mock_llm": True}))
    assert not executor.called
    answer = await rpc.call(submit, next_release(options={"mock_llm": True}))  # what it does not use harms nobody
    assert executor.called and answer.execution_id == "exec_1"


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_stream"])
async def test_a_method_of_a_later_release_is_refused_by_name(channel: aio.Channel, kind: str):
    method: Any = getattr(channel, kind)(f"{SERVICE}/Foretell")
    with (
        pytest.raises(errors.Unavailable, match="does not know Foretell; upgrade the executor") as caught,
        rpc.translated(),
    ):
        match kind:
            case "unary_unary":
                await method(b"")
            case "unary_stream":
                await method(b"").read()
            case _:
                await method().read()
    assert caught.value.reason == skew.OLDER
