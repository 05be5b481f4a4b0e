import json
import os
from importlib import resources
from pathlib import Path

import pytest
import yaml
from fakes import context, run
from webserver import Said, outgoing, serving

from dipeo_executor.nodes import integrated_api
from dipeo_executor.nodes.base import NodeError

ECHO = {"method": "POST", "path": "/web/echo"}
SHIPPED = resources.files("dipeo_executor.providers") / "shipped"


@pytest.fixture
async def server():
    async with serving() as web:
        yield web


@pytest.fixture
async def http():
    env = {"GITHUB_TOKEN": "ght0ken", "ACME_API_KEY": "acme-key", "ACME_USERNAME": "u", "ACME_PASSWORD": "p"}
    async with outgoing(env=env) as http:
        yield http


@pytest.fixture
def acme(tmp_path, server, http):
    """Run an operation of a provider called acme whose manifest is made of what the test says."""

    async def acme(operation, inputs=None, manifest=None, named="op", **props):
        more = {"auth": {"strategy": "none"}, "rate_limit": {"algorithm": "none"}} | (manifest or {})
        text = json.dumps({"name": "acme", "base_url": server.url, "operations": {"op": operation}, **more})
        path = tmp_path / "integrations/acme/provider.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        acme.ctx = context(tmp_path, http=http)
        return await run(integrated_api, {"provider": "Acme", "operation": named, **props}, inputs or {}, acme.ctx)

    return acme


async def test_prov_1_path_query_and_pointer(acme, server):
    server.routes["/items/7"] = lambda asked: Said({"ok": True, "data": {"x": 1}})
    operation = {
        "method": "get",
        "path": "/items/{{config.id}}",
        "request": {"query_params_template": {"p": "{{config.p}}", "none": "{{config.nope}}", "empty": ""}},
        "response": {"json_pointer": "/data"},
    }
    out = await acme(operation, {"default": {"id": 7, "p": "pv"}})
    assert out.value == {"success": True, "data": {"x": 1}, "metadata": {"provider": "acme", "operation": "op"}}
    assert server.asked[0].query == {"p": ["pv"]}
    assert out.meta["provider"] == "acme" and out.meta["http"]["url"] == f"{server.url}/items/7?p=pv"


async def test_prov_2_another_status_is_an_error_with_what_the_pointer_finds(acme, server):
    server.routes["/items"] = lambda asked: Said({"ok": True})
    shape = {"success_codes": [201], "error_json_pointer": "/ok"}
    with pytest.raises(NodeError, match=r"status 200: True$"):
        await acme({"method": "POST", "path": "items", "response": shape})


async def test_prov_3_retries_are_counted_once(acme, server, http):
    with pytest.raises(NodeError, match="status 500 after 2 attempts"):
        await acme({"method": "GET", "path": "/web/status/500"}, max_retries=1)
    assert len(server.asked) == 2


async def test_prov_4_an_unknown_operation_names_the_known_ones(acme):
    with pytest.raises(NodeError, match='acme has no operation "fly"; acme has op'):
        await acme(ECHO, named="fly")


async def test_an_unknown_provider_names_the_known_ones_and_the_broken_manifests(tmp_path):
    broken = tmp_path / "integrations/broken/provider.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("name: broken\nbase_url: https://h\nauth: {strategy: magic}\n")
    with pytest.raises(NodeError) as caught:
        await run(integrated_api, {"provider": "nobody", "operation": "ask"}, {}, context(tmp_path))
    said = str(caught.value)
    assert 'there is no provider "nobody"; there are github, wikipedia' in said
    assert "integrations/broken/provider.yaml: " in said and "operations: Field required" in said
    with pytest.raises(NodeError, match="provider is not given; there are github, wikipedia"):
        await run(integrated_api, {}, {}, context(tmp_path))


@pytest.mark.parametrize("given", [{"provider": "github"}, {"provider": "GITHUB", "operation": "nope"}])
async def test_operations_of_a_shipped_provider_are_named(tmp_path, given):
    with pytest.raises(NodeError, match=r"github has add_comment, create_issue, .*list_issues"):
        await run(integrated_api, given, {}, context(tmp_path))


# --- what is sent -----------------------------------------------------------------------------------------------------


