"""Errors as clients see them (spec/gateway.md §13.3), and what happens when a service is down (§15 case 24)."""

import time

import httpx2
import pytest
from gateway_client import ask, socket
from gateway_peers import Executor, Store, serve_executor, serve_store
from graphql import GraphQLError

from dipeo_gateway.faults import CodedErrors, code_of, text_of
from dipeo_gateway.main import running
from dipeo_gateway.settings import Settings
from dipeo_kit import errors

GET = '{ getExecution(execution_id: "exec_0") { id } }'
EXECUTE = "mutation($t: String!) { executeDiagram(input: {diagram_source: $t}) { success error error_type } }"


@pytest.mark.parametrize("row", errors.TABLE, ids=lambda row: row.error.__name__)
def test_every_error_of_the_house_has_its_code(row):
    shown = CodedErrors().anonymise_error(GraphQLError("x", original_error=row.error("why"), path=["f"]))
    assert shown.extensions["code"] == row.graphql_code
    assert ("why" in shown.message) == (row.error is not errors.Internal)


def test_too_slow_readers_have_a_code_of_their_own():
    assert code_of(errors.Overloaded("slow", reason="RESYNC_REQUIRED")) == "RESYNC_REQUIRED"


def test_an_unexpected_error_says_nothing_of_itself():
    error = GraphQLError("secret", original_error=KeyError("secret"), path=["f"])
    shown = CodedErrors().anonymise_error(error)
    assert shown.extensions["code"] == "INTERNAL"
    assert "secret" not in shown.message
    assert "secret" not in text_of(errors.Internal("secret"))


async def test_a_crash_in_a_service_is_internal_with_the_request_id_and_nothing_else(house):
    answer = await ask(house.http, EXECUTE, headers={"X-Request-Id": "r-7"}, t="crash")
    result = answer["data"]["executeDiagram"]
    assert (result["success"], result["error_type"]) == (False, "INTERNAL")
    assert result["error"] == "internal error (request r-7)"


async def test_malformed_requests_are_400(house):
    for content in (b"not json", b"{}", b'{"query": 7}', b"[]"):
        response = await house.http.post("/graphql", content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 400


async def test_case_24_without_its_services_the_gateway_lives_says_so_and_recovers_by_itself(tmp_path):
    settings = Settings(
        listen="127.0.0.1:0", store=f"unix:{tmp_path}/store", executor=f"unix:{tmp_path}/executor", base=str(tmp_path)
    )
    async with running(settings) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
        started = time.monotonic()
        read = await ask(http, GET)
        assert time.monotonic() - started < 3
        assert read["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert read["errors"][0]["message"].startswith("the store does not answer")
        written = (await ask(http, EXECUTE, t="x"))["data"]["executeDiagram"]
        assert (written["error_type"], written["error"].startswith("the executor does not answer")) == (
            "UNAVAILABLE",
            True,
        )
        async with socket(http) as ws:
            await ws.follow("exec_0")
            message = await ws.message()
            assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "UNAVAILABLE")
        assert (await http.get("/ready")).status_code == 503
        assert (await http.get("/health")).status_code == 200
        health = (await ask(http, "{ healthCheck }"))["data"]["healthCheck"]
        assert (health["status"], health["checks"]["store"]) == ("degraded", False)

        store = Store()
        async with serve_store(store, tmp_path), serve_executor(Executor(store), tmp_path):
            while (await http.get("/ready")).status_code != 200:
                assert time.monotonic() - started < 30
            assert await ask(http, GET) == {"data": {"getExecution": None}}
            health = (await ask(http, "{ healthCheck }"))["data"]["healthCheck"]
            assert (health["status"], set(health["checks"])) == ("healthy", {"store", "executor", "file_system"})


async def test_case_24_a_store_that_hangs_is_unavailable_within_the_deadline(house):
    house.store.hangs = True
    async with (
        running(house.settings.model_copy(update={"read_timeout_s": 0.2})) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as http,
    ):
        read = await ask(http, GET)
    assert read["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
