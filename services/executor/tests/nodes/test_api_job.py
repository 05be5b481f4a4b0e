import json
import os
from pathlib import Path

import pytest
import yaml
from fakes import context, run
from pydantic import ValidationError
from webserver import Said, outgoing, serving

from dipeo_executor.nodes import api_job
from dipeo_executor.nodes.base import NodeError


@pytest.fixture
async def server():
    async with serving() as web:
        yield web


@pytest.fixture
async def http():
    async with outgoing(env={"TKN": "t0ken"}) as http:
        yield http


@pytest.fixture
def call(tmp_path, server, http):
    """Run an api_job against the server; `url` is a path on it. The context stays at hand as call.ctx."""

    async def call(inputs=None, variables=None, **props):
        call.ctx = context(tmp_path, http=http, variables=variables or {})
        if "url" in props:
            props["url"] = server.url + props["url"]
        return await run(api_job, props, inputs or {}, call.ctx)

    return call


async def test_api_1_an_object_comes_as_it_is(call, server):
    out = await call(url="/web/json")
    assert out.value == {"ok": True, "n": 1}
    assert out.meta["http"]["status"] == 200
    assert out.meta["http"]["url"] == f"{server.url}/web/json"
    assert out.meta["http"]["response_headers"]["content-type"] == "application/json"


async def test_api_2_a_server_that_recovers_is_asked_three_times(call, server, http):
    out = await call(url="/web/flaky?key=a&fail=2")
    assert out.value == {"ok": True}
    assert (len(server.asked), http.waits, out.meta["http"]["attempts"]) == (3, [1, 2], 3)
    assert len(call.ctx.warnings) == 2


async def test_api_3_not_found_fails_at_once(call, server):
    with pytest.raises(NodeError, match=r'answered 404 Not Found: \{"status": 404\}'):
        await call(url="/web/status/404")
    assert len(server.asked) == 1


async def test_api_4_text_is_wrapped(call):
    assert (await call(url="/web/text")).value == {"text": "plain"}


async def test_api_5_a_body_goes_as_json_with_the_token(call, server):
    props = {"body": {"z": 1}, "auth_type": "bearer", "auth_config": {"token": "T"}}
    await call(url="/web/echo", method="post", **props)
    (asked,) = server.asked
    assert (asked.method, asked.json, asked.headers["authorization"]) == ("POST", {"z": 1}, "Bearer T")
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"])
async def test_every_method_reaches_the_server_with_its_parameters(call, server, method):
    out = await call(url="/web/echo?a=0", method=method, params={"b": [1, 2], "c": True}, body={"k": 1})
    (asked,) = server.asked
    assert asked.method == method
    assert asked.query == {"a": ["0"], "b": ["1", "2"], "c": ["true"]}
    assert bool(asked.body) is (method not in ("GET", "HEAD"))
    assert (out.value == {}) is (method == "HEAD")


@pytest.mark.parametrize(("method", "offered"), [("GET", False), ("PUT", False), ("POST", True), ("PATCH", True)])
async def test_the_idempotency_key_goes_with_what_must_not_happen_twice(call, server, method, offered):
    await call(url="/web/flaky?key=a&fail=1", method=method)
    assert [asked.headers.get("idempotency-key") for asked in server.asked] == (
        ["key-0"] * 2 if offered else [None] * 2
    )


async def test_an_idempotency_key_of_the_user_is_kept(call, server):
    await call(url="/web/echo", method="POST", headers={"idempotency-key": "mine"})
    assert server.asked[0].headers["idempotency-key"] == "mine"


# --- placeholders and inputs ------------------------------------------------------------------------------------------


