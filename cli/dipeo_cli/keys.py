"""`dipeo keys`: keys of model services and APIs, kept by the stack (spec/cli.md §14.1). A key is never an argument:
arguments can be seen by other users of the machine.
"""

import sys
from typing import Any

from dipeo_cli import output, stack
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, Usage
from dipeo_cli.tables import columns

Json = dict[str, Any]


def add(config: Config, name: str, service: str, base_url: str, *, as_json: bool) -> int:
    """Keep a key under a name that diagrams may use as api_key_id."""
    key = _typed(config, name) if sys.stdin.isatty() else sys.stdin.read()
    if not key.strip():
        raise CliError(f"no key for {name} came on stdin", code="bad_input", exit_code=2)
    with stack.connect(config) as gateway:
        made = gateway.create_key(
            {"label": name, "service_name": service, "key": key.strip(), "base_url": base_url or None}
        )
    if as_json:
        output.document(_shown(made))
    else:
        output.answer(made["id"])
        output.say(f'kept as "{name}" for {made["service_name"]}; try it with `dipeo keys test {name}`')
    return 0


def _typed(config: Config, name: str) -> str:
    if not config.may_prompt:
        raise Usage("the key comes on stdin: pipe it in, or allow prompts")
    import getpass

    return getpass.getpass(f"key for {name} (not shown): ", stream=sys.stderr)


def list_(config: Config, service: str, *, as_json: bool) -> int:
    with stack.connect(config) as gateway:
        found = gateway.keys(service)
    if as_json:
        output.document(found)
    elif found:
        rows = [("NAME", "ID", "SERVICE", "KEY", "ADDRESS", "USED")]
        rows += [
            (
                each["label"],
                each["id"],
                each["service"],
                f"…{each['last4']}" if each["last4"] else "",
                each["base_url"] or "",
                (each["used_at"] or "never")[:10],
            )
            for each in found
        ]
        output.answer(columns(rows))
    else:
        output.say("no keys are kept; `dipeo keys add NAME --service openai` adds one")
    return 0


def test(config: Config, name: str, *, as_json: bool) -> int:
    """One cheap call with the key. Exit 1 when it is not accepted."""
    with stack.connect(config) as gateway:
        result = gateway.test_key(name)
    valid = bool(result["envelope"]["valid"])
    if as_json:
        output.document({"name": name, "valid": valid, "message": result["message"]})
    else:
        output.answer(result["message"])
    return 0 if valid else EXIT_NEGATIVE


def remove(config: Config, name: str, *, as_json: bool) -> int:
    with stack.connect(config) as gateway:
        removed = gateway.delete_key(name)
    if not removed:
        raise CliError(
            f'no key is kept as "{name}"', code="not_found", exit_code=EXIT_NEGATIVE, hint="see `dipeo keys list`"
        )
    output.document({"name": name, "removed": True}) if as_json else output.answer(f'removed "{name}"')
    return 0


def _shown(made: Json) -> Json:
    return {"id": made["id"], "name": made["label"], "service": made["service_name"], "base_url": made["base_url"]}
