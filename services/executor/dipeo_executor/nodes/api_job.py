"""api_job: one HTTP request. (node contract 11)"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dipeo_executor.nodes import base, credentials, web
from dipeo_executor.nodes.filled import Filler, json_or_text


class Props(base.Props):
    times_itself = True

    url: str = ""
    method: Annotated[Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"], BeforeValidator(web.upper)] = "GET"
    headers: dict[str, Any] | str = Field(default_factory=dict)  # or JSON text
    params: dict[str, Any] | str = Field(default_factory=dict)  # query parameters, with every method
    body: Any = None  # not sent with GET and HEAD
    timeout: int | None = Field(default=None, ge=0)  # seconds of one attempt; 0 and absent: 30
    auth_type: Literal["none", "bearer", "basic", "api_key"] = "none"
    auth_config: dict[str, Any] = Field(default_factory=dict)
    max_retries: int = Field(default=2, ge=0, le=10)  # attempts after the first


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value is what web.value_of makes of the answer. Inputs url, headers, params and body replace the property."""
    request = await _request(props, inputs, ctx)
    response = await ctx.http.send(request, retry=web.Retry(props.max_retries + 1), log=ctx.log)
    web.require_success(request, response)
    return base.Output(web.value_of(response), meta={"http": web.meta_of(request, response)})


async def _request(props: Props, inputs: base.Inputs, ctx: base.Context) -> web.Request:
    filler = Filler(inputs, ctx)

    def mapping(name: str, given: dict[str, Any] | str) -> dict[str, Any]:
        if name not in inputs:
            return filler.mapping(given, name)
        value = json_or_text(inputs[name])  # as it came: what a run produced is no template
        if not isinstance(value, dict):
            raise base.NodeError(f"input {name} must be a map or JSON text of one, not {type(value).__name__}")
        return value

    url = inputs["url"] if "url" in inputs else filler.text(props.url, "url")
    if not isinstance(url, str) or not url.strip():
        raise web.BadRequest("there is no url; set it, or send one to the input url")
    request = web.Request(
        method=props.method,
        url=web.checked_url(url.strip()),
        params=web.pairs(mapping("params", props.params)),
        headers=web.headers(mapping("headers", props.headers)),
        timeout_s=props.timeout or web.TIMEOUT_S,
        credentials=web.headers(await credentials.headers(props.auth_type, props.auth_config, filler, ctx.http)),
    )
    body = json_or_text(inputs["body"]) if "body" in inputs else filler.body(props.body, "body")
    return web.with_idempotency_key(web.with_content(request, body), ctx.idempotency_key)