async def test_everything_is_filled_in(call, server):
    await call(
        {"default": {"word": "green tea", "n": 3, "list": [1, {"a": None}]}},
        {"who": "ada"},
        url="/web/echo?w={{word}}",
        method="POST",
        headers={"X-Who": "{{who}}", "X-N": "{{n}}", "X-Yes": True},
        params='{"p": "<{{ who }}>"}',
        body={"n": "{{n}}", "text": "{{n}} cups", "list": "{{list}}", "deep": [{"who": "{{who}}"}]},
    )
    (asked,) = server.asked
    assert asked.query == {"w": ["green tea"], "p": ["<ada>"]}
    assert [asked.headers[name] for name in ("x-who", "x-n", "x-yes")] == ["ada", "3", "true"]
    assert asked.json == {"n": 3, "text": "3 cups", "list": [1, {"a": None}], "deep": [{"who": "ada"}]}


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        ('{"a": "{{q}}"}', b'{"a":"say \\"hi\\""}', "application/json"),
        ('{"n": {{n}}}', b'{"n":3}', "application/json"),
        ("n is {{n}}", b"n is 3", "text/plain; charset=utf-8"),
        ("{{map}}", b'{"k":[1]}', "application/json"),
        ([1, "{{n}}"], b"[1,3]", "application/json"),
        (0, b"0", "application/json"),
        ("{{unknown}}", b"{{unknown}}", "text/plain; charset=utf-8"),
    ],
)
async def test_text_that_is_json_is_sent_as_json(call, server, body, sent, content_type):
    await call({"default": {"n": 3, "q": 'say "hi"', "map": {"k": [1]}}}, url="/web/echo", method="POST", body=body)
    (asked,) = server.asked
    assert (asked.body, asked.headers["content-type"]) == (sent, content_type)


@pytest.mark.parametrize("props", [{"url": "/x/{{nope}}"}, {"url": "/x", "headers": {"A": "{{nope}}"}}])
async def test_an_address_with_a_hole_is_not_called(call, server, props):
    with pytest.raises(NodeError, match="there is no value for nope"):
        await call(**props)
    assert server.asked == []


async def test_inputs_replace_properties_and_are_no_templates(call, server):
    inputs = {
        "url": f"{server.url}/web/echo",
        "body": '{"sent": "{{word}}"}',
        "headers": {"X-A": "{{word}}"},
        "params": '{"p": 1}',
    }
    await call(inputs, {"word": "tea"}, url="/web/json", method="POST", headers={"X-B": "b"}, params={"q": 2})
    (asked,) = server.asked
    assert (asked.path, asked.query, asked.json) == ("/web/echo", {"p": ["1"]}, {"sent": "{{word}}"})
    assert asked.headers["x-a"] == "{{word}}" and "x-b" not in asked.headers


@pytest.mark.parametrize(
    ("inputs", "props", "words"),
    [
        ({}, {}, "there is no url"),
        ({"url": 5}, {"url": "/x"}, "there is no url"),
        ({"url": "x.test/y"}, {}, "must start with http"),
        ({"params": [1]}, {"url": "/x"}, "input params must be a map"),
        ({}, {"url": "/x", "headers": "no json"}, "headers must be a map"),
        ({}, {"url": "/x", "auth_type": "bearer"}, r"auth_config\.token"),
        ({}, {"url": "/x", "auth_type": "basic", "auth_config": {"username": "u"}}, r"auth_config\.password"),
        ({}, {"url": "/x", "auth_type": "bearer", "auth_config": {"token": {"env": "NOPE"}}}, "NOPE is not set"),
        ({}, {"url": "/x", "auth_type": "bearer", "auth_config": {"env": "DIPEO_TOKEN"}}, "own"),
        ({}, {"url": "/x", "auth_type": "bearer", "auth_config": {"api_key_id": "k"}}, 'no key is kept as "k"'),
        ({}, {"url": "/x", "auth_type": "bearer", "auth_config": {"token": "{{nope}}"}}, "no value for nope"),
        ({}, {"url": "/x", "auth_type": "bearer", "auth_config": {"token": "a\nb"}}, "one line"),
    ],
)
async def test_what_cannot_be_asked_says_why(call, server, inputs, props, words):
    with pytest.raises(NodeError, match=words):
        await call(inputs, **props)
    assert server.asked == []


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth_type", "config", "header", "text"),
    [
        ("bearer", {"token": "{{t}}"}, "authorization", "Bearer from-input"),
        ("bearer", {"token": {"env": "TKN"}}, "authorization", "Bearer t0ken"),
        ("bearer", {"env": "TKN"}, "authorization", "Bearer t0ken"),
        ("basic", {"username": "u", "password": "p"}, "authorization", "Basic dTpw"),
        ("basic", {"username": "u", "password": {"env": "TKN"}}, "authorization", "Basic dTp0MGtlbg=="),
        ("api_key", {"key_value": "kv"}, "x-api-key", "kv"),
        ("api_key", {"key_name": "X-Mine", "key_value": {"env": "TKN"}}, "x-mine", "t0ken"),
        ("none", {"token": "unused"}, "authorization", None),
    ],
)
async def test_credentials_reach_the_wire_and_not_the_record(call, server, auth_type, config, header, text):
    out = await call({"default": {"t": "from-input"}}, url="/web/json", auth_type=auth_type, auth_config=config)
    assert server.asked[0].headers.get(header) == text
    kept = json.dumps(out.meta)
    assert text is None or text not in kept
    assert "t0ken" not in kept and "from-input" not in kept


