"""One operation of a provider: from its manifest to requests, and from their answers to the value. (20.3)

url, headers, body -> credentials -> rate limit -> request with retries -> success? -> json_pointer -> transform -> next
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dipeo_executor import templates
from dipeo_executor.nodes import base, web
from dipeo_executor.nodes.web import Request, Response, Retry
from dipeo_executor.providers import auth, paging, rates, rendering
from dipeo_executor.providers.manifest import Manifest, Operation, Pagination, RetryPolicy

GROWTH: dict[str, Any] = {"exponential_backoff": "exponential", "linear_backoff": "linear", "fixed_delay": "fixed"}


class RequestFailed(base.NodeError):
    """The provider answered, and not with success."""


class ConfigMissing(base.NodeError):
    """The operation needs more than it was given."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a node wants of an operation. None: as the manifest says."""

    config: Mapping[str, Any]
    resource_id: str
    credentials: Mapping[str, str]  # given by the node; the rest comes from the environment
    idempotency_key: str
    timeout_s: float | None = None
    max_retries: int | None = None


async def perform(
    manifest: Manifest, operation: Operation, call: Call, http: base.Http, log: base.Log
) -> tuple[Any, dict[str, Any]]:
    """(the value, meta of the last request). Raises NodeError."""
    if operation.pre_request_hook or operation.post_response_hook:
        raise base.NodeError(f"{manifest.name}: the operation needs hooks in Python, which are not run")
    missing = [name for name in operation.required if call.config.get(name) in (None, "")]
    if missing:
        raise ConfigMissing(f"{manifest.name}: the operation needs {', '.join(f'config.{name}' for name in missing)}")
    secrets = auth.secrets(manifest, call.credentials, http)
    limit = _max_pages(operation.pagination, call)
    request: Request | None = _request(manifest, operation, call, secrets)
    pages: list[Any] = []
    meta: dict[str, Any] = {}
    while request is not None and len(pages) < limit:
        signed = await auth.signed(request, manifest, secrets, http)
        response = await _answer(signed, manifest, operation, call, http, log)
        document = web.value_of(response)
        pages.append(_taken(document, operation))
        meta = web.meta_of(signed, response)
        paged = operation.pagination
        request = paging.following(request, response, document, pages[-1], paged) if paged else None
    return paging.joined(pages), {**meta, "pages": len(pages)}


def _max_pages(paged: Pagination | None, call: Call) -> int:
    if paged is None:
        return 1
    asked = call.config.get("max_pages", paged.max_pages)
    if not isinstance(asked, int) or isinstance(asked, bool) or not 1 <= asked <= 100:
        raise base.NodeError(f"config.max_pages must be a number from 1 to 100, not {asked!r}")
    return asked


async def _answer(
    request: Request, manifest: Manifest, operation: Operation, call: Call, http: base.Http, log: base.Log
) -> Response:
    """Raises RequestFailed for a status that is not one of success."""
    rate = operation.rate_limit_override or manifest.rate_limit
    limiter = http.shared(("rate", manifest.name, manifest.base_url, rate), lambda: rates.limiter(rate))
    if limiter is not None:
        await limiter.acquire()
    response = await http.send(request, retry=_retry(manifest.retry_policy, call.max_retries), log=log)
    if response.status in operation.response.success_codes:
        return response
    said = web.text_of(response)
    if operation.response.error_json_pointer is not None:
        found = paging.pointed(web.value_of(response), operation.response.error_json_pointer)
        said = said if found is None else templates.as_text(found)
    said = web.masked(said.strip()[: web.ERROR_BODY], request.secrets)
    tries = f" after {response.attempts} attempts" if response.attempts > 1 else ""
    raise RequestFailed(f"{manifest.name}: Request failed with status {response.status}{tries}: {said}")


def _retry(policy: RetryPolicy, max_retries: int | None) -> Retry:
    return Retry(
        attempts=1 + (policy.max_retries if max_retries is None else max_retries),
        base_s=policy.base_delay_ms / 1000,
        max_s=policy.max_delay_ms / 1000,
        growth=GROWTH[policy.strategy],
        statuses=policy.retry_on_status,
    )


def _request(manifest: Manifest, operation: Operation, call: Call, secrets: Mapping[str, str]) -> Request:
    """Without credentials. Secrets are known to headers only, never to what ends up in logs."""
    context = {"config": call.config, "resource_id": call.resource_id}
    shape = operation.request
    known_to_headers = {**context, "api_key": secrets.get("api_key", ""), "secret": secrets}
    headers = rendering.value(shape.headers_template, known_to_headers, "headers_template")
    request = Request(
        method=operation.method,
        url=web.checked_url(_url(manifest, operation, context)),
        params=web.pairs(
            rendering.value(shape.query_params_template, context, "query_params_template"), drop_empty=True
        ),
        headers=web.headers({**manifest.default_headers, **headers}),
        timeout_s=call.timeout_s or operation.timeout_override or manifest.default_timeout,
    )
    if operation.pagination:
        request = paging.first(request, operation.pagination)
    request = web.with_content(request, _body(shape.body_template, context))
    return web.with_idempotency_key(request, call.idempotency_key)


def _url(manifest: Manifest, operation: Operation, context: Mapping[str, Any]) -> str:
    path = rendering.text(operation.path, context, "path").strip().lstrip("/")
    if any(step in (".", "..") for step in path.partition("?")[0].split("/")):
        raise base.NodeError(f'the path "{path}" leads elsewhere; a value in it must not be . or ..')
    return f"{manifest.base_url.rstrip('/')}/{path}" if path else manifest.base_url


def _body(template: Any, context: Mapping[str, Any]) -> Any:
    """Text must fill into JSON; maps are filled part by part."""
    if not isinstance(template, str):
        return rendering.value(template, context, "body_template")
    text = rendering.text(template, context, "body_template")
    try:
        return json.loads(text) if text.strip() else None
    except ValueError as error:
        raise base.NodeError(f"body_template does not fill into JSON: {error}") from None


def _taken(document: Any, operation: Operation) -> Any:
    shape = operation.response
    found = paging.pointed(document, shape.json_pointer)
    if not shape.transform:
        return found
    text = rendering.text(shape.transform, {"response": found}, "transform")
    try:
        return json.loads(text)
    except ValueError:
        return text
