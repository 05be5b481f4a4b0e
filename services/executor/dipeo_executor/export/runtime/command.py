"""The command line of the script."""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from dipeo_executor.export.runtime.running import NodeError, Run, Stopped

Main = Callable[[Run], Coroutine[Any, Any, Any]]


def run_script(main: Main, about: str, custom_data: dict[str, Any]) -> int:
    """Read the command line, run, print the result. What nodes print goes to stderr."""
    options = argparse.ArgumentParser(description=about.splitlines()[0])
    for name, value in custom_data.items():
        options.add_argument(f"--{name.replace('_', '-')}", dest=f"var_{name}", help=f"default: {json.dumps(value)}")
    options.add_argument("-i", "--input", action="append", default=[], metavar="K=V", help="a variable; K:=JSON")
    options.add_argument("--answer", action="append", default=[], metavar="LABEL=TEXT", help="to a question")
    options.add_argument("--no-interactive", action="store_true", help='questions are answered ""')
    options.add_argument("--mock", action="store_true", help="answers by rule, offline")
    chosen = options.parse_args()
    named = {name: getattr(chosen, f"var_{name}") for name in custom_data}
    variables: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for pair in chosen.input:
        name, _, value = pair.partition("=")
        variables[name.removesuffix(":")] = json.loads(value) if name.endswith(":") else value
    answers = dict(pair.split("=", 1) for pair in chosen.answer)
    run = Run(variables, custom_data, chosen.mock, answers, not chosen.no_interactive)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            result = asyncio.run(main(run))
    except (NodeError, Stopped) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, indent=2))
    return 0
