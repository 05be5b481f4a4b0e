import asyncio
import gzip
import os
import subprocess
import sys

import pytest
from webserver import Said, outgoing, serving

from dipeo_executor.http import (
    MAX_RETRY_AFTER_S,
    AnswerTooLarge,
    Outgoing,
    SecretMissing,
    TimedOut,
    TooManyRedirects,
    Unreachable,
)
from dipeo_executor.network import AddressRefused, is_public
from dipeo_executor.nodes import web
from dipeo_executor.nodes.web import Request, Retry


async def test_an_answer_comes_with_status_headers_and_content():
    async with serving() as server, outgoing() as http:
        response = await http.send(
            Request("GET", f"{server.url}/web/echo?a=1", [("b", "x y"), ("b", "ü")], {"X-T": "é"})
        )
    assert (response.status, response.attempts) == (200, 1)
    assert response.headers["content-type"] == "application/json"
    (asked,) = server.asked
    assert asked.query == {"a": ["1"], "b": ["x y", "ü"]}
    assert asked.headers["user-agent"] == "DiPeO"


async def test_statuses_worth_a_retry_are_tried_again_with_growing_waits():
    async with serving() as server, outgoing() as http:
        response = await http.send(Request("POST", f"{server.url}/web/flaky?key=a&fail=2"), retry=Retry(3))
    assert (response.status, response.attempts, http.waits) == (200, 3, [1, 2])


async def test_the_last_answer_is_given_back_when_attempts_run_out():
    lines = []
    async with serving() as server, outgoing() as http:
        request = Request("GET", f"{server.url}/web/status/503")
        response = await http.send(request, retry=Retry(2), log=lambda *line, **more: lines.append((line, more)))
    assert (response.status, response.attempts, len(server.asked)) == (503, 2, 2)
    (((level, words), more),) = lines
    assert level == "warning" and "503 Service Unavailable; attempt 2 in 1 s" in words
    assert more == {"attempt": 1, "attempts": 2, "wait_s": 1.0}


@pytest.mark.parametrize(
    ("value", "waited"), [("7", [7]), ("Thu, 01 Jan 1970 00:00:00 GMT", [0]), ("soon", [1]), ("-5", [1])]
)
async def test_retry_after_is_honoured(value, waited):
    async with serving() as server, outgoing() as http:
        said = [Said(), Said(status=429, headers={"Retry-After": value})]
        server.routes["/busy"] = lambda asked: said.pop()
        assert (await http.send(Request("GET", f"{server.url}/busy"), retry=Retry(3))).ok
    assert http.waits == waited


async def test_a_server_that_wants_to_be_left_alone_for_long_is():
    async with serving() as server, outgoing() as http:
        server.routes["/busy"] = lambda asked: Said(status=429, headers={"Retry-After": f"{MAX_RETRY_AFTER_S + 1:.0f}"})
        assert (await http.send(Request("GET", f"{server.url}/busy"), retry=Retry(3))).attempts == 1
    assert http.waits == []


@pytest.mark.parametrize(("method", "attempts"), [("GET", 3), ("PUT", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)])
async def test_a_broken_connection_is_tried_again_only_where_repeating_is_harmless(method, attempts):
    seen = []

    async def hang_up(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with outgoing() as http:
        with pytest.raises(Unreachable, match="the connection broke"):
            await http.send(Request(method, url), retry=Retry(3))
    server.close()
    assert len(seen) == attempts


async def test_a_refused_connection_is_tried_again_for_every_method_and_names_the_address():
    async with outgoing() as http:
        with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9/x: cannot connect"):
            await http.send(Request("POST", "http://127.0.0.1:9/x"), retry=Retry(3))
    assert http.waits == [1, 2]


async def test_an_unknown_host_is_named():
    async with outgoing() as http:
        with pytest.raises(Unreachable, match=r'there is no host "nowhere\.invalid"'):
            await http.send(Request("GET", "http://nowhere.invalid/"))


async def test_time_is_up_for_an_answer_that_does_not_come():
    async with serving() as server, outgoing() as http:
        with pytest.raises(TimedOut, match=r"timed out after 0\.05 seconds"):
            await http.send(Request("GET", f"{server.url}/web/hang", timeout_s=0.05), retry=Retry(2))
        assert len(server.asked) == 2


async def test_an_answer_may_not_be_larger_than_the_limit_even_unpacked():
    async with serving() as server, outgoing(max_bytes=1000) as http:
        server.routes["/just"] = lambda asked: Said(b"x" * 1000)
        server.routes["/large"] = lambda asked: Said(b"x" * 1001)
        server.routes["/bomb"] = lambda asked: Said(gzip.compress(b"x" * 100_000), headers={"Content-Encoding": "gzip"})
        assert len((await http.send(Request("GET", f"{server.url}/just"))).content) == 1000
        for path in ("/large", "/bomb"):
            with pytest.raises(AnswerTooLarge, match="1,000 bytes"):
                await http.send(Request("GET", server.url + path))


async def test_packed_answers_are_unpacked_and_broken_ones_refused():
    async with serving() as server, outgoing() as http:
        server.routes["/gz"] = lambda asked: Said(gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})
        server.routes["/bad"] = lambda asked: Said(b"not gzip", headers={"Content-Encoding": "gzip"})
        assert (await http.send(Request("GET", f"{server.url}/gz"))).content == b"hello"
        with pytest.raises(Unreachable, match="not encoded as it says"):
            await http.send(Request("GET", f"{server.url}/bad"))


# --- redirects --------------------------------------------------------------------------------------------------------

SECRETIVE = {
    "headers": {"X-Api-Token": "mine", "Accept": "text/html"},
    "credentials": {"Authorization": "Bearer tkn"},
    "secret_params": [("key", "param")],
}


