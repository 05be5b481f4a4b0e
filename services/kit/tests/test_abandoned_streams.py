"""A live stream whose reader is gone leaves no trace in the log: what its task put into its context it takes back."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from dipeo_kit import rpc, telemetry
from dipeo_protos.store.v1 import store_pb2, store_pb2_grpc


class Store(store_pb2_grpc.StoreServiceServicer):
    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[store_pb2.WatchResponse]:
        try:
            while True:
                yield store_pb2.WatchResponse(events=[{"event_id": "x" * 1000}])
        finally:
            self.left.set()


@pytest.mark.parametrize("via", ["", rpc.INPROCESS])
async def test_a_stream_that_is_given_up_is_closed_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, via: str
):
    monkeypatch.setattr(telemetry, "_tracer", TracerProvider().get_tracer("test"))
    store = Store()

    def register(server: Any) -> None:
        store_pb2_grpc.add_StoreServiceServicer_to_server(store, server)

    with caplog.at_level(logging.DEBUG):
        async with (
            rpc.serve(f"unix:{tmp_path}/s", register, service_names=["x"]) as address,
            rpc.open_channel(via + address) as channel,
        ):
            stub: Any = store_pb2_grpc.StoreServiceStub(channel)
            call = stub.Watch(store_pb2.WatchRequest(), metadata=(("traceparent", f"00-{'c' * 32}-{'d' * 16}-01"),))
            await call.read()
            call.cancel()
            async with asyncio.timeout(5):
                await store.left.wait()
        del call
        gc.collect()
        await asyncio.sleep(0)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == []
