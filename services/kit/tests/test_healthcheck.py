"""What a container's health check says about real servers."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dipeo_kit import healthcheck, rpc


async def test_a_grpc_service_is_healthy_while_it_serves(tmp_path: Path):
    address = f"unix:{tmp_path}/s"
    async with rpc.serve(address, lambda _: None, service_names=["x"]):
        assert await asyncio.to_thread(healthcheck.serves, address)
    assert not await asyncio.to_thread(healthcheck.serves, address)


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_a_web_service_is_healthy_when_it_answers_200(status: int, healthy: bool):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request).start()
        assert healthcheck.serves(f"http://127.0.0.1:{server.server_port}/ready") is healthy
    assert not healthcheck.serves(f"http://127.0.0.1:{server.server_port}/ready")
