"""A request to the web and its answer, as values. Pure; http.py sends them. (node contract 11)"""

import json
import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, quote_plus, urlencode, urljoin, urlsplit, urlunsplit

from dipeo_executor import values
from dipeo_executor.nodes.base import NodeError

TIMEOUT_S = 30.0
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
WITHOUT_BODY = frozenset({"GET", "HEAD"})
ERROR_BODY = 2048  # characters of an answer shown in an error
MASK = "***"

_TRAVELS = frozenset({"accept", "accept-language", "content-type", "idempotency-key", "user-agent"})  # to other hosts
_OURS = frozenset({"connection", "content-length", "host", "transfer-encoding"})
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SECRET_NAME = re.compile(r"auth|cookie|token|secret|passw|signature|api[-_]?key|^(x-)?key$", re.IGNORECASE)
_NEXT_LINK = re.compile(r'<([^>]*)>[^,]*;\s*rel="?next"?', re.IGNORECASE)


class BadRequest(NodeError):
    """The request cannot be made as it is written."""


class StatusError(NodeError):
    """The server answered, and not with success."""


@dataclass(frozen=True, slots=True)
class Request:
    """`credentials` and `secret_params` go to the host of `url` only, and are masked wherever a request is shown."""

    method: str
    url: str  # absolute, http or https
    params: Sequence[tuple[str, str]] = ()  # added to those of the url
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    timeout_s: float = TIMEOUT_S  # of one attempt, redirects and body included
    credentials: Mapping[str, str] = field(default_factory=dict)  # headers
    secret_params: Sequence[tuple[str, str]] = ()

    @property
    def full_url(self) -> str:
        return _with_query(self.url, [*self.params, *self.secret_params])

    @property
    def shown_url(self) -> str:
        """Fit for logs and errors."""
        return masked_url(_with_query(self.url, [*self.params, *((name, MASK) for name, _ in self.secret_params)]))

    @property
    def secrets(self) -> list[str]:
        """What must not be repeated, even when the server does."""
        given = [*self.credentials.values(), *(value for _, value in self.secret_params)]
        return [*given, *map(quote_plus, given)]


@dataclass(frozen=True, slots=True)
class Response:
    """`url` is where the answer came from, after redirects. `headers` are in lower case."""

    status: int
    url: str
    headers: Mapping[str, str]
    content: bytes
    attempts: int = 1

    @property
    def ok(self) -> bool:
        return 200 <= self.status <= 299


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a request is tried again. Retry-After of the server wins over the computed wait."""

    attempts: int = 1  # in total
    base_s: float = 1.0
    max_s: float = 60.0
    growth: Literal["exponential", "linear", "fixed"] = "exponential"
    statuses: frozenset[int] = RETRIED_STATUSES

    def wait_s(self, failures: int) -> float:
        """After so many failed attempts, from 1."""
        factor = {"exponential": 2 ** (failures - 1), "linear": failures, "fixed": 1}[self.growth]
        return float(min(self.base_s * factor, self.max_s))


def retry_after_s(value: str, now: float) -> float | None:
    """Seconds from a Retry-After header: a number, or a date against `now` (Unix time). None when it is neither."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


# --- making a request -------------------------------------------------------------------------------------------------


def upper(method: Any) -> Any:
    """For properties that hold a method: get is GET."""
    return method.upper() if isinstance(method, str) else method


def pairs(given: Mapping[str, Any], *, drop_empty: bool = False) -> list[tuple[str, str]]:
    """Query parameters: a list repeats its name, null is left out, true is "true", a map is JSON."""
    made: list[tuple[str, str]] = []
    for name, value in given.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None and not (drop_empty and item == ""):
                made.append((name, as_param(item)))
    return made


