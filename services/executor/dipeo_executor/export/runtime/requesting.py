"""Requests to other hosts."""

import asyncio
import json
import os
import re
import urllib.error
import urllib.request
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

from dipeo_executor.export.runtime.kinds import Inputs
from dipeo_executor.export.runtime.running import NodeError, Run, in_thread
from dipeo_executor.export.runtime.texts import NAME, fill, json_or_text
from dipeo_executor.templates import lookup, scopes_of

RETRIED = (429, 500, 502, 503, 504)


async def call_api(
    run: Run,
    inputs: Inputs,
    url: str,
    method: str = "GET",
    headers: Any = None,
    params: Any = None,
    body: Any = None,
    timeout_s: float = 30,
    retries: int = 2,
    auth: dict[str, str] | None = None,
) -> Any:
    """JSON as it is, other text as {"text": …}. Inputs called url, headers, params and body replace the property."""
    address = inputs.get("url") or filled_text(url, run, inputs)
    sent = {name: json_or_text(value) for name, value in inputs.items()}
    query = sent.get("params") or filled_all(params, run, inputs) or {}
    shown = sent.get("headers") or filled_all(headers, run, inputs) or {}
    pairs = [(key, as_param(one)) for key, it in query.items() for one in (it if isinstance(it, list) else [it])]
    if pairs:
        address += ("&" if "?" in address else "?") + urlencode(pairs)
    content = sent["body"] if "body" in sent else filled_value(json_or_text(body), run, inputs)
    lines = {str(key): as_param(value) for key, value in shown.items() if value is not None} | (auth or {})
    data = None
    if content is not None and method not in ("GET", "HEAD"):
        kind = next((text for name, text in lines.items() if name.lower() == "content-type"), "")
        if isinstance(content, dict) and kind.startswith("application/x-www-form-urlencoded"):
            data = urlencode([(key, as_param(it)) for key, it in content.items()]).encode()
        else:
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
        if not kind:
            lines["Content-Type"] = "text/plain; charset=utf-8" if isinstance(content, str) else "application/json"
    if not address.startswith(("http://", "https://")):
        raise NodeError(f'"{address}" is not an address; it must start with http:// or https://')
    request = urllib.request.Request(address, data, lines, method=method)
    for attempt in range(retries + 1):
        try:
            return await in_thread(fetched, request, timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode("utf-8", "replace").strip()[:2048]
            if attempt == retries or error.code not in RETRIED:
                raise NodeError(f"{method} {url} answered {error.code} {error.reason}: {said}") from error
        except (urllib.error.URLError, TimeoutError) as error:
            if attempt == retries or method not in ("GET", "HEAD", "PUT", "DELETE"):
                raise NodeError(f"{method} {url}: {error}") from error
        await asyncio.sleep(2**attempt)
    raise AssertionError("the last try returns or raises")


def fetched(request: urllib.request.Request, timeout_s: float) -> Any:
    with urllib.request.urlopen(request, timeout=timeout_s) as response:
        content, kind = response.read(), response.headers.get("Content-Type", "")
        charset = response.headers.get_content_charset("utf-8")
    if not content.strip():
        return {}
    if "json" in kind or content.lstrip()[:1] in (b"{", b"["):
        try:
            return json.loads(content)
        except ValueError:
            pass
    try:
        return {"text": content.decode(charset)}
    except (UnicodeDecodeError, LookupError):
        return {"base64": b64encode(content).decode(), "content_type": kind.partition(";")[0]}


def as_param(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def filled_text(template: str, run: Run, inputs: Inputs) -> str:
    """With all its {{names}}: an address with a hole in it is of no use."""
    text = fill(template, run, inputs)
    hole = NAME.search(text)
    if hole and NAME.search(template):
        raise NodeError(f"there is no value for {hole[1]}")
    return text


def filled_all(value: Any, run: Run, inputs: Inputs) -> Any:
    """The same for every text in a map, or the JSON text of one."""
    if isinstance(value, dict):
        return {key: filled_all(it, run, inputs) for key, it in value.items()}
    if isinstance(value, list):
        return [filled_all(it, run, inputs) for it in value]
    return filled_text(value, run, inputs) if isinstance(value, str) else value


def filled_value(value: Any, run: Run, inputs: Inputs) -> Any:
    """Data: what is one {{name}} alone becomes the value itself."""
    if isinstance(value, str):
        only = re.fullmatch(NAME.pattern, value.strip())
        found = lookup(only[1], scopes_of(inputs, run.variables, run.custom_data)) if only else None
        return fill(value, run, inputs) if found is None else found
    if isinstance(value, dict):
        return {key: filled_value(it, run, inputs) for key, it in value.items()}
    return [filled_value(it, run, inputs) for it in value] if isinstance(value, list) else value


def secret(name: str) -> str:
    if name not in os.environ:
        raise NodeError(f"set the environment variable {name}")
    return os.environ[name]


def basic(username: str, password: str) -> str:
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"
