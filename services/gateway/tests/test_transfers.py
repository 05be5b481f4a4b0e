"""Files between a client and a remote executor."""

import base64
from typing import Any

import pytest
from gateway_client import ask

RUN = """mutation R($uploads: JSON) {
  executeDiagram(input: {diagram_source: "remote", uploads: $uploads}) { success error error_type envelope data { id } }
}"""
DIGEST = "ab" * 32


async def test_what_the_executor_wants_is_an_answer_that_stores_nothing(house: Any) -> None:
    first = (await ask(house.http, RUN))["data"]["executeDiagram"]
    assert (first["success"], first["error_type"], first["data"]) == (False, "FILES_WANTED", None)
    assert first["envelope"] == {"wanted": {"names": ["data/in.csv"], "contents": []}}
    assert "data/in.csv" in first["error"]
    uploads = {"files": {"data/in.csv": DIGEST, "absent": ""}, "contents": [base64.b64encode(b"a,b").decode()]}
    second = (await ask(house.http, RUN, uploads=uploads))["data"]["executeDiagram"]
    assert second["success"] and second["data"]["id"]
    sent = house.executor.submitted[-1].uploads
    assert (dict(sent.files), list(sent.contents)) == ({"data/in.csv": DIGEST, "absent": ""}, [b"a,b"])


@pytest.mark.parametrize("uploads", [[], {"files": [1]}, {"files": {"a": 1}}, {"files": {}, "contents": ["%%"]}])
async def test_uploads_of_another_shape_are_refused(house: Any, uploads: Any) -> None:
    refused = (await ask(house.http, RUN, uploads=uploads))["data"]["executeDiagram"]
    assert (refused["success"], refused["error_type"]) == (False, "BAD_INPUT")
    assert "uploads" in refused["error"]
