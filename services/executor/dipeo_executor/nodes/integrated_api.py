"""integrated_api: an operation of a provider that a manifest describes. (node contract 16 and 20)"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from dipeo_executor import templates
from dipeo_executor.nodes import base, credentials
from dipeo_executor.nodes.filled import Filler
from dipeo_executor.providers import calls, catalog

SYNONYMS = {"token": "api_key", "key_value": "api_key"}  # of auth_config, from api_job


class Props(base.Props):
    provider: str = ""
    operation: str = ""
    resource_id: str = ""
    config: dict[str, Any] = Field(default_factory=dict)
    timeout: int | None = Field(default=None, ge=0)  # seconds of one attempt; 0 and absent: as the manifest says
    max_retries: int | None = Field(default=None, ge=0, le=10)  # absent: as the manifest says
    api_key_id: str = ""
    auth_config: dict[str, Any] = Field(
        default_factory=dict
    )  # secrets by name: inline, {env: NAME}, {api_key_id: NAME}


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """{"success": true, "data": …, "metadata": {"provider", "operation"}}."""
    known = catalog.load(ctx.files)
    for problem in known.problems:
        ctx.log("warning", problem)
    manifest, operation = known.find(props.provider, props.operation)
    filler = Filler(inputs, ctx)
    call = calls.Call(
        config={**filler.value(props.config, "config"), **_from_inputs(inputs)},
        resource_id=filler.text(props.resource_id, "resource_id"),
        credentials=await _credentials(props, filler, ctx),
        idempotency_key=ctx.idempotency_key,
        timeout_s=props.timeout or None,
        max_retries=props.max_retries,
    )
    data, http = await calls.perform(manifest, operation, call, ctx.http, ctx.log)
    names = {"provider": manifest.name, "operation": props.operation}
    return base.Output({"success": True, "data": data, "metadata": names}, meta={**names, "http": http})


def _from_inputs(inputs: base.Inputs) -> dict[str, Any]:
    """What arrives overlays config: a map on `default` key by key, anything else as `data`, other ports by name."""
    config = {port: value for port, value in inputs.items() if port != "default"}
    default = templates.unwrap(inputs.get("default"))
    if isinstance(default, Mapping):
        return {**default, **config}
    return config if default is None else {"data": default, **config}


async def _credentials(props: Props, filler: Filler, ctx: base.Context) -> dict[str, str]:
    given = props.auth_config or ({"api_key_id": props.api_key_id} if props.api_key_id else {})
    if any(word in given for word in credentials.REFERENCES):  # the whole is one reference
        given = {"api_key": given}
    return {
        SYNONYMS.get(name, name): await credentials.secret(value, f"auth_config.{name}", filler, ctx.http)
        for name, value in given.items()
    }