def as_param(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def headers(given: Mapping[str, Any]) -> dict[str, str]:
    """Header values as text; null is left out. Raises BadRequest naming the header."""
    made: dict[str, str] = {}
    for name, value in given.items():
        if value is None:
            continue
        text = as_param(value)
        if not _HEADER_NAME.fullmatch(name):
            raise BadRequest(f"{name!r} is not a name of a header")
        if name.lower() in _OURS:
            raise BadRequest(f"header {name} cannot be set; it is made from the url and the body")
        if any(sign in text for sign in "\r\n\0"):
            raise BadRequest(f"header {name} must be one line of text")
        made[name] = text.strip()
    return made


def has(given: Mapping[str, str], name: str) -> bool:
    return any(key.lower() == name.lower() for key in given)


def with_content(request: Request, body: Any) -> Request:
    """Text goes out as text, everything else as JSON, a map as a form when the Content-Type says so. None: nothing."""
    if body is None or request.method in WITHOUT_BODY:
        return request
    content_type = next((text for name, text in request.headers.items() if name.lower() == "content-type"), "")
    if isinstance(body, Mapping) and content_type.startswith("application/x-www-form-urlencoded"):
        return replace(request, content=urlencode(pairs(body)).encode())
    content = body.encode() if isinstance(body, str) else values.encode(body)
    if not content_type:
        content_type = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
        request = replace(request, headers={**request.headers, "Content-Type": content_type})
    return replace(request, content=content)


def with_idempotency_key(request: Request, key: str) -> Request:
    """Offer the key of this node run, the same over all attempts, where repeating could do harm (decision 27)."""
    if request.method in IDEMPOTENT or has(request.headers, "Idempotency-Key"):
        return request
    return replace(request, headers={**request.headers, "Idempotency-Key": key})


def checked_url(url: str) -> str:
    """An absolute http(s) URL. Raises BadRequest."""
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        words = f'"{masked_url(url)}" is not an address; it must start with http:// or https:// and name a host'
        raise BadRequest(words)
    if parts.username is not None:
        raise BadRequest("the url must not hold a user name or password; use auth_type basic with auth_config")
    return url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # checked only when it is read
    except ValueError as error:
        raise BadRequest(f"the url is malformed: {error}") from None
    return parts


def _with_query(url: str, params: Iterable[tuple[str, str]]) -> str:
    parts = _split(url)
    query = "&".join(part for part in (parts.query, urlencode(list(params))) if part)
    return urlunsplit(parts._replace(query=query, fragment=""))


# --- redirects --------------------------------------------------------------------------------------------------------


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port)."""
    parts = _split(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def redirected(request: Request, response: Response) -> Request | None:
    """The request a redirect asks for, or None when the answer is none. Credentials never go to another host."""
    location = response.headers.get("location", "")
    if response.status not in (301, 302, 303, 307, 308) or not location:
        return None
    target = checked_url(urljoin(request.full_url, location))
    to_get = response.status == 303 or (response.status in (301, 302) and request.method == "POST")
    if to_get and request.method != "HEAD":
        kept = {name: text for name, text in request.headers.items() if name.lower() != "content-type"}
        request = replace(request, method="GET", content=b"", headers=kept)
    request = replace(request, url=target, params=(), secret_params=())  # the server's url is complete
    if origin(target) == origin(response.url) or _is_upgrade(response.url, target):
        return request
    travelling = {name: text for name, text in request.headers.items() if name.lower() in _TRAVELS}
    return replace(request, headers=travelling, credentials={})


def _is_upgrade(before: str, after: str) -> bool:
    (old_scheme, old_host, old_port), (scheme, host, port) = origin(before), origin(after)
    return (old_scheme, old_port, scheme, port) == ("http", 80, "https", 443) and old_host == host


def next_link(response: Response) -> str:
    """The absolute URL of rel="next" in the Link header, or ""."""
    found = _NEXT_LINK.search(response.headers.get("link", ""))
    return urljoin(response.url, found[1]) if found else ""


# --- the answer -------------------------------------------------------------------------------------------------------


def value_of(response: Response) -> Any:
    """JSON as it is; other text as {"text": …}, bytes as {"base64", "content_type"}; nothing at all as {}."""
    if not response.content.strip():
        return {}
    content_type, charset = _content_type(response)
    if "json" in content_type or response.content.lstrip()[:1] in (b"{", b"["):
        try:
            return values.decode(response.content)
        except values.ValueNotJson:
            pass  # it only said so, or only looked like it
    try:
        return {"text": response.content.decode(charset)}
    except (UnicodeDecodeError, LookupError):
        return {"base64": b64encode(response.content).decode(), "content_type": content_type}


def text_of(response: Response) -> str:
    _, charset = _content_type(response)
    try:
        return response.content.decode(charset, "replace")
    except LookupError:
        return response.content.decode("utf-8", "replace")


def _content_type(response: Response) -> tuple[str, str]:
    message = Message()
    message["content-type"] = response.headers.get("content-type", "application/octet-stream")
    return message.get_content_type(), message.get_param("charset", "utf-8")  # type: ignore[return-value]


def require_success(request: Request, response: Response) -> None:
    """Raises StatusError with the status and the beginning of what the server said."""
    if response.ok:
        return
    said = masked(text_of(response).strip()[:ERROR_BODY], request.secrets)
    words = f"{request.method} {request.shown_url} answered {status_words(response.status)}"
    tries = f" after {response.attempts} attempts" if response.attempts > 1 else ""
    raise StatusError(f"{words}{tries}{f': {said}' if said else ''}")


def status_words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def meta_of(request: Request, response: Response) -> dict[str, Any]:
    """What the run keeps of a call, without its secrets."""
    secrets = request.secrets
    return {
        "status": response.status,
        "method": request.method,
        "url": masked(masked_url(response.url, {name for name, _ in request.secret_params}), secrets),
        "request_headers": {**_masked_headers(request.headers, secrets), **dict.fromkeys(request.credentials, MASK)},
        "response_headers": _masked_headers(response.headers, secrets),
        "attempts": response.attempts,
    }


def _masked_headers(given: Mapping[str, str], secrets: Sequence[str]) -> dict[str, str]:
    return {name: MASK if _SECRET_NAME.search(name) else masked(text, secrets) for name, text in given.items()}


def masked(text: str, secrets: Iterable[str]) -> str:
    """Short secrets are left alone: masking every "a" would tell more than it hides."""
    for secret in secrets:
        bare = secret.rpartition(" ")[2]  # the token of "Bearer <token>"
        if len(bare) >= 4:
            text = text.replace(bare, MASK)
    return text


def masked_url(url: str, names: Collection[str] = ()) -> str:
    """Without the values of parameters in `names` or called like secrets, and without user and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    query = [
        (name, MASK if name in names or _SECRET_NAME.search(name) else text)
        for name, text in parse_qsl(parts.query, keep_blank_values=True)
    ]
    netloc = parts.netloc.rpartition("@")[2]
    # safe: what is masked stays readable
    shown = urlencode(query, safe="*") if any(text == MASK for _, text in query) else parts.query
    return urlunsplit(parts._replace(netloc=netloc, query=shown, fragment=""))