async def sent(acme, operation, inputs=None, **more):
    return (await acme({**ECHO, **operation}, inputs, **more)).value["data"]


async def test_config_is_filled_and_overlaid_with_inputs(acme):
    body = {
        "a": "{{config.a}}",
        "b": "{{config.b}}",
        "c": "<{{config.c}}>",
        "gone": "{{config.nope}}",
        "id": "{{resource_id}}",
    }
    config = {"a": "{{n}}", "b": "node", "c": "node"}
    inputs = {"default": {"default": {"n": 3, "b": [1]}}, "c": "port"}
    props = {"config": config, "resource_id": "r{{n}}"}
    got = await sent(acme, {"request": {"body_template": body}}, inputs, **props)
    assert got["body"] == {"a": 3, "b": [1], "c": "<port>", "id": "r3"}
    assert config == {"a": "{{n}}", "b": "node", "c": "node"}
    assert (await sent(acme, {"request": {"body_template": {"d": "{{config.data}}"}}}, {"default": 5}))["body"] == {
        "d": 5
    }


async def test_a_body_of_text_must_fill_into_json(acme):
    template = '{"tags": {{ config.tags|tojson }}{% if config.n %}, "n": {{ config.n }}{% endif %}}'
    got = await sent(acme, {"request": {"body_template": template}}, {"default": {"tags": ["a"], "n": 2}})
    assert got["body"] == {"tags": ["a"], "n": 2}
    with pytest.raises(NodeError, match="does not fill into JSON"):
        await sent(acme, {"request": {"body_template": '{"n": {{ config.n }}}'}})


async def test_headers_are_default_then_operation_then_auth(acme):
    manifest = {
        "default_headers": {"X-A": "default", "X-B": "default"},
        "auth": {"strategy": "api_key_header", "header": "X-Key", "format": "Key {{api_key}}"},
    }
    shape = {"headers_template": {"X-B": "{{config.b}}", "X-Gone": "{{config.nope}}"}}
    got = await sent(acme, {"request": shape}, {"default": {"b": "op"}}, manifest=manifest)
    assert [got["headers"].get(name) for name in ("x-a", "x-b", "x-key", "x-gone")] == [
        "default",
        "op",
        "Key acme-key",
        None,
    ]
    assert got["headers"]["idempotency-key"] == "key-0"


async def test_secrets_are_unknown_to_bodies_and_addresses(acme, server):
    manifest = {"auth": {"strategy": "oauth2_bearer"}}
    shape = {
        "body_template": {"k": "{{api_key}}", "s": "<{{secret.api_key}}>"},
        "query_params_template": {"q": "{{api_key}}"},
    }
    got = await sent(acme, {"request": shape}, manifest=manifest)
    assert (got["body"], got["query"], got["headers"]["authorization"]) == ({"s": "<>"}, {}, "Bearer acme-key")


@pytest.mark.parametrize("value", ["..", "../admin", "a/../../b"])
async def test_a_value_cannot_lead_the_path_elsewhere(acme, server, value):
    with pytest.raises(NodeError, match="leads elsewhere"):
        await acme({"method": "GET", "path": "/items/{{ config.id|urlencode }}"}, {"id": value})
    assert server.asked == []


async def test_a_template_can_refuse_and_needed_config_is_named(acme, server):
    with pytest.raises(NodeError, match="no channel"):
        await acme({**ECHO, "request": {"body_template": {"a": "{{ config.a or raise_error('no channel') }}"}}})
    with pytest.raises(NodeError, match=r"needs config\.owner, config\.repo"):
        await acme({**ECHO, "required": ["owner", "title", "repo"]}, {"title": "t"})
    assert server.asked == []


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ({}, {"items": [{"n": 1}, {"n": 2}], "a/b": 5}),
        ({"json_pointer": "$"}, {"items": [{"n": 1}, {"n": 2}], "a/b": 5}),
        ({"json_pointer": "/items/1/n"}, 2),
        ({"json_pointer": "/a~1b"}, 5),
        ({"json_pointer": "/nope/x"}, None),
        ({"json_pointer": "/items", "transform": "{{ response|map(attribute='n')|list }}"}, [1, 2]),
        ({"transform": "{{ response['items']|length }} items"}, "2 items"),
    ],
)
async def test_what_is_taken_from_the_answer(acme, server, shape, data):
    server.routes["/x"] = lambda asked: Said({"items": [{"n": 1}, {"n": 2}], "a/b": 5})
    assert (await acme({"method": "GET", "path": "/x", "response": shape})).value["data"] == data


