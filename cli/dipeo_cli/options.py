"""Options that several commands share, and groups of them as one parameter (spec/cli.md §14.1-2).

A command decorated with `grouped` may take frozen dataclasses as parameters: their fields become options of the
command, and it gets them back as one value.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from dipeo_cli.errors import Usage

PROGRESS = ("auto", "tty", "plain", "json", "none")
OUTPUTS = ("final", "all", "none")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, in every outcome.")]
Execution = Annotated[str, typer.Argument(metavar="ID", help="Execution id, unique prefix, @last or @last~N.")]
Executions = Annotated[list[str], typer.Argument(metavar="ID...", help="The same, one or more.")]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="K=V", help="Mark the run; `ps` finds it by it.")]
Input = Annotated[
    list[str] | None, typer.Option("-i", "--input", metavar="K=V", help="key=text, key:=json, key=@file.")
]
Background = Annotated[bool, typer.Option("--background", "-d", "--detach", help="Return once it is stored.")]
Debug = Annotated[bool, typer.Option("--debug", help="As -vv.")]
OutputOnly = Annotated[bool, typer.Option("--output-only", help="The bare result, no verdict.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no warnings.")]
ProgressKind = Annotated[str, typer.Option("--progress", metavar="KIND", help="auto, tty, plain, json or none.")]


def grouped(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the fields of its dataclass parameters as parameters of their own."""
    hints = get_type_hints(command, include_extras=True)
    flat: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if is_dataclass(kind) and isinstance(kind, type):
            fields = list(inspect.signature(kind).parameters.values())
            groups[parameter.name] = kind, [each.name for each in fields]
            told = get_type_hints(kind, include_extras=True)
            flat += [each.replace(annotation=told[each.name]) for each in fields]
        else:
            flat.append(parameter.replace(annotation=hints[parameter.name]))

    def called(**given: Any) -> Any:
        made = {name: kind(**{each: given.pop(each) for each in fields}) for name, (kind, fields) in groups.items()}
        return command(**given, **made)

    keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in flat]
    called.__signature__ = inspect.Signature(keywords, return_annotation=hints.get("return"))  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in flat}
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    return called


@dataclass(frozen=True, slots=True)
class Format:
    """Of a diagram."""

    light: Annotated[bool, typer.Option("--light", help="The diagram is in light format.")] = False
    native: Annotated[bool, typer.Option("--native", help="… in native format.")] = False
    readable: Annotated[bool, typer.Option("--readable", help="… in readable format. Default: detect.")] = False

    @property
    def word(self) -> str:
        """ "" = detect. Raises Usage when more than one is given."""
        chosen = [name for name in ("light", "native", "readable") if getattr(self, name)]
        if len(chosen) > 1:
            raise Usage(f"--{chosen[1]} is not allowed with --{chosen[0]}")
        return chosen[0] if chosen else ""


@dataclass(frozen=True, slots=True)
class Shown:
    """How a run is shown while it runs, and its result afterwards."""

    as_json: AsJson = False
    output_only: OutputOnly = False
    quiet: Quiet = False
    progress: ProgressKind = ""

    def checked(self) -> None:
        if self.as_json and self.output_only:
            raise Usage("--json is not allowed with --output-only")


def progress_kind(kind: str, *, quiet: bool, simple: bool = False) -> str:
    if kind not in PROGRESS:
        raise Usage(f"--progress {kind}: {', '.join(PROGRESS[:-1])} or {PROGRESS[-1]}")
    return "none" if quiet else "plain" if simple and kind == "auto" else kind
