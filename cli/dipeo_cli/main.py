"""Start here: one command line in, one exit code out, and every failure told (spec/cli.md §1.2, §14.5).

Global options work before and after the command: `hoisted` moves them to the front before anything is parsed.
"""

import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from dipeo_cli import config, output, trace
from dipeo_cli.app import app
from dipeo_cli.errors import EXIT_NEGATIVE, EXIT_USAGE, CliError, Stopped, Usage

# each adds its commands to the app; the help keeps this order
for module in ("run", "runs", "author", "integrations", "keys", "mcp", "system"):
    import_module(f"dipeo_cli.commands_{module}")

LOG_LIMIT_BYTES = 5 * 1024 * 1024
EXIT_CRASH = 3

_GLOBAL_FLAGS = {"--no-autostart", "--no-input", "--no-emoji", "-v", "-vv", "-q", "--quiet"}
_GLOBAL_VALUES = {"-C", "--project", "--api-url", "--token", "--context", "--color", "--jq", "-o", "--output"}


def hoisted(arguments: list[str], program: Any) -> list[str]:
    """The arguments with global options first, wherever they stood; what follows `--` stays.

    An option that the command has itself, as `graph -o FILE`, is left to it.
    """
    front: list[str] = []
    rest: list[str] = []
    command, own = program, set()  # type: Any, set[str]
    left = iter(arguments)
    for argument in left:
        argument = _whole(argument, command, program)
        name = argument.partition("=")[0]
        if argument == "--":
            return [*front, *rest, argument, *left]
        if argument.startswith("--wait="):  # an option with an optional value, which the parser does not know
            rest += ["--wait", "--timeout", argument.removeprefix("--wait=")]
        elif name in own:
            rest.append(argument)
        elif argument in _GLOBAL_VALUES:
            front += [argument, *([value] if (value := next(left, None)) is not None else [])]
        elif argument in _GLOBAL_FLAGS or name in _GLOBAL_VALUES:
            front.append(argument)
        else:
            rest.append(argument)
            if argument in getattr(command, "commands", {}):
                command = command.commands[argument]
                own = _options(command)
    return [*front, *rest]


def _options(command: Any) -> set[str]:
    return {option for each in command.params for option in (*each.opts, *each.secondary_opts)}


def _whole(argument: str, command: Any, program: Any) -> str:
    """`--back` for `--background`, as the original took it: a beginning that only one option has."""
    name, equals, value = argument.partition("=")
    known = _options(command) | _options(program)
    if not name.startswith("--") or name == "--" or name in known:
        return argument
    fitting = [option for option in _options(command) if option.startswith(name)]
    return f"{fitting[0]}{equals}{value}" if len(fitting) == 1 else argument


def main(arguments: list[str]) -> int:
    """Run one command line and return its exit code. Every failure has been told."""
    as_json = "--json" in arguments
    try:
        return _invoke(arguments)
    except typer.Exit as exit:
        return exit.exit_code
    except TyperException as error:  # what the parser refuses
        output.failure(Usage(error.format_message().rstrip("."), hint=f"see {_help_of(error)}"), as_json=as_json)
        return EXIT_USAGE
    except CliError as error:
        output.failure(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted(Stopped(signal.SIGINT), as_json=as_json)
    except Stopped as stopped:
        return _interrupted(stopped, as_json=as_json)
    except BrokenPipeError:
        _forget_stdout()  # nobody reads: do not fail again at exit
        return 128 + signal.SIGPIPE
    except output.Unwritable as error:
        _forget_stdout()
        output.error(str(error))
        return EXIT_NEGATIVE
    except Exception:  # noqa: BLE001  # the boundary: people get a sentence, the log gets the rest
        return _crashed(arguments, as_json=as_json)


def _invoke(arguments: list[str]) -> int:
    program: Any = get_command(app)
    ordered = hoisted(arguments, program)
    with program.make_context("dipeo", ordered, obj=ordered) as context, trace.command(_command(program, ordered)):
        code: Any = context.command.invoke(context)
    return code or 0


def _command(program: Any, arguments: list[str]) -> str:
    return next((word for word in arguments if word in program.commands), "")


def _help_of(error: TyperException) -> str:
    """`dipeo run --help`, of the command that was refused."""
    context = getattr(error, "ctx", None)
    return f"`{context.command_path if context else 'dipeo'} --help`"


def _forget_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupted(stopped: Stopped, *, as_json: bool) -> int:
    if stopped.signal_number != signal.SIGHUP:  # then the terminal is gone
        told = CliError("interrupted", code="interrupted", exit_code=stopped.exit_code, context=stopped.context)
        output.failure(told, as_json=as_json)
    return stopped.exit_code


def _crashed(arguments: list[str], *, as_json: bool) -> int:
    details = traceback.format_exc()
    if {"-vv", "--debug"} & set(arguments):
        output.tell(details)
    where = _log_crash(arguments, details)
    crash = CliError(
        "dipeo itself failed; this is a mistake of ours",
        code="internal",
        exit_code=EXIT_CRASH,
        hint=f"the details are in {where}" if where else "-vv shows the details",
    )
    output.failure(crash, as_json=as_json)
    return EXIT_CRASH


def _log_crash(arguments: list[str], details: str) -> Path | None:
    """Append to .dipeo/logs/cli.log. None when that is impossible."""
    from datetime import UTC, datetime

    log = config.load().layout().cli_log
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".1.log"))
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat()} {' '.join(arguments[:1])} failed\n{details}\n")
    except OSError:
        return None
    return log


def run_program() -> NoReturn:
    """The console script. Leaves by os._exit: a websocket thread of a dead gateway must not hold up the exit."""
    output.prepare_streams()
    code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 128 + signal.SIGPIPE
    os._exit(code)