async def test_the_time_limit_is_that_of_node_operation_or_manifest(acme, server):
    for more in ({"timeout_override": 0.05}, {}):
        manifest = {} if more else {"default_timeout": 0.05}
        with pytest.raises(NodeError, match=r"timed out after 0\.05 seconds"):
            await acme({"method": "GET", "path": "/web/hang", **more}, manifest=manifest, max_retries=0)


@pytest.mark.parametrize(
    ("strategy", "waits"),
    [("exponential_backoff", [0.1, 0.2, 0.4]), ("linear_backoff", [0.1, 0.2, 0.3]), ("fixed_delay", [0.1, 0.1, 0.1])],
)
async def test_waits_follow_the_policy(acme, server, http, strategy, waits):
    policy = {"strategy": strategy, "base_delay_ms": 100, "retry_on_status": [404]}
    with pytest.raises(NodeError, match="after 4 attempts"):
        await acme({"method": "GET", "path": "/web/status/404"}, manifest={"retry_policy": policy})
    assert http.waits == pytest.approx(waits)


async def test_hooks_in_python_are_refused(acme):
    with pytest.raises(NodeError, match="hooks in Python"):
        await acme({"method": "GET", "path": "/", "pre_request_hook": "prepare"})


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "props", "header", "text"),
    [
        ({"strategy": "api_key_header"}, {}, "x-api-key", "acme-key"),
        ({"strategy": "oauth2_bearer"}, {}, "authorization", "Bearer acme-key"),
        ({"strategy": "oauth2_bearer"}, {"auth_config": {"token": "mine"}}, "authorization", "Bearer mine"),
        ({"strategy": "oauth2_bearer"}, {"auth_config": {"env": "GITHUB_TOKEN"}}, "authorization", "Bearer ght0ken"),
        ({"strategy": "oauth2_bearer", "env": "GITHUB_TOKEN"}, {}, "authorization", "Bearer ght0ken"),
        ({"strategy": "oauth2_bearer", "env": {"api_key": "GITHUB_TOKEN"}}, {}, "authorization", "Bearer ght0ken"),
        ({"strategy": "basic"}, {}, "authorization", "Basic dTpw"),
        ({"strategy": "basic"}, {"auth_config": {"username": "x"}}, "authorization", "Basic eDpw"),
        ({"strategy": "none"}, {}, "authorization", None),
    ],
)
async def test_credentials_come_from_the_node_or_the_environment(acme, server, auth, props, header, text):
    out = await acme(ECHO, manifest={"auth": auth}, **props)
    assert server.asked[0].headers.get(header) == text
    assert text is None or text not in json.dumps(out.meta)


async def test_a_key_in_the_query_is_sent_and_not_shown(acme, server):
    out = await acme(ECHO, manifest={"auth": {"strategy": "api_key_query", "query_param": "k"}})
    assert server.asked[0].query == {"k": ["acme-key"]}
    assert "acme-key" not in json.dumps(out.meta)


@pytest.mark.parametrize(
    ("auth", "props", "words"),
    [
        ({"strategy": "basic", "env": {"password": "NOPE"}}, {}, "acme needs password: .*NOPE is not set"),
        ({"strategy": "oauth2_client_credentials"}, {}, "ACME_CLIENT_ID is not set"),
        ({"strategy": "custom"}, {}, "runs code of its own"),
        ({"strategy": "oauth2_bearer"}, {"api_key_id": "k1"}, 'no key is kept as "k1"'),
    ],
)
async def test_missing_credentials_say_where_they_are_looked_for(acme, server, auth, props, words):
    with pytest.raises(NodeError, match=words):
        await acme(ECHO, manifest={"auth": auth}, **props)
    assert server.asked == []


