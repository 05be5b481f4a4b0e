"""hook: hands the inputs to something outside: a program, a web address, a Python function, a file. (contract 15)"""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from dipeo_executor import templates
from dipeo_executor.nodes import base, web
from dipeo_executor.nodes.filled import Filler, json_or_text

TIMEOUT_S = 60
VARIABLE_BYTES = 120 * 1024  # Linux starts no program with a longer variable
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def _kind(value: Any) -> Any:
    return "http" if value == "webhook" else value


class Props(base.Props):
    times_itself = True

    """`config` is an older place for all of them; what stands beside it wins."""

    hook_type: Annotated[Literal["shell", "http", "python", "file"], BeforeValidator(_kind)] = "shell"
    command: str = ""  # a program, or a whole command line that is split, never given to a shell
    args: list[Any] = Field(default_factory=list)
    cwd: str = ""
    env: dict[str, Any] = Field(default_factory=dict)
    url: str = ""
    method: Annotated[Literal["GET", "POST", "PUT", "DELETE", "PATCH"], BeforeValidator(web.upper)] = "POST"
    headers: dict[str, Any] | str = Field(default_factory=dict)
    script: str = ""
    function_name: str = Field(
        default="hook", validation_alias=AliasChoices("function_name", "functionName", "function")
    )
    file_path: str = ""
    format: Literal["json", "yaml", "text"] = "json"
    timeout: int | None = Field(default=None, ge=0)  # seconds; 0 and absent: 60
    retry_count: int = Field(default=0, ge=0, le=10)
    subscribe_to: dict[str, Any] | None = None
    config: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _config_at_the_top(cls, data: Any) -> Any:
        nested = data.get("config") if isinstance(data, Mapping) else None
        return {**nested, **data} if isinstance(nested, Mapping) else data


class HookError(base.NodeError):
    """The hook is not described in full."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value is what came back: JSON where it is JSON, else text; of a file {"status": "success", "file": name}."""
    kinds = {"shell": _shell, "http": _http, "python": _python, "file": _file}
    output = await kinds[props.hook_type](props, inputs, ctx)
    return base.Output(output.value, meta={"hook_type": props.hook_type, "success": True, **output.meta})


async def _http(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    if props.subscribe_to is not None:
        raise HookError("waiting for a webhook (subscribe_to) is not possible yet; http hooks can send only")
    filler = Filler(inputs, ctx)
    if not props.url:
        raise HookError("an http hook needs url: where to send to")
    request = web.Request(
        method=props.method,
        url=web.checked_url(filler.text(props.url, "url").strip()),
        headers=web.headers(filler.mapping(props.headers, "headers")),
        timeout_s=props.timeout or TIMEOUT_S,
    )
    request = web.with_content(request, {"inputs": dict(inputs), "hook_type": "hook_node", "node_id": _name(ctx)})
    request = web.with_idempotency_key(request, ctx.idempotency_key)
    response = await ctx.http.send(request, retry=web.Retry(props.retry_count + 1), log=ctx.log)
    web.require_success(request, response)
    return base.Output(web.value_of(response), meta={"http": web.meta_of(request, response)})


async def _file(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    if not props.file_path:
        raise HookError("a file hook needs file_path: where to write, in the project root")
    filled = templates.render_path(props.file_path, templates.scopes_of(inputs, ctx.variables, ctx.custom_data))
    if filled.missing:
        raise HookError(f"file_path: there is no value for {', '.join(filled.missing)}")
    data = {"inputs": dict(inputs), "node_id": _name(ctx)}
    text = (
        yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        if props.format == "yaml"
        else json.dumps(data, indent=2, ensure_ascii=False)
    )
    ctx.files.write_text(filled.text, text)
    return base.Output({"status": "success", "file": filled.text}, meta={"file_path": filled.text})


async def _python(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    if not props.script.strip():
        raise HookError("a python hook needs script: source that defines the function")
    if not re.search(rf"\bdef\s+{re.escape(props.function_name)}\b", props.script):
        raise HookError(f'the script defines no function "{props.function_name}"; name yours in function_name')
    job = _job(props, inputs, ctx, source=props.script, function=props.function_name)
    return _ran(await _tried(props, ctx, job), ctx)


async def _shell(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    job = _job(props, inputs, ctx, source=_program(props, inputs, ctx))
    output = _ran(await _tried(props, ctx, job), ctx)
    return base.Output(json_or_text(output.value), meta=output.meta)


def _program(props: Props, inputs: base.Inputs, ctx: base.Context) -> str:
    """A bash script that does nothing but become the program; every word is quoted, so bash reads none of them."""
    filler = Filler(inputs, ctx)
    try:
        words = shlex.split(_PLACEHOLDER.sub(r"{{\1}}", props.command))
    except ValueError as error:
        raise HookError(f"command cannot be split into words: {error}") from None
    if not words:
        raise HookError("a shell hook needs command: a program, or a command line")
    words = [filler.text(word, "command") for word in words]
    words += [web.as_param(filler.all_texts(word, "args")) for word in props.args]
    env = {key: web.as_param(filler.all_texts(value, f"env.{key}")) for key, value in props.env.items()}
    env |= {f"DIPEO_INPUT_{re.sub(r'[^A-Z0-9]', '_', port.upper())}": _json(inputs[port]) for port in inputs}
    lines = []
    for key, text in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise HookError(f"env: {key!r} is not a name of an environment variable")
        if len(text.encode()) > VARIABLE_BYTES:
            raise HookError(f"{key} has {len(text.encode()):,} bytes; a program takes {VARIABLE_BYTES:,} in a variable")
        lines.append(f"export {key}={shlex.quote(text)}")
    if props.cwd:
        lines.append(f"cd -- {shlex.quote(ctx.files.resolve(filler.text(props.cwd, 'cwd')))} || exit 1")
    return "\n".join([*lines, f"exec -- {shlex.join(words)}"])


def _job(props: Props, inputs: base.Inputs, ctx: base.Context, *, source: str, function: str = "") -> base.CodeJob:
    return base.CodeJob(
        source=source,
        filename=f"<{_name(ctx)}>",
        function=function,
        inputs=inputs,
        variables={**ctx.custom_data, **ctx.variables},
        node_id=ctx.node.id,
        timeout_s=props.timeout or TIMEOUT_S,
        idempotency_key=ctx.idempotency_key,
    )


async def _tried(props: Props, ctx: base.Context, job: base.CodeJob) -> base.CodeResult:
    start = ctx.workers.run_python if props.hook_type == "python" else ctx.workers.run_bash
    for failures in range(1, props.retry_count + 1):
        try:
            return await start(job)
        except base.NodeError as error:
            ctx.log("warning", f"{error}; attempt {failures + 1} of {props.retry_count + 1}", attempt=failures)
    return await start(job)


def _ran(result: base.CodeResult, ctx: base.Context) -> base.Output:
    for stream, text in (("stdout", result.stdout), ("stderr", result.stderr)):
        for line in text.splitlines():
            ctx.log("info", line, stream=stream)
    return base.Output(result.value, meta={"exit_code": 0, "stdout": result.stdout, "stderr": result.stderr})


def _name(ctx: base.Context) -> str:
    return ctx.node.label or ctx.node.id


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
