"""A command line and a gateway of different releases: what both know works, what one lacks is said by name.

The other release is the real gateway behind a door that knows a smaller schema, and another version number.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cluster import Cluster, cluster
from command import wait_for
from graphql import GraphQLSchema, build_schema, parse, validate
from lightly import SUM

from dipeo_cli import __version__

SCHEMA = (Path(__file__).parents[2] / "docs" / "schema.graphql").read_text()


@dataclass(frozen=True)
class Release:
    version: str
    schema: GraphQLSchema


def without(*lines: str) -> GraphQLSchema:
    text = SCHEMA
    for line in lines:
        assert text.count(line) == 1, line
        text = text.replace(line, "")
    return build_schema(text)


@contextmanager
def door(house: Cluster, release: Release) -> Iterator[str]:
    """The address of a gateway of that release."""
    behind = house.project.environment["DIPEO_API_URL"]

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            health = httpx2.get(f"{behind}{self.path}").json()
            self._say(200, health | ({"version": release.version} if self.path == "/health" else {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            unknown = validate(release.schema, parse(json.loads(body)["query"]))
            if unknown:
                self._say(200, {"data": None, "errors": [{"message": it.message} for it in unknown]})
                return
            headers = {name: self.headers[name] for name in ("authorization", "content-type")}
            answer = httpx2.post(f"{behind}{self.path}", content=body, headers=headers)
            self._say(answer.status_code, answer.json())

        def _say(self, status: int, body: Any) -> None:
            said = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("house"), executors=1) as running:
        running.project.write("sum.light.yaml", SUM)
        yield running


RETRY = "  retryExecution(input: RetryExecutionInput!): ExecutionResult!\n"


def test_with_an_older_gateway_what_both_know_works_and_what_it_lacks_is_said(house: Cluster):
    with door(house, Release("0.0.9", without(RETRY))) as url:
        execution_id = house.project.background("sum.light.yaml", "--api-url", url)
        asked = "results", execution_id, "--api-url", url, "--json"
        found = wait_for(lambda: (it := house.project.json(*asked))["status"] == "completed" and it, "the run")
        assert found["final_output"] == 5

        refused = house.project("retry", execution_id, "--api-url", url, "--json")
        assert (refused.code, refused.json["error_code"]) == (1, "not_supported")
        said = f"the gateway at {url} is release 0.0.9, older than this dipeo {__version__}"
        assert refused.json["error"].startswith(said) and "field 'retryExecution'" in refused.json["error"]
        assert refused.json["hint"] == f"upgrade the gateway to {__version__}"

        version = house.project.json("version", "--json", "--api-url", url)
        assert (version["gateway"]["version"], version["compatible"]) == ("0.0.9", False)
        told = house.project("doctor", "--api-url", url)
        assert f"{url} is release 0.0.9, older than this dipeo {__version__}" in told.out + told.err


def test_an_older_gateway_that_takes_no_published_diagrams_says_so(house: Cluster):
    begin = SCHEMA.index('  """\n  Publishes a diagram')
    upload = SCHEMA[begin : SCHEMA.index("\n", SCHEMA.index("  uploadDiagram(")) + 1]
    with door(house, Release("0.0.9", without(upload))) as url:
        refused = house.project("compile", "sum.light.yaml", "--push-as", "sum", "--api-url", url, "--json")
        assert (refused.code, refused.json["error_code"]) == (1, "not_supported")
        assert f"the gateway at {url} is release 0.0.9, older" in refused.json["error"]
        assert "field 'uploadDiagram'" in refused.json["error"]


def test_behind_a_newer_gateway_that_no_longer_knows_something_the_command_line_is_to_be_upgraded(house: Cluster):
    with door(house, Release("9.0.0", without(RETRY))) as url:
        refused = house.project("retry", f"exec_{'0' * 32}", "--api-url", url, check=1)
        assert f"is release 9.0.0, newer than this dipeo {__version__}" in refused.err
        assert "upgrade this dipeo to 9.0.0" in refused.err


def test_a_gateway_of_the_same_release_is_not_blamed_for_a_mistake_in_the_call(house: Cluster):
    refused = house.project("retry", f"exec_{'0' * 32}", check=1)
    assert "no execution" in refused.err.lower() or "not found" in refused.err.lower()
    assert "release" not in refused.err
