"""The gateway as the command line uses it: GraphQL by POST, live updates by graphql-transport-ws.

The only module that imports httpx2. Failures leave as CliError with the exit code of their GraphQL error code.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import httpx2

from dipeo_cli import __version__, operations, trace
from dipeo_cli.errors import CliError, FilesWanted, NotFound, Unreachable, from_gateway
from dipeo_cli.lookup import Diagram

RETRY_PAUSES_S = (0.2, 0.4)
EVENT_LIMIT_BYTES = 16 * 1024 * 1024
HEALTH_TIMEOUT_S = 5.0
KEEPALIVE_S = 20.0
_RETRYABLE = {"UNAVAILABLE", "OVERLOADED"}
_ABOUT_THE_DOCUMENT = {"BAD_INPUT", "INTERNAL"}
_STATUS_CODES = {401: "UNAUTHENTICATED", 403: "FORBIDDEN", 404: "NOT_FOUND", 413: "BAD_INPUT", 429: "OVERLOADED"}

Json = dict[str, Any]


class StreamLost(Exception):
    """The live connection broke; subscribe again from the last seq."""


class Gateway:
    """One gateway. Use as a context manager."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url, self._token = url, token
        self._local = _is_loopback(httpx2.URL(url).host)
        # a proxy of the environment must not see loopback traffic; certificates are only read for https
        self._http = httpx2.Client(
            base_url=url,
            headers={"user-agent": f"dipeo-cli/{__version__}"}
            | ({"authorization": f"Bearer {token}"} if token else {})
            | trace.headers(),
            trust_env=not self._local,
            verify=url.startswith("https:"),
            timeout=httpx2.Timeout(30.0, connect=5.0),
        )

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # --- plain requests ----------------------------------------------------------------------------------------------

    def health(self) -> Json | None:
        """What GET /health says, or None when nobody, or a stranger, answers."""
        try:
            response = self._http.get("/health", timeout=HEALTH_TIMEOUT_S)
            body = response.json()
        except (httpx2.HTTPError, ValueError):
            return None
        return body if isinstance(body, dict) and body.get("service") == "dipeo-gateway" else None

    def has_page(self) -> bool:
        """Whether there is something for a browser at its address."""
        try:
            return self._http.get("/", timeout=HEALTH_TIMEOUT_S, headers={"accept": "text/html"}).status_code < 400
        except httpx2.HTTPError:
            return False

    def execute(self, document: str, variables: Json, *, idempotency_key: str = "") -> Json:
        """One query or mutation; `data` of the answer. Tried again while the gateway is busy or not there."""
        for pause_s in (*RETRY_PAUSES_S, None):
            try:
                return self._post(document, variables, idempotency_key)
            except CliError as error:
                if error.code.upper() not in _RETRYABLE or pause_s is None:
                    raise
                time.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    def _post(self, document: str, variables: Json, idempotency_key: str) -> Json:
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        try:
            response = self._http.post("/graphql", json={"query": document, "variables": variables}, headers=headers)
        except httpx2.HTTPError as error:
            raise Unreachable(f"the gateway at {self.url} does not answer: {error or type(error).__name__}") from error
        if response.status_code != 200:
            code = _STATUS_CODES.get(
                response.status_code, "UNAVAILABLE" if response.status_code >= 500 else "BAD_INPUT"
            )
            raise from_gateway(
                code, f"the gateway at {self.url} answered {response.status_code}: {response.text[:300]}"
            )
        try:
            body = response.json()
        except ValueError as error:
            raise from_gateway("INTERNAL", f"{self.url} does not speak GraphQL") from error
        for problem in body.get("errors") or ():
            raise self._refused(problem)
        data: Json = body["data"]
        return data

    def _refused(self, problem: Json) -> CliError:
        """What a top-level error means. One without a path is about the document: nothing of it was run."""
        code, text = _code_of(problem), str(problem.get("message", "the gateway refused"))
        if code in _ABOUT_THE_DOCUMENT and not problem.get("path"):
            from dipeo_cli import releases

            server = str((self.health() or {}).get("version", ""))
            if server and releases.remark(server):
                return releases.misunderstood(self.url, server, text)
        return from_gateway(code, text)

    def _mutate(self, document: str, name: str, input: Json, *, idempotency_key: str = "") -> Json:
        """A v1 mutation: its wrapper unwrapped, or CliError with `envelope` as context."""
        return _unwrapped(self.execute(document, {"input": input}, idempotency_key=idempotency_key)[name])

    # --- operations --------------------------------------------------------------------------------------------------

    def execute_diagram(self, input: Json) -> Json:
        """Store and start a run; {data: execution, envelope}. The execution id makes a repeated call harmless."""
        key = str(input["execution_id"])
        return self._mutate(operations.EXECUTE_DIAGRAM, "executeDiagram", input, idempotency_key=key)

    def compile_diagram(self, diagram: Diagram, changes: Mapping[str, Any], uploads: Json | None) -> Json:
        """`changes`: "NODE.property" -> value. Raises FilesWanted."""
        variables = {
            "source": diagram.text,
            "path": diagram.path,
            "format": diagram.format.upper() or None,
            "changes": changes or None,
            "uploads": uploads,
        }
        report: Json = self.execute(operations.COMPILE_DIAGRAM, variables)["compileDiagram"]
        if report.get("wanted"):
            raise FilesWanted("the executor wants files", context=report)
        return report

    def publish(self, name: str, text: str, format: str, *, overwrite: bool) -> Json:
        """{uri, etag, replaced}. Raises Conflict when there is one of that name that may not be replaced."""
        variables = {"name": name, "file": text, "format": format.upper(), "overwrite": overwrite}
        return _unwrapped(self.execute(operations.UPLOAD_DIAGRAM, variables)["uploadDiagram"])

    def published(self) -> list[Json]:
        """{name, tool, uri, format, etag, updated_at, updated_by} each."""
        found: list[Json] = self.execute(operations.PUBLISHED_DIAGRAMS, {})["publishedDiagrams"]
        return found

    def unpublish(self, name: str) -> None:
        """Raises CliError with code not_found."""
        _unwrapped(self.execute(operations.DELETE_DIAGRAM, {"name": name})["deleteDiagram"])

    def files(self, execution_id: str) -> list[Json]:
        """What a run has written on a remote executor: {name, size, sha256} each."""
        found: list[Json] = self.execute(operations.EXECUTION_FILES, {"id": execution_id})["executionFiles"]
        return found

    def file(self, execution_id: str, name: str) -> bytes:
        found = self.execute(operations.EXECUTION_FILE, {"id": execution_id, "name": name})["executionFile"]
        return base64.b64decode(found["content"])

    def get_execution(self, execution_id: str) -> Json:
        """Raises NotFound."""
        found: Json | None = self.execute(operations.GET_EXECUTION, {"id": execution_id})["getExecution"]
        if found is None:
            raise NotFound(f"Execution not found: {execution_id}", context={"session_id": execution_id})
        return found

    def list_executions(self, *, limit: int, filter: Json | None = None, summaries: bool = False) -> list[Json]:
        """Newest first: id and status, or all that a summary shows."""
        document = operations.LIST_SUMMARIES if summaries else operations.LIST_EXECUTIONS
        variables = {"filter": filter or {}, "limit": float(limit)}
        found: list[Json] = self.execute(document, variables)["listExecutions"]
        return found

    def events(self, execution_id: str, after_seq: int = 0, limit: int = 1000) -> Json:
        """A page of the journal: {events, head_seq, terminal}."""
        variables = {"id": execution_id, "after": after_seq, "limit": limit}
        page: Json = self.execute(operations.EXECUTION_EVENTS, variables)["executionEvents"]
        return page

    def metrics(self, execution_id: str, threshold_ms: float | None = None) -> Json:
        """Raises NotFound."""
        variables = {"id": execution_id, "threshold_ms": threshold_ms}
        found: Json = self.execute(operations.GET_EXECUTION_METRICS, variables)["getExecutionMetrics"]
        if not found:
            raise NotFound(f"Execution not found: {execution_id}", context={"execution_id": execution_id})
        return found

    def history(self, diagram_id: str, limit: int) -> list[Json]:
        """Runs of a diagram, newest first; "" = of all."""
        variables = {"diagram_id": diagram_id, "limit": float(limit)}
        found: list[Json] = self.execute(operations.GET_EXECUTION_HISTORY, variables)["getExecutionHistory"]
        return found

    def abort(self, execution_id: str, reason: str = "") -> Json:
        """Raises CliError with code conflict when the run has ended."""
        return self.control(execution_id, "abort", reason)

    def control(self, execution_id: str, action: str, reason: str = "") -> Json:
        """Abort, pause or resume: {id, status}. Raises CliError with code conflict when it cannot be done any more."""
        input = {"execution_id": execution_id, "action": action, "reason": reason or None}
        result: Json = self._mutate(operations.CONTROL_EXECUTION, "controlExecution", input)["data"]
        return result

    def retry(self, execution_id: str, from_node: str, new_id: str) -> Json:
        """A new run with that id: {data: execution, envelope: {from, kept}}."""
        input = {"execution_id": execution_id, "from_node": from_node or None, "new_execution_id": new_id}
        return self._mutate(operations.RETRY_EXECUTION, "retryExecution", input, idempotency_key=new_id)

    def respond(self, execution_id: str, node_id: str, text: str, prompt_id: str = "") -> None:
        """Raises CliError with code conflict or not_found when nobody asks any more."""
        metadata = {"prompt_id": prompt_id} if prompt_id else {}
        input = {"execution_id": execution_id, "node_id": node_id, "response": text, "metadata": metadata}
        self._mutate(operations.SEND_INTERACTIVE_RESPONSE, "sendInteractiveResponse", input)

    # --- keys --------------------------------------------------------------------------------------------------------

    def create_key(self, input: Json) -> Json:
        made: Json = self._mutate(operations.CREATE_KEY, "createApiKey", input)["data"]
        return made

    def keys(self, service: str = "") -> list[Json]:
        found: list[Json] = self.execute(operations.LIST_KEYS, {"service": service or None})["getApiKeys"]
        return found

    def test_key(self, name: str) -> Json:
        """{message, envelope: {valid}}. Raises CliError with code not_found."""
        return _unwrapped(self.execute(operations.TEST_KEY, {"id": name})["testApiKey"])

    def delete_key(self, name: str) -> bool:
        """False when there was none."""
        return bool(_unwrapped(self.execute(operations.DELETE_KEY, {"id": name})["deleteApiKey"])["deleted_count"])

    # --- live --------------------------------------------------------------------------------------------------------

    @contextmanager
    def subscribe(self, execution_id: str, last_seq: int) -> Iterator["Stream"]:
        """Follow an execution from `last_seq`. Raises StreamLost when the connection fails, before or later."""
        from httpx2 import websockets

        address = self.url.replace("http", "ws", 1) + "/graphql"
        try:
            with self._http.websocket(
                address,
                subprotocols=["graphql-transport-ws"],
                max_message_size_bytes=EVENT_LIMIT_BYTES,
                keepalive_ping_interval_seconds=None if self._local else KEEPALIVE_S,
            ) as socket:
                yield Stream(socket, self._token, execution_id, last_seq, self._refused)
        except (httpx2.HTTPError, websockets.HTTPXWSException) as error:
            raise StreamLost(str(error) or type(error).__name__) from error


