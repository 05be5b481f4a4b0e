"""The secret of a house: every server of a process asks for it, every call of ours carries it."""

from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dipeo_kit import errors, rpc
from dipeo_protos.store.v1 import store_pb2, store_pb2_grpc


class Store(store_pb2_grpc.StoreServiceServicer):
    async def GetExecution(self, request: Any, context: Any) -> Any:
        return store_pb2.GetExecutionResponse()


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "_secret", "")  # put back at the end
    file = tmp_path / "secret"
    file.write_text("open sesame\n")
    rpc.use_secret(file)


@pytest.mark.parametrize("via", ["", rpc.INPROCESS])
async def test_only_calls_with_the_secret_are_served_and_ours_carry_it(tmp_path: Path, secret: None, via: str):
    def register(server: Any) -> None:
        store_pb2_grpc.add_StoreServiceServicer_to_server(Store(), server)

    async with (
        rpc.serve(f"unix:{tmp_path}/s", register, service_names=["x"]) as address,
        rpc.open_channel(via + address) as channel,
    ):
        stub = store_pb2_grpc.StoreServiceStub(channel)
        await rpc.call(stub.GetExecution, store_pb2.GetExecutionRequest())
        for metadata in ((), (("authorization", "Bearer open"),)):
            with pytest.raises(errors.Unauthenticated, match="secret of this house"), rpc.translated():
                await stub.GetExecution(store_pb2.GetExecutionRequest(), metadata=metadata)


async def test_health_asks_for_nothing(tmp_path: Path, secret: None):
    async with (
        rpc.serve(f"unix:{tmp_path}/s", lambda _: None, service_names=["x"]) as address,
        rpc.open_channel(address) as channel,
    ):
        response = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_a_secret_file_that_holds_nothing_is_told_at_the_start(tmp_path: Path):
    (tmp_path / "empty").touch()
    for name, said in (("empty", "is empty"), ("none", "No such file")):
        with pytest.raises(errors.BadInput, match=said):
            rpc.use_secret(tmp_path / name)