async def test_an_error_that_repeats_the_token_is_masked(call, server):
    server.routes["/no"] = lambda asked: Said(f"bad {asked.headers['authorization']}", 401)
    with pytest.raises(NodeError) as caught:
        await call(url="/no", auth_type="bearer", auth_config={"env": "TKN"})
    assert "bad Bearer ***" in str(caught.value)


# --- properties -------------------------------------------------------------------------------------------------------


def test_properties_are_read_leniently_where_the_formats_say_so():
    props = api_job.Props.model_validate({"url": "u", "method": "patch", "timeout": "5", "maxRetries": 0, "body": None})
    assert (props.method, props.timeout, props.max_retries, props.body) == ("PATCH", 5, 0, None)


@pytest.mark.parametrize("wrong", [{"method": "FETCH"}, {"url": 5}, {"timeout": "soon"}, {"auth_type": "magic"}])
def test_properties_of_the_wrong_kind_are_refused(wrong):
    with pytest.raises(ValidationError):
        api_job.Props.model_validate(wrong)


# --- recordings -------------------------------------------------------------------------------------------------------


def recorded(case, server):
    """The api_job nodes of a recorded diagram by label, their addresses turned to our server."""
    folder = os.environ.get("DIPEO_TEST_SHARED")
    if not folder:
        pytest.skip("DIPEO_TEST_SHARED does not name the folder of the recordings")
    text = (Path(folder) / "cases" / case / "diagram.light.yaml").read_text()
    diagram = yaml.safe_load(text.replace("http://127.0.0.1:28480", server.url))
    return {node["label"]: node for node in diagram["nodes"] if node["type"] == "api_job"}


async def given_by(nodes, label, http, tmp_path, inputs=None):
    ctx = context(tmp_path, http=http)
    return (await run(api_job, nodes[label], inputs or {"default": {"default": {"word": "tea"}}}, ctx)).value


async def test_recording_api_methods(server, http, tmp_path):
    nodes = recorded("api-methods", server)
    given = {label: await given_by(nodes, label, http, tmp_path) for label in nodes}
    assert given["get"] == {"ok": True, "n": 1} and given["get list"] == [1, 2, 3]
    assert given["get text"] == {"text": "plain"}
    assert given["get with params"]["query"] == {"a": "1", "b": "two"}
    assert given["post"]["body"] == {"k": [1, 2]} and given["post"]["headers"]["x-test"] == "true"
    assert (given["post params"]["query"], given["post params"]["body"]) == ({"a": "1"}, "")
    assert (given["put"]["method"], given["put"]["body"]) == ("PUT", {"k": 1})
    assert given["delete"]["method"] == "DELETE"
    assert given["templated"]["query"] == {"w": "tea"}


async def test_recording_api_auth(server, http, tmp_path):
    nodes = recorded("api-auth", server)
    given = {label: await given_by(nodes, label, http, tmp_path) for label in nodes}
    assert given["bearer"]["headers"]["authorization"] == "Bearer tkn"
    assert given["basic"] == {"ok": True}
    assert given["key"]["headers"]["x-api-key"] == "kv"


async def test_recording_api_errors(server, http, tmp_path):
    nodes = recorded("api-errors", server)
    assert await given_by(nodes, "flaky", http, tmp_path) == {"ok": True}
    words = {
        "not found": "404",
        "server error": "500",
        "nobody there": "cannot connect",
        "slow": "timed out after 1 seconds",
    }
    nodes["slow"] |= {"max_retries": 0}
    for label, said in words.items():
        with pytest.raises(NodeError, match=said):
            await given_by(nodes, label, http, tmp_path)


async def test_recording_api_inputs(server, http, tmp_path):
    inputs = {"url": f"{server.url}/web/echo", "body": {"sent": [1, 2]}}
    given = await given_by(recorded("api-inputs", server), "call", http, tmp_path, inputs)
    assert given["body"] == {"sent": [1, 2]}
