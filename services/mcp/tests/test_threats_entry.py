"""Threat cases T1 to T5, T13, T17, T18 and T21 of spec/mcp.md §5.2: who comes in, from where, and to what."""

import asyncio
import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from mcp_house import HELLO, Place, place
from mcp_keys import ALICE, API_KEYS, BOB, ROOMY, bearer
from mcp_wire import BOTH, HANDSHAKE, headers_of, legacy, modern, post, result_of

from dipeo_mcp import keys
from dipeo_mcp.errors import SettingsRefused
from dipeo_mcp.main import running
from dipeo_mcp.settings import Settings

ISSUER = "https://issuer.example"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host": "0.0.0.0", "auth_enabled": False}, "loopback"),
        ({"host": "0.0.0.0", "auth_required": False}, "loopback"),
        ({"api_keys": "your-secret-api-key-change-me-0123"}, "sample"),
        ({"api_keys": "short"}, "too weak"),
        ({"api_keys": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, "too weak"),
        ({"api_keys": "me:everything:" + "x1y2z3a4b5" * 4}, "no scope"),
        ({"client_origins": ("*",)}, "MCP_CLIENT_ORIGINS"),
        ({"allowed_hosts": ("*",)}, "MCP_ALLOWED_HOSTS"),
        ({"state_keys": ("short",)}, "MCP_STATE_KEYS"),
        ({"jwt_enabled": True, "jwt_algorithm": ("RS256", "HS256")}, "mixes"),
        ({"jwt_enabled": True, "jwt_algorithm": ("none",)}, "none is not accepted"),
        ({"oauth_server_url": ISSUER, "oauth_jwks_uri": "http://169.254.169.254/jwks"}, "https"),
    ],
)
async def test_threat_1_doors_left_open_are_refused_before_anything_starts(wrong: dict[str, Any], said: str):
    with pytest.raises(SettingsRefused) as refused:
        async with running(Settings(port=0, admin_port=-1, **wrong)):
            raise AssertionError("it should have been refused")
    assert said in str(refused.value)
    assert "x1y2z3" not in str(refused.value)


async def test_threat_1_without_any_key_one_is_made_and_shown_once(tmp_path: Path):
    shown: list[str] = []
    file = tmp_path / "keys.json"
    for _ in range(2):
        given = Settings(port=0, admin_port=-1, keys_file=file, store="127.0.0.1:1", executor="127.0.0.1:1")
        async with (
            running(given, show_key=shown.append) as served,
            httpx2.AsyncClient(base_url=served.url.removesuffix("/mcp")) as http,
        ):
            assert (await post(http, modern())).status_code == 401
            assert (await post(http, modern(), **bearer(shown[0]))).status_code == 200
    assert len(shown) == 1
    assert shown[0] not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


async def test_keys_are_made_and_revoked_while_it_serves(tmp_path: Path):
    file = tmp_path / "keys.json"
    keys.add(file, "first")
    async with (
        place(tmp_path / "p", limits=ROOMY, auth_enabled=True, keys_file=file, diagrams={}) as there,
        httpx2.AsyncClient(base_url=there.origin) as http,
    ):
        fresh = keys.add(file, "second")
        assert (await post(http, modern(), **bearer(fresh))).status_code == 200
        assert keys.revoke(file, "second")
        assert (await post(http, modern(), **bearer(fresh))).status_code == 401


