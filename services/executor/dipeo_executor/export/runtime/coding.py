"""Code of nodes."""

import asyncio
import json
import os
import re
import signal
import sys
import types
from asyncio.subprocess import DEVNULL, PIPE
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs
from dipeo_executor.export.runtime.running import NodeError, Run
from dipeo_executor.sandbox.dipeo_worker.python_code import BODY, _call, _compiled


def parsed(value: Any) -> Any:
    """Text that is a JSON map or list, as that."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value


def code_names(run: Run, inputs: Inputs) -> dict[str, Any]:
    """What code may name: its inputs before the run's variables."""
    variables = {**run.custom_data, **run.variables}
    whole = {"inputs": dict(inputs), "globals": variables, "variables": variables, "node_id": "", "idempotency_key": ""}
    return {**variables, **whole, **{name: parsed(value) for name, value in inputs.items()}, "inputs": dict(inputs)}


def given(run: Run, inputs: Inputs, *names: str) -> Any:
    """Values by name; a list when there are several. Raises NameError."""
    known = code_names(run, inputs)
    missing = [name for name in names if name not in known]
    if missing:
        raise NameError(f"there is no {', '.join(missing)}; the inputs are {', '.join(inputs) or 'none'}")
    return known[names[0]] if len(names) == 1 else [known[name] for name in names]


def call_main(run: Run, inputs: Inputs, function: Any) -> Any:
    """A function of the code, with what its parameters ask for."""
    ports = {name: parsed(value) for name, value in inputs.items()}
    scope = {"inputs": dict(inputs), "node_id": "", "globals": {**run.custom_data, **run.variables}}
    extra = {"variables": scope["globals"], "idempotency_key": ""}
    return _call(function, {**ports, **scope}, {**extra, **ports, **scope})


def execute(run: Run, inputs: Inputs, source: str, function: str = "") -> Any:
    """Code that cannot stand in a function of this file: run as a module of its own."""
    known = code_names(run, inputs)
    module = types.ModuleType("code_module")
    names = module.__dict__
    names.update({name: known[name] for name in (*inputs, "inputs", "globals", "variables", "node_id")})
    names["__builtins__"] = {**known["globals"], **vars(sys.modules["builtins"])}
    exec(_compiled(source, "<node>"), names)
    body = names.pop(BODY, None)
    value = body() if body else ...
    if value is not ...:
        return value
    main = names.get(function or "main")
    return call_main(run, inputs, main) if callable(main) else names.get("result")


async def bash(run: Run, inputs: Inputs, script: str) -> str:
    """What the script prints. Inputs are variables of its environment: INPUT_name."""
    ports = {re.sub(r"\W", "_", name, flags=re.ASCII): value for name, value in inputs.items()}
    whole = {"inputs": dict(inputs), "globals": {**run.custom_data, **run.variables}}
    given = {f"INPUT_{name}": shell_text(value) for name, value in {**whole, **ports}.items()}
    environment = {**os.environ, **given, "INPUT_KEYS": " ".join(ports)}
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script), env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    try:
        printed, said = await process.communicate()
    finally:
        if process.returncode is None:  # the node was given up: what it started ends too
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    print(said.decode("utf-8", "replace"), file=sys.stderr, end="")
    if process.returncode:
        problem = said.decode("utf-8", "replace").strip()[-2000:]
        raise NodeError(f"bash ended with exit code {process.returncode}: {problem}")
    return printed.decode("utf-8", "replace").strip()


def shell_text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
