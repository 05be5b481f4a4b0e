"""Who may call: the secret of a house, and certificates of one authority on both sides. Real handshakes."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dipeo_kit import errors, identity, rpc
from dipeo_protos.store.v1 import store_pb2, store_pb2_grpc

REQUEST = store_pb2.GetExecutionRequest()


class Store(store_pb2_grpc.StoreServiceServicer):
    async def GetExecution(self, request: Any, context: Any) -> Any:
        return store_pb2.GetExecutionResponse()


@asynccontextmanager
async def served(address: str) -> AsyncIterator[str]:
    def register(server: Any) -> None:
        store_pb2_grpc.add_StoreServiceServicer_to_server(Store(), server)

    async with rpc.serve(address, register, service_names=["x"], grace_s=0) as at:
        yield at


async def asked(address: str) -> None:
    async with rpc.open_channel(address) as channel:
        stub: Any = store_pb2_grpc.StoreServiceStub(channel)
        await rpc.call(stub.GetExecution, REQUEST, timeout_s=5)


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known is forgotten at its end."""
    monkeypatch.setattr(identity, "_secret", "")
    monkeypatch.setattr(identity, "_certificates", None)


# --- the secret ------------------------------------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("open sesame\n")
    identity.use_secret(file)


@pytest.mark.parametrize("via", ["", rpc.INPROCESS])
async def test_only_calls_with_the_secret_are_served_and_ours_carry_it(tmp_path: Path, secret: None, via: str):
    async with served(f"unix:{tmp_path}/s") as address, rpc.open_channel(via + address) as channel:
        stub = store_pb2_grpc.StoreServiceStub(channel)
        await rpc.call(stub.GetExecution, REQUEST)
        for metadata in ((), (("authorization", "Bearer open"),)):
            with pytest.raises(errors.Unauthenticated, match="secret of this house"), rpc.translated():
                await stub.GetExecution(REQUEST, metadata=metadata)


async def test_health_asks_for_nothing(tmp_path: Path, secret: None):
    async with served(f"unix:{tmp_path}/s") as address, rpc.open_channel(address) as channel:
        response = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_a_secret_file_that_holds_nothing_is_told_at_the_start(tmp_path: Path):
    (tmp_path / "empty").touch()
    for name, said in (("empty", "is empty"), ("none", "No such file")):
        with pytest.raises(errors.BadInput, match=said):
            identity.use_secret(tmp_path / name)


# --- certificates ----------------------------------------------------------------------------------------------------


def use(authority: Authority) -> None:
    identity.use_certificates(authority.ca, authority.cert, authority.key)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "theirs")


async def test_services_with_certificates_of_one_authority_talk_and_others_do_not_hear_them(ours: Authority):
    use(ours)
    async with served("127.0.0.1:0") as address:
        await asked(address)
        await asked(address.replace("127.0.0.1", "localhost"))
        identity._certificates = None  # a neighbour without any
        with pytest.raises(errors.Unavailable, match="hung up at once: it wants a certificate"):
            await asked(address)


async def test_a_server_of_another_authority_is_refused_by_the_client(ours: Authority, theirs: Authority):
    use(theirs)
    async with served("127.0.0.1:0") as address:
        use(ours)
        with pytest.raises(errors.Unavailable, match="not signed by the authority in DIPEO_GRPC_CA_FILE"):
            await asked(address)


async def test_a_client_of_another_authority_is_refused_by_the_server(ours: Authority, theirs: Authority):
    use(ours)
    async with served("127.0.0.1:0") as address:
        identity.use_certificates(ours.ca, theirs.cert, theirs.key)  # trusts us, but is not of us
        with pytest.raises(errors.Unavailable, match="it wants a certificate, or another than ours"):
            await asked(address)


async def test_a_certificate_for_another_name_is_refused(ours: Authority):
    use(ours)
    async with served("127.0.0.2:0") as address:
        with pytest.raises(errors.Unavailable, match="not for the name we reach it by"):
            await asked(address)


async def test_a_server_without_certificates_is_told_as_that(ours: Authority):
    async with served("127.0.0.1:0") as address:
        use(ours)
        with pytest.raises(errors.Unavailable, match="for all services or none"):
            await asked(address)


async def test_unix_sockets_need_none(ours: Authority, tmp_path: Path):
    use(ours)
    async with served(f"unix:{tmp_path}/s") as address:
        await asked(address)


async def test_a_list_of_addresses_has_no_name_to_be_certified(ours: Authority):
    use(ours)
    with pytest.raises(errors.BadInput, match="give one name that has several addresses"):
        await asked("127.0.0.1:1,127.0.0.1:2")


async def test_the_health_check_of_a_container_shows_the_certificate_too(ours: Authority):
    use(ours)
    files = {identity.CA: str(ours.ca), identity.CERT: str(ours.cert), identity.KEY: str(ours.key)}
    async with served("127.0.0.1:0") as address:
        for environment, code in ((files, 0), ({}, 1)):
            command = [sys.executable, "-m", "dipeo_kit.healthcheck", address]
            done = await asyncio.to_thread(subprocess.run, command, env=dict(os.environ) | environment, timeout=30)
            assert done.returncode == code


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda it: (it.ca, it.cert, None), "DIPEO_GRPC_KEY_FILE must be set too"),
        (lambda it: (None, it.cert, None), "DIPEO_GRPC_CA_FILE and DIPEO_GRPC_KEY_FILE must be set too"),
        (lambda it: (it.ca, it.cert, it.ca), "DIPEO_GRPC_KEY_FILE .*ca.crt are no certificate and its key"),
        (lambda it: (it.key, it.cert, it.key), "DIPEO_GRPC_CA_FILE .*tls.key holds no certificate"),
        (lambda it: (it.ca, it.cert, Path("/nowhere/key")), "DIPEO_GRPC_KEY_FILE /nowhere/key: No such file"),
    ],
)
def test_files_that_do_not_fit_are_told_at_the_start(ours: Authority, change: Any, said: str):
    with pytest.raises(errors.BadInput, match=said):
        identity.use_certificates(*change(ours))