async def test_client_credentials_are_exchanged_once_for_a_token(acme, server):
    server.routes["/token"] = lambda asked: Said({"access_token": "at-1", "expires_in": 3600})
    auth = {"strategy": "oauth2_client_credentials", "token_endpoint": f"{server.url}/token", "scopes": ["a", "b"]}
    for _ in range(2):
        await acme(ECHO, manifest={"auth": auth}, auth_config={"client_id": "id", "client_secret": "s3"})
    asked = [it for it in server.asked if it.path == "/token"]
    assert [it.body for it in asked] == [b"grant_type=client_credentials&scope=a+b"]
    assert asked[0].headers["authorization"] == "Basic aWQ6czM="
    assert [it.headers["authorization"] for it in server.asked if it.path != "/token"] == ["Bearer at-1"] * 2


async def test_a_token_that_has_expired_is_fetched_anew(acme, server):
    server.routes["/token"] = lambda asked: Said({"access_token": "at", "expires_in": 1})
    auth = {"strategy": "oauth2_client_credentials", "token_endpoint": f"{server.url}/token"}
    for _ in range(2):
        await acme(ECHO, manifest={"auth": auth}, auth_config={"client_id": "id", "client_secret": "s"})
    assert [it.path for it in server.asked].count("/token") == 2
    server.routes["/token"] = lambda asked: Said({"error": "invalid_client"})
    with pytest.raises(NodeError, match="without an access_token"):
        await acme(ECHO, manifest={"auth": auth}, auth_config={"client_id": "other", "client_secret": "s"})


# --- pages ------------------------------------------------------------------------------------------------------------


def three_pages(asked):
    """Items 1 to 5, two a page, by every kind of paging there is."""
    start = int(asked.one("offset") or asked.one("cursor") or 0) + 2 * (int(asked.one("page") or 1) - 1)
    items = list(range(1, 6))[start : start + 2]
    following = start + 2 if start + 2 < 5 else None
    link = {"Link": f'</pages?page={start // 2 + 2}>; rel="next"'} if following else {}
    return Said({"items": items, "next": {"cursor": following}}, headers=link)


PAGING = [
    {"type": "cursor", "cursor_pointer": "/next/cursor"},
    {"type": "next_token", "cursor_pointer": "/next/cursor", "cursor_param": "cursor"},
    {"type": "page_number", "page_size": 2},
    {"type": "page_number"},
    {"type": "offset_limit", "page_size": 2, "size_param": "limit"},
    {"type": "link_header"},
]


@pytest.mark.parametrize("paging", PAGING)
@pytest.mark.parametrize(("pages", "items"), [(None, [1, 2]), (2, [1, 2, 3, 4]), (9, [1, 2, 3, 4, 5])])
async def test_pages_are_joined_as_far_as_asked_for(acme, server, paging, pages, items):
    server.routes["/pages"] = three_pages
    operation = {"method": "GET", "path": "/pages", "response": {"json_pointer": "/items"}, "pagination": paging}
    config = {"max_pages": pages} if pages else {}
    assert (await acme(operation, config=config)).value["data"] == items
    assert (await acme({**operation, "pagination": {**paging, "max_pages": pages or 1}})).value["data"] == items


async def test_pages_that_do_not_join_or_lead_elsewhere_are_refused(acme, server):
    server.routes["/pages"] = three_pages
    operation = {"method": "GET", "path": "/pages", "pagination": PAGING[0]}
    with pytest.raises(NodeError, match="json_pointer leads to a list"):
        await acme(operation, config={"max_pages": 2})
    with pytest.raises(NodeError, match=r"config\.max_pages must be"):
        await acme(operation, config={"max_pages": 0})
    server.routes["/pages"] = lambda asked: Said([1], headers={"Link": '<http://evil.test/?page=2>; rel="next"'})
    with pytest.raises(NodeError, match=r"another host, http://evil\.test"):
        await acme({**operation, "pagination": {"type": "link_header"}}, config={"max_pages": 2})


# --- manifests of our own ---------------------------------------------------------------------------------------------


async def shipped(name, operation, config, *, server, http, base, inputs=None):
    """An operation of a shipped manifest, whose only change is the address of our server."""
    text = (SHIPPED / name / "provider.yaml").read_text()
    address = yaml.safe_load(text)["base_url"]
    path = base / "integrations" / name / "provider.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    local = server.url if name == "github" else f"{server.url}/w/api.php"
    path.write_text(text.replace(f"base_url: {address}", f"base_url: {local}"))
    props = {"provider": name, "operation": operation, "config": config}
    return (await run(integrated_api, props, inputs or {}, context(base, http=http))).value["data"]