class Stream:
    """One running executionUpdates subscription."""

    def __init__(
        self, socket: Any, token: str, execution_id: str, last_seq: int, refused: Callable[[Json], CliError]
    ) -> None:
        self._socket, self._refused = socket, refused
        payload = {"Authorization": f"Bearer {token}"} if token else {}
        self._send({"type": "connection_init", "payload": payload})
        variables = {"id": execution_id, "last_seq": last_seq}
        query = {"query": operations.EXECUTION_UPDATES, "variables": variables}
        self._subscribe = {"type": "subscribe", "id": "1", "payload": query}

    def next(self, timeout_s: float) -> Json | None:
        """The next event, or None when none came in time. Raises StreamLost at its end."""
        try:
            message = json.loads(self._socket.receive_text(timeout=timeout_s))
        except TimeoutError:
            return None
        match message["type"]:
            case "connection_ack":
                self._send(self._subscribe)
            case "ping":
                self._send({"type": "pong"})
            case "next":
                return self._event(message["payload"])
            case "error":
                self._refuse(message["payload"])
            case "complete":
                raise StreamLost("the gateway ended the stream")
        return None

    def _send(self, message: Json) -> None:
        self._socket.send_text(json.dumps(message))

    def _event(self, payload: Json) -> Json:
        if payload.get("errors"):
            self._refuse(payload["errors"])
        event: Json = payload["data"]["executionUpdates"]
        return event

    def _refuse(self, problems: list[Json]) -> None:
        if _code_of(problems[0]) in ("RESYNC_REQUIRED", *_RETRYABLE):
            raise StreamLost(problems[0].get("message", "the gateway refused"))
        raise self._refused(problems[0])


def _unwrapped(result: Json) -> Json:
    """What a v1 mutation answered; CliError with `envelope` as context when it refused."""
    if not result["success"]:
        code, text = result.get("error_type") or "INTERNAL", result.get("error") or "the gateway refused"
        raise from_gateway(code, text, context=result.get("envelope"))
    return result


def _code_of(problem: Json) -> str:
    """A GraphQL error without a code is a document the gateway does not understand."""
    return str((problem.get("extensions") or {}).get("code") or "INTERNAL")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