@pytest.fixture
def jwks() -> Iterator[tuple[str, list[str]]]:
    """An authorization server's keys, and what was asked of it."""
    asked: list[str] = []
    key = jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True) | {"kid": "k1", "use": "sig"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/redirect":
                self.send_response(302)
                self.send_header("location", "/jwks")
                self.end_headers()
                return
            body = json.dumps({"keys": [key]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def token(audience: str, key: Any = RSA, algorithm: str = "RS256", kid: str | None = "k1", **claims: Any) -> str:
    known = {"iss": ISSUER, "aud": audience, "sub": "ada", "exp": time.time() + 300, "scope": "dipeo:read dipeo:run"}
    return jwt.encode(known | claims, key, algorithm, headers={"kid": kid} if kid else None)


def signed_with_the_public_key(audience: str) -> str:
    """HS256 whose secret is the PEM everybody has; PyJWT refuses to make one."""

    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    claims = {"iss": ISSUER, "aud": audience, "sub": "ada", "exp": int(time.time()) + 300, "scope": "dipeo:run"}
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "k1"}, claims]
    signed = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{encoded(hmac.digest(PEM, signed.encode(), 'sha256'))}"


async def test_threat_2_only_a_token_for_us_comes_in(tmp_path: Path, jwks: tuple[str, list[str]]):
    url, asked = jwks
    oauth = {"oauth_server_url": ISSUER, "oauth_jwks_uri": f"{url}/jwks"}
    how = {"auth_enabled": True, "api_keys": API_KEYS, "public_url": "https://dipeo.example"} | oauth
    async with place(tmp_path, limits=ROOMY, **how) as there, httpx2.AsyncClient(base_url=there.origin) as http:
        good = "https://dipeo.example/mcp"
        call = modern("tools/call", {"name": "diagram_hello", "arguments": {}})
        before = len(await there.executions())
        stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        unsigned = jwt.encode({"iss": ISSUER, "aud": good, "sub": "ada", "exp": time.time() + 99}, "", "none")
        confused = signed_with_the_public_key(good)
        for name, wrong in {
            "anonymous": "",
            "nonsense": "nonsense",
            "expired": token(good, exp=time.time() - 120),
            "not yet": token(good, nbf=time.time() + 600),
            "audience": token("https://other.example/mcp"),
            "issuer": token(good, iss="https://evil.example"),
            "none": unsigned,
            "hs256": confused,
            "key": token(good, key=stranger),
            "kid": token(good, kid=None),
            "no subject": jwt.encode(
                {"iss": ISSUER, "aud": good, "exp": time.time() + 99}, RSA, "RS256", {"kid": "k1"}
            ),
        }.items():
            answer = await post(http, call, **({"authorization": f"Bearer {wrong}"} if wrong else {}))
            assert answer.status_code == 401, name
            assert "resource_metadata=" in answer.headers["www-authenticate"]
            assert "dipeo:read" in answer.headers["www-authenticate"]
        queried = await http.post(f"/mcp?access_token={token(good)}&key={ALICE}", json=call, headers=headers_of(call))
        assert queried.status_code == 401
        assert len(await there.executions()) == before
        answer = await post(http, call, **bearer(token(good)))
        assert answer.json()["result"]["structuredContent"]["success"]
        assert (await there.executions())[0].principal == f"oauth:{ISSUER}#ada"
        assert asked == ["/jwks"]
        for path in ("", "/mcp"):
            told = await http.get(f"/.well-known/oauth-protected-resource{path}")
            assert (told.status_code, told.json()["resource"]) == (200, good)
            assert told.headers["access-control-allow-origin"] == "*"


async def test_threat_2_without_oauth_there_is_no_discovery(http: httpx2.AsyncClient):
    assert (await http.get("/.well-known/oauth-protected-resource")).status_code == 404
    refused = await post(http, modern())
    assert refused.status_code == 401 and "resource_metadata" not in refused.headers["www-authenticate"]


async def test_threat_2_old_clients_have_their_header_and_their_pair(tmp_path: Path):
    pair = "ada:" + "correct-horse-battery-staple"
    async with (
        place(tmp_path, limits=ROOMY, auth_enabled=True, api_keys=API_KEYS, basic_auth=pair) as there,
        httpx2.AsyncClient(base_url=there.origin) as http,
    ):
        assert (await post(http, modern(), x_api_key=ALICE)).status_code == 200
        body = modern()
        for password, status in (("correct-horse-battery-staple", 200), ("wrong", 401)):
            given = httpx2.BasicAuth("ada", password)
            assert (await http.post("/mcp", json=body, headers=headers_of(body), auth=given)).status_code == status


async def test_threat_3_a_token_without_scopes_is_barred(tmp_path: Path, jwks: tuple[str, list[str]]):
    url, _ = jwks
    oauth = {"oauth_server_url": ISSUER, "oauth_jwks_uri": f"{url}/jwks", "public_url": "https://dipeo.example"}
    async with (
        place(tmp_path, limits=ROOMY, auth_enabled=True, diagrams={"hello": HELLO}, **oauth) as there,
        httpx2.AsyncClient(base_url=there.origin) as http,
    ):
        barred = token("https://dipeo.example/mcp", scope="openid profile")
        answer = await post(http, modern(), **bearer(barred))
        assert answer.status_code == 403
        assert "insufficient_scope" in answer.headers["www-authenticate"]
        reader = bearer(token("https://dipeo.example/mcp", scope="dipeo:read"))
        call = modern("tools/call", {"name": "compile_diagram", "arguments": {"diagram_content": HELLO}})
        published = (await post(http, call, **reader)).json()["result"]
        assert published["isError"]


@pytest.mark.parametrize(
    "host", ["evil.example", "dipeo.example.evil.example", "evildipeo.example", "127.0.0.1.evil.example", "", "a b"]
)
async def test_threat_4_another_hosts_name_is_not_served(tmp_path: Path, host: str):
    async with (
        place(tmp_path, diagrams={}, public_url="https://dipeo.example") as there,
        httpx2.AsyncClient(base_url=there.origin) as http,
    ):
        for path in ("/mcp", "/mcp/info", "/healthz", "/.well-known/oauth-protected-resource"):
            assert (await http.get(path, headers={"host": host})).status_code in (400, 421), path
        assert (await http.get("/healthz", headers={"host": "dipeo.example"})).status_code == 200


async def test_threat_4_a_missing_host_is_not_served(guarded: Place):
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.running.port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert b"421" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_threat_5_foreign_pages_get_nothing(http: httpx2.AsyncClient):
    for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
        assert (await post(http, modern(), **bearer(ALICE), origin=origin)).status_code == 403
        asked = {"origin": origin, "access-control-request-method": "POST"}
        answer = await http.options("/mcp", headers=asked)
        assert "access-control-allow-origin" not in answer.headers


async def test_threat_13_a_session_is_good_for_its_owner_only(http: httpx2.AsyncClient):
    accept = {"accept": BOTH}
    opened = await http.post("/mcp", json=legacy("initialize", HANDSHAKE), headers=bearer(ALICE) | accept)
    session = accept | {"mcp-session-id": opened.headers["mcp-session-id"]}
    assert (await http.post("/mcp", json=legacy(), headers=bearer(BOB) | session)).status_code == 404
    assert (await http.delete("/mcp", headers=bearer(BOB) | session)).status_code == 404
    await http.post(
        "/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=bearer(ALICE) | session
    )
    own = await http.post("/mcp", json=legacy(), headers=bearer(ALICE) | session)
    assert result_of(own)["result"]["tools"]


async def test_threat_17_keys_come_from_the_configured_place_only(tmp_path: Path, jwks: tuple[str, list[str]]):
    url, asked = jwks
    oauth = {"oauth_server_url": ISSUER, "oauth_jwks_uri": f"{url}/redirect", "public_url": "https://dipeo.example"}
    async with (
        place(tmp_path, limits=ROOMY, auth_enabled=True, diagrams={}, **oauth) as there,
        httpx2.AsyncClient(base_url=there.origin) as http,
    ):
        named = {"kid": "k1", "jku": f"{url}/elsewhere", "x5u": f"{url}/elsewhere"}
        claims = {"iss": ISSUER, "aud": "https://dipeo.example/mcp", "sub": "a", "exp": time.time() + 99}
        lured = jwt.encode(claims, RSA, "RS256", named)
        assert (await post(http, modern(), **bearer(lured))).status_code == 401
    assert asked == ["/redirect"]  # neither followed, nor what the token names


async def test_threat_18_nothing_else_is_served(http: httpx2.AsyncClient):
    for path in ("/graphql", "/metrics", "/docs", "/openapi.json", "/webhooks/x", "/ready", "/", "/mcp/", "/mcp/x"):
        for given in ({}, bearer(ALICE)):
            assert (await http.get(path, headers=given)).status_code == 404, path
    health = await http.get("/healthz")
    assert (health.status_code, health.json()) == (200, {})
    assert health.headers["x-content-type-options"] == "nosniff"


async def test_threat_21_smuggled_headers_are_refused(http: httpx2.AsyncClient):
    call = modern("tools/call", {"name": "search", "arguments": {"query": ""}})
    sent = [*headers_of(call).items(), *bearer(ALICE).items(), ("content-type", "application/json")]
    body = json.dumps(call)
    twice = await http.post("/mcp", content=body, headers=[*sent, ("Mcp-Name", "compile_diagram")])
    assert (twice.status_code, twice.json()["error"]["code"]) == (400, -32020)
    other = [(name, value if name != "mcp-name" else "compile_diagram") for name, value in sent]
    wrong = await http.post("/mcp", content=body, headers=other)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, -32020)