async def test_redirects_on_the_same_host_keep_everything():
    async with serving() as server, outgoing() as http:
        server.routes["/from"] = lambda asked: Said(status=307, headers={"Location": "/web/echo?a=1"})
        request = web.with_content(Request("POST", f"{server.url}/from", **SECRETIVE), {"z": 1})
        response = await http.send(request)
    _, asked = server.asked
    assert (asked.method, asked.json, asked.query) == ("POST", {"z": 1}, {"a": ["1"]})
    assert (asked.headers["authorization"], asked.headers["x-api-token"]) == ("Bearer tkn", "mine")
    assert response.url == f"{server.url}/web/echo?a=1"


async def test_credentials_and_unknown_headers_do_not_cross_to_another_host():
    async with serving() as server, serving() as other, outgoing() as http:
        server.routes["/from"] = lambda asked: Said(status=302, headers={"Location": f"{other.url}/web/echo"})
        await http.send(Request("GET", f"{server.url}/from", **SECRETIVE))
    assert server.asked[0].headers["authorization"] == "Bearer tkn" and server.asked[0].one("key") == "param"
    (asked,) = other.asked
    assert asked.headers["accept"] == "text/html"
    assert not {"authorization", "x-api-token"} & set(asked.headers)
    assert asked.query == {}


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (303, "HEAD", "HEAD"), (308, "PUT", "PUT")],
)
async def test_some_redirects_turn_into_get(status, method, then):
    async with serving() as server, outgoing() as http:
        server.routes["/from"] = lambda asked: Said(status=status, headers={"Location": "to"})
        await http.send(web.with_content(Request(method, f"{server.url}/from"), {"z": 1}))
    last = server.asked[-1]
    assert (last.method, last.path) == (then, "/to")
    assert ("content-type" in last.headers) == (bool(last.body))


async def test_at_most_five_redirects_are_followed():
    async with serving() as server, outgoing() as http:
        server.routes["/round"] = lambda asked: Said(status=302, headers={"Location": "/round"})
        with pytest.raises(TooManyRedirects, match="more than 5"):
            await http.send(Request("GET", f"{server.url}/round"))
    assert len(server.asked) == 6


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://u:p@127.0.0.1/", "ftp://x/"])
async def test_redirects_lead_to_web_addresses_only(location):
    async with serving() as server, outgoing() as http:
        server.routes["/from"] = lambda asked: Said(status=302, headers={"Location": location})
        with pytest.raises(web.BadRequest):
            await http.send(Request("GET", f"{server.url}/from"))


# --- private networks -------------------------------------------------------------------------------------------------


HERE = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]


@pytest.mark.parametrize("host", HERE)
async def test_private_addresses_are_refused_however_they_are_written(host):
    async with serving() as server, outgoing(allow_private=False) as http:
        port = server.url.rpartition(":")[2]
        with pytest.raises(AddressRefused, match="DIPEO_EXECUTOR_ALLOW_PRIVATE_NETWORK"):
            await http.send(Request("GET", f"http://{host}:{port}/web/json"), retry=Retry(3))
    assert server.asked == [] and http.waits == []


async def resolving(monkeypatch, *answers):
    """Names resolve to one address after another; returns the names that were asked for."""
    asked = []

    async def getaddrinfo(host, port, **_):
        asked.append(host)
        return [(2, 1, 6, "", (answers[len(asked) - 1], port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


async def test_a_name_is_judged_by_what_it_resolves_to(monkeypatch):
    await resolving(monkeypatch, "10.0.0.1")
    async with outgoing(allow_private=False) as http:
        with pytest.raises(AddressRefused, match=r'"inside\.test" is at 10\.0\.0\.1'):
            await http.send(Request("GET", "http://inside.test/"))


async def test_the_address_that_was_judged_is_the_one_connected_to(monkeypatch):
    async with serving() as server, outgoing() as http:
        asked = await resolving(monkeypatch, "127.0.0.1", "10.0.0.1")  # a name server that changes its mind
        port = server.url.rpartition(":")[2]
        assert (await http.send(Request("GET", f"http://rebind.test:{port}/web/json"))).ok
    assert asked == ["rebind.test"]
    assert server.asked[0].headers["host"] == f"rebind.test:{port}"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.1", False),
        ("172.16.3.4", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(address) is public


async def test_proxies_of_the_environment_are_ignored(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving() as server, outgoing() as http:
        assert (await http.send(Request("GET", f"{server.url}/web/json"))).ok


# --- secrets and what is shared ---------------------------------------------------------------------------------------


def test_secrets_come_from_the_environment_but_not_our_own():
    http = Outgoing(allow_private=True, env={"TOKEN": "t", "EMPTY": "", "DIPEO_STORE_MASTER_KEY": "k"})
    assert http.secret("TOKEN") == "t"
    with pytest.raises(SecretMissing, match="NOPE is not set"):
        http.secret("NOPE")
    with pytest.raises(SecretMissing, match="EMPTY is not set"):
        http.secret("EMPTY")
    with pytest.raises(SecretMissing, match="own"):
        http.secret("DIPEO_STORE_MASTER_KEY")


async def test_cookies_of_one_answer_are_not_sent_with_the_next_request():
    async with serving() as server, outgoing() as http:
        server.routes["/in"] = lambda asked: Said(headers={"Set-Cookie": "session=1"})
        for _ in range(2):
            await http.send(Request("GET", f"{server.url}/in"))
    assert "cookie" not in server.asked[1].headers


def test_the_client_is_imported_at_first_use_only():
    code = "import sys, dipeo_executor.http; sys.exit('httpx2' in sys.modules)"
    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
