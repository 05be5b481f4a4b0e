"""Stands in for ngrok's agent (spec/mcp.md §4.4): speaks its log lines and its local API, opens nothing to the world.

STAND_IN_MODE: ok, bad_token, crash, silent, endpoint_error; and, as soon as a file of this name is there: die, rotate
(its endpoint has another address from then on), slow (it starts when there is a file go).
STAND_IN_FOLDER gets argv.jsonl (how it was called), forward (host:port of what stands in for the public address).
"""

import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODE = os.environ.get("STAND_IN_MODE", "ok")
FOLDER = Path(os.environ["STAND_IN_FOLDER"])
ENDPOINTS: dict[str, dict[str, str]] = {}


def record() -> int:
    """How often it was started, this time included."""
    with (FOLDER / "argv.jsonl").open("a") as file:
        file.write(json.dumps({"argv": sys.argv[1:], "env": sorted(os.environ), "pid": os.getpid()}) + "\n")
    return len((FOLDER / "argv.jsonl").read_text().splitlines())


def say(message: str, **fields: str) -> None:
    more = "".join(f" {name}={value}" for name, value in fields.items())
    print(f'lvl=info msg="{message}"{more}', flush=True)


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {"content-type": "application/json"}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Api(Quiet):
    """The agent's local API."""

    def do_GET(self) -> None:
        listed = list(ENDPOINTS.values())
        if MODE == "rotate" and STARTED == 1 and (FOLDER / "rotate").exists():
            listed = [it | {"url": "https://rotated.ngrok.test"} for it in listed]
        self.answer(200, json.dumps({"endpoints": listed}).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if MODE == "endpoint_error":
            told = {"error_code": 103, "msg": "refused", "details": {"err": "ERR_NGROK_334: it is online already"}}
            self.answer(502, json.dumps(told).encode())
            return
        host = asked.get("url", "").removeprefix("https://") or f"stand-in-{STARTED}.ngrok.test"
        upstream = asked.get("upstream", {}).get("url") or asked.get("addr")
        made = {"name": asked["name"], "url": f"https://{host}", "upstream": upstream, "uri": f"/api/x/{asked['name']}"}
        ENDPOINTS[asked["name"]] = made
        (FOLDER / "endpoint.json").write_text(json.dumps(asked))
        (FOLDER / "forward").write_text(forward(upstream, host))
        self.answer(201, json.dumps(made).encode())

    def do_DELETE(self) -> None:
        ENDPOINTS.pop(self.path.rsplit("/", 1)[-1], None)
        (FOLDER / "deleted").touch()
        self.answer(204, headers={})


def forward(upstream: str, host: str) -> str:
    """A listener that hands everything on, as the edge would."""

    class Edge(Quiet):
        def do_GET(self) -> None:
            self.handed_on()

        def do_POST(self) -> None:
            self.handed_on()

        def handed_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)) or None
            asked = urllib.request.Request(upstream + self.path, body, method=self.command)
            for name, value in self.headers.items():
                if name.lower() not in ("host", "connection", "content-length", "accept-encoding"):
                    asked.add_header(name, value)
            asked.add_header("Host", host)
            asked.add_header("X-Forwarded-For", "203.0.113.7")
            asked.add_header("X-Forwarded-Proto", "https")
            asked.add_header("X-Forwarded-Host", host)
            try:
                answer = urllib.request.urlopen(asked, timeout=20)
            except urllib.error.HTTPError as error:
                answer = error
            kind = {"content-type": answer.headers.get("content-type", "text/plain")}
            for name in ("www-authenticate", "mcp-session-id"):
                if name in answer.headers:
                    kind[name] = answer.headers[name]
            self.answer(answer.status, answer.read(), kind)

    return serve(Edge)


def serve(handler: type[BaseHTTPRequestHandler]) -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_address[1]}"


if "--version" in sys.argv:
    print("ngrok version 3.99.0")
    sys.exit(0)
STARTED = record()
if MODE == "bad_token":
    print('lvl=eror msg="failed" err="authentication failed: ERR_NGROK_105"', flush=True)
    sys.exit(1)
if MODE == "crash":
    sys.exit(3)
if MODE == "silent":
    time.sleep(600)
while MODE == "slow" and not (FOLDER / "go").exists():
    time.sleep(0.02)
say("starting web service", addr=serve(Api))
say("client session established")
say("tunnel session started")
if MODE == "die" and STARTED == 1:
    while not (FOLDER / "die").exists():
        time.sleep(0.02)
    sys.exit(1)
time.sleep(600)
