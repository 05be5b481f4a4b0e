"""`dipeo models`: services that persons can name, and the models of one (spec/cli.md §14.1)."""

from typing import Any

from dipeo_cli import operations, output, stack
from dipeo_cli.config import Config
from dipeo_cli.tables import columns


def models(config: Config, service: str, key: str, *, as_json: bool) -> int:
    with stack.connect(config) as gateway:
        if service:
            found: list[Any] = gateway.execute(operations.LIST_MODELS, {"service": service, "key": key or None})[
                "getAvailableModels"
            ]
        else:
            found = gateway.execute(operations.LIST_MODEL_SERVICES, {})["getModelServices"]
    if as_json:
        output.document(found)
    elif service:
        output.answer("\n".join(found) if found else f"{service} lists no models")
    else:
        rows = [("SERVICE", "KEY")]
        rows += [(it["name"], " or ".join(it["key_variables"]) if it["needs_key"] else "none needed") for it in found]
        output.answer(columns(rows))
        output.say("`dipeo models SERVICE` asks one for its models; keys: the environment, or `dipeo keys add`")
    return 0
