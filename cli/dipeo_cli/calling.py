"""`dipeo integrations call`: one operation of a provider, as a run of one node, so that it has a journal and an id."""

import json
from typing import Any

from dipeo_cli import lookup, run
from dipeo_cli.config import Config
from dipeo_cli.submit import Request


def call(config: Config, provider: str, operation: str, node: dict[str, Any], request: Request) -> int:
    """`node`: further properties of the integrated_api node. Prints what the provider answered."""
    properties = {"provider": provider, "operation": operation, **node}
    text = json.dumps({
        "version": "light",
        "nodes": [
            {"label": "Start", "type": "start"},
            {"label": "Call", "type": "integrated_api", **properties},
            {"label": "Data", "type": "code_job", "language": "python", "code": "result = default['data']"},
            {"label": "Done", "type": "endpoint"},
        ],
        "connections": [
            {"from": "Start", "to": "Call"}, {"from": "Call", "to": "Data"}, {"from": "Data", "to": "Done"},
        ],
    }, ensure_ascii=False)  # fmt: skip
    name = f"{provider}.{operation}"
    return run.run(config, request, lookup.Diagram(text, "", "light", name))