async def test_github_creates_an_issue(server, http, tmp_path):
    server.routes["/repos/ada/tea%20shop/issues"] = lambda asked: Said({"number": 5}, 201)
    config = {"owner": "ada", "repo": "tea shop", "title": "Cold", "labels": ["bug"]}
    given = await shipped("github", "create_issue", config, server=server, http=http, base=tmp_path)
    (asked,) = server.asked
    assert given == {"number": 5}
    assert asked.json == {"title": "Cold", "labels": ["bug"]}
    assert asked.headers["authorization"] == "Bearer ght0ken"
    assert asked.headers["accept"] == "application/vnd.github+json"
    assert asked.headers["x-github-api-version"] == "2022-11-28"


async def test_github_lists_issues_over_pages(server, http, tmp_path):
    link = {"Link": f'<{server.url}/repos/a/b/issues?page=2&per_page=100>; rel="next"'}
    said = {"": Said([{"n": 1}], headers=link), "2": Said([{"n": 2}])}
    server.routes["/repos/a/b/issues"] = lambda asked: said[asked.one("page")]
    config = {"owner": "a", "repo": "b", "state": "open", "labels": ["x", "y"], "max_pages": 5}
    given = await shipped("github", "list_issues", config, server=server, http=http, base=tmp_path)
    assert given == [{"n": 1}, {"n": 2}]
    assert server.asked[0].query == {"state": ["open"], "labels": ["x,y"], "per_page": ["100"]}


async def test_github_comments_by_number_or_resource_and_reports_its_message(server, http, tmp_path):
    server.routes["/repos/a/b/issues/5/comments"] = lambda asked: Said({"message": "Bad credentials"}, 401)
    config = {"owner": "a", "repo": "b", "body": "hi"}
    with pytest.raises(NodeError, match=r"config\.issue_number is missing"):
        await shipped("github", "add_comment", config, server=server, http=http, base=tmp_path)
    with pytest.raises(NodeError, match="github: Request failed with status 401: Bad credentials"):
        await shipped("github", "add_comment", {**config, "issue_number": 5}, server=server, http=http, base=tmp_path)


async def test_wikipedia_searches_over_pages(server, http, tmp_path):
    def said(asked):
        if asked.one("sroffset"):
            return Said({"query": {"search": [{"title": "Green tea"}]}})
        return Said({"continue": {"sroffset": 1, "continue": "-||"}, "query": {"search": [{"title": "Tea"}]}})

    server.routes["/w/api.php"] = said
    given = await shipped(
        "wikipedia",
        "search",
        {"max_pages": 3, "limit": 1},
        server=server,
        http=http,
        base=tmp_path,
        inputs={"default": "tea"},
    )
    assert given == [{"title": "Tea"}, {"title": "Green tea"}]
    assert [asked.one("srsearch") for asked in server.asked] == ["tea", "tea"]
    assert [asked.one("sroffset") for asked in server.asked] == ["", "1"]
    assert server.asked[0].one("srlimit") == "1"


async def test_wikipedia_reports_what_its_server_says(server, http, tmp_path):
    server.routes["/w/api.php"] = lambda asked: Said({"query": {"pages": [{"title": "Tea", "extract": "Tea is"}]}})
    ask = {"server": server, "http": http, "base": tmp_path}
    assert await shipped("wikipedia", "get_summary", {"title": "Tea"}, **ask) == {"title": "Tea", "extract": "Tea is"}
    with pytest.raises(NodeError, match=r"search needs config\.query"):
        await shipped("wikipedia", "search", {}, **ask)


async def test_recording_integrated_api_unknown(tmp_path):
    folder = os.environ.get("DIPEO_TEST_SHARED")
    if not folder:
        pytest.skip("DIPEO_TEST_SHARED does not name the folder of the recordings")
    text = (Path(folder) / "cases/integrated-api-unknown/diagram.light.yaml").read_text()
    node = next(it for it in yaml.safe_load(text)["nodes"] if it["type"] == "integrated_api")
    with pytest.raises(NodeError, match='"nobody"'):
        await run(integrated_api, node, {}, context(tmp_path))
