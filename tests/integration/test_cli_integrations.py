"""`dipeo integrations` through the whole stack: cases 55 to 57 of the command line (spec/cli.md §17), and more."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from command import Project

API = """
openapi: 3.1.0
info: {title: Pets, version: "1"}
servers: [{url: WEB}]
paths:
  /pets/{petId}:
    get: {operationId: getPet, parameters: [{name: petId, in: path, required: true}, {name: full, in: query}]}
"""


class Pets(BaseHTTPRequestHandler):
    """Says what it was asked."""

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path}).encode()
        self.send_response(200 if "0" not in self.path else 404)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pets) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_case_55_a_first_manifest_is_valid_and_loaded(own_house: Project) -> None:
    made = own_house("integrations", "init")
    assert (made.code, made.out) == (0, "integrations/example/provider.yaml\n")
    assert (own_house.base / "integrations/example/provider.yaml").is_file()
    assert own_house("integrations", "validate").code == 0
    listed = {it["name"]: it["metadata"]["manifest_path"] for it in own_house.json("integrations", "list", "--json")}
    assert listed["example"] == "integrations/example/provider.yaml"
    assert listed["wikipedia"] is None  # it comes with us
    again = own_house("integrations", "init")
    assert again.code == 1 and "exists already" in again.err


def test_case_56_a_manifest_that_is_not_there(house: Project) -> None:
    house.write(
        "apis/one/provider.yaml", "name: one\nbase_url: https://a.test\nauth: {strategy: none}\noperations: {}\n"
    )
    nope = house("integrations", "validate", "--path", "apis", "--provider", "nope")
    assert (nope.code, nope.out) == (1, "")
    assert "no manifest of nope in apis" in nope.err
    empty = house("integrations", "validate", "--path", "apis", "--json")
    (report,) = empty.json
    assert (empty.code, report["provider"], report["valid"], report["errors"][0]["line"]) == (1, "one", False, 4)
    assert "apis/one/provider.yaml:4" in empty.err
    assert house("integrations", "validate", "--path", "nowhere").code == 1


def test_case_57_an_openapi_document_becomes_a_manifest_that_is_valid_and_answers(own_house: Project, web: str) -> None:
    own_house.write("api.yaml", API.replace("WEB", web))
    made = own_house("integrations", "openapi-import", "api.yaml", "--name", "pets")
    assert (made.code, made.out) == (0, "integrations/pets/provider.yaml\n")
    valid = own_house("integrations", "validate")
    assert (valid.code, valid.out) == (0, "✅ pets: integrations/pets/provider.yaml, 1 operation\n")
    assert own_house("integrations", "openapi-import", "api.yaml", "--name", "pets").code == 1
    from_pipe = own_house(
        "integrations", "openapi-import", "-", "--name", "pets", "--force", stdin=API.replace("WEB", web)
    )
    assert from_pipe.code == 0
    assert "getPet" in own_house("integrations", "show", "pets").out
    called = own_house("integrations", "call", "pets", "getPet", "-i", "petId:=7", "-i", "full=yes")
    assert (called.code, called.json) == (0, {"path": "/pets/7?full=yes"})
    assert own_house.json("ps", "--name", "pets.getPet", "--json")[0]["status"] == "completed"
    assert own_house("integrations", "test", "pets", "--operation", "getPet", "--config", '{"petId": 1}').code == 0
    failed = own_house("integrations", "test", "pets", "--operation", "getPet", "--config", '{"petId": 0}')
    assert failed.code == 1 and "status 404" in failed.err
    missing = own_house("integrations", "call", "pets", "getPet")
    assert missing.code == 1 and "config.petId" in missing.err


def test_what_is_no_openapi_document_leaves_nothing_behind(house: Project) -> None:
    done = house("integrations", "openapi-import", "ok.light.yaml", "--name", "nothing", "--json")
    assert (done.code, done.json["error_code"]) == (1, "bad_input")
    assert "no OpenAPI document" in done.err
    assert not (house.base / "integrations/nothing").exists()
    assert house("integrations", "openapi-import", "ok.light.yaml", "--name", "../up").code == 2
    assert house("integrations", "openapi-import", "missing.yaml", "--name", "x").code == 1
    assert house("integrations", "show", "nobody").code == 1
