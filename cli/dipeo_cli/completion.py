"""Shell completion: the script a shell loads, and the answer it gets for a line (spec/cli.md §14.6).

It must be there within a tenth of a second, so it asks a gateway that runs already, by http.client, and starts none.
"""

import json
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dipeo_cli import config as configuration
from dipeo_cli import contexts, lookup, output, settings, stack
from dipeo_cli.config import Config
from dipeo_cli.errors import CliError, Usage

Json = dict[str, Any]
Candidate = tuple[str, str]  # what is inserted, what it means
PATIENCE_S = 0.25
RECENT = 20
MAX_FILES = 200

BASH = r"""_dipeo() {
  local line="${COMP_LINE:0:COMP_POINT}" word="${COMP_WORDS[COMP_CWORD]}" full lead IFS=$'\n'
  full="${line##* }"; lead="${full%"$word"}"
  COMPREPLY=($(dipeo complete-line "$line" 2>/dev/null | cut -f1))
  COMPREPLY=("${COMPREPLY[@]#"$lead"}")
}
complete -o default -o nosort -F _dipeo dipeo
"""
ZSH = r"""#compdef dipeo
_dipeo() {
  local line value help
  local -a found
  for line in "${(@f)$(dipeo complete-line "${LBUFFER}" 2>/dev/null)}"; do
    value="${line%%$'\t'*}"; help="${line#*$'\t'}"
    [[ -n "$value" ]] && found+=("${value//:/\\:}:${help}")
  done
  if (( $#found )); then _describe -V dipeo found; else _files; fi
}
compdef _dipeo dipeo
"""
FISH = """complete -c dipeo -a '(dipeo complete-line (commandline -cp) 2>/dev/null)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def script(shell: str) -> int:
    if shell not in SCRIPTS:
        raise Usage(f"completion {shell}: {', '.join(SCRIPTS)}")
    print(SCRIPTS[shell], end="")
    return 0


def complete(root: Any, line: str) -> int:
    """Print candidates for the last word of a line, `value<TAB>meaning` each. Never an error: nobody would see it."""
    words = line.split()[1:]
    word = "" if line.endswith(" ") or not words else words.pop()
    for value, meaning in candidates(root, words, word):
        output.answer(f"{value}\t{meaning}")
    return 0


def candidates(root: Any, words: list[str], word: str) -> list[Candidate]:
    """`words` stand before the one that is being typed."""
    command, given, awaiting = _walk(root, words)
    if awaiting is not None:
        found = _of_option(awaiting, given, words)
    elif word.startswith("-"):
        found = _options(command, root)
    elif hasattr(command, "commands"):
        found = ((name, _short(each)) for name, each in command.commands.items() if not each.hidden)
    else:
        found = _of_argument(command, given, words)
    return [(value, meaning) for value, meaning in found if value.startswith(word)]


def _walk(root: Any, words: list[str]) -> tuple[Any, list[str], str | None]:
    """(the command meant, its positional words so far, the option whose value comes next)."""
    command, given, awaiting = root, [], None  # type: Any, list[str], str | None
    for word in words:
        if awaiting is not None:
            awaiting = None
        elif word.startswith("-"):
            option = _option(command, word) or _option(root, word)
            takes_value = option is not None and not option.is_flag and not option.count
            awaiting = word if takes_value and "=" not in word else None
        elif hasattr(command, "commands"):
            command = command.commands.get(word, command)
        else:
            given.append(word)
    return command, given, awaiting


def _option(command: Any, word: str) -> Any:
    name = word.partition("=")[0]
    return next((each for each in command.params if name in (*each.opts, *each.secondary_opts)), None)


def _options(command: Any, root: Any) -> Iterator[Candidate]:
    for each in (*command.params, *(root.params if command is not root else ())):
        if getattr(each, "hidden", False) or each.param_type_name != "option":
            continue
        yield max(each.opts, key=len), each.help or ""


def _short(command: Any) -> str:
    return str(command.get_short_help_str(60))


# --- values ----------------------------------------------------------------------------------------------------------


def _of_option(option: str, given: list[str], words: list[str]) -> Iterator[Candidate]:
    if option in _WORDS:
        return iter((each, "") for each in _WORDS[option])
    if option == "--diagram":
        return _diagrams()
    if option == "--node" and given:
        return _labels(given[0], words)
    if option == "--compare":
        return _executions(words)
    if option == "--context":
        return _contexts()
    return iter(())  # a path, as far as we know: the shell offers files


def _of_argument(command: Any, given: list[str], words: list[str]) -> Iterator[Candidate]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    if not arguments:
        return iter(())
    argument = arguments[min(len(given), len(arguments) - 1)]
    metavar = str(argument.metavar or "").strip("[]")
    if command.name == "answer" and len(given) == 1:
        return _labels(given[0], words)
    by_metavar: dict[str, Callable[[], Iterator[Candidate]]] = {
        "ID": lambda: _executions(words),
        "ID...": lambda: _executions(words),
        "ID|DIAGRAM": lambda: iter([*_executions(words), *_diagrams()]),
        "DIAGRAM": _diagrams,
        "TOPIC": lambda: iter((topic, "") for topic in _WORDS["help"]),
        "SHELL": lambda: iter((shell, "") for shell in SCRIPTS),
    }
    if metavar in by_metavar and (len(given) < len(arguments) or argument.nargs == -1):
        return by_metavar[metavar]()
    if metavar == "NAME" and argument.help and "setting" in argument.help and not given:
        return iter((name, known.help) for name, known in settings.KNOWN.items())
    if metavar == "NAME" and argument.help and "gateway" in argument.help and command.name != "add":
        return _contexts()
    return iter(())


_WORDS = {
    "--progress": ("auto", "tty", "plain", "json", "none"),
    "--color": ("auto", "always", "never"),
    "--format": ("json", "yaml", "text"),
    "--outputs": ("final", "all", "none"),
    "--level": ("debug", "info", "warning", "error"),
    "--template": ("hello", "code", "branch", "ask"),
    "--status": ("pending", "running", "paused", "completed", "failed", "aborted", "maxiter_reached"),
    "help": ("formats", "inputs", "exit-codes", "environment"),
}


def _contexts() -> Iterator[Candidate]:
    yield contexts.LOCAL, "the project's own stack"
    yield from ((name, each.url) for name, each in contexts.load().contexts.items())


def _diagrams() -> Iterator[Candidate]:
    """Diagram files of the folders a bare name is looked for in."""
    base, here = configuration.load().base, Path.cwd()
    endings = tuple(ending for known in lookup.EXTENSIONS.values() for ending in known if ending.count(".") == 2)
    for folder in dict.fromkeys([here, *(base / name for name in lookup.FOLDERS)]):
        if folder.is_dir():
            names = (path for path in sorted(folder.iterdir()) if path.name.endswith(endings))
            for path in islice(names, MAX_FILES):
                shown = path.relative_to(here) if path.is_relative_to(here) else path
                yield str(shown), ""


def _executions(words: list[str]) -> Iterator[Candidate]:
    query = "query ListExecutions($limit: Float) { listExecutions(limit: $limit) { id status diagram_id name } }"
    found: list[Json] = _ask(words, query, {"limit": RECENT}, "listExecutions") or []
    for each in found:
        yield each["id"], f"{each['status'].lower()} {each.get('name') or each.get('diagram_id') or ''}".rstrip()
    if found:
        yield "@last", "the newest"


def _labels(reference: str, words: list[str]) -> Iterator[Candidate]:
    """Of the nodes that have started in a run; a full id or @last, nothing is looked up."""
    execution_id = reference
    if reference == "@last":
        query = "query ListExecutions($limit: Float) { listExecutions(limit: $limit) { id } }"
        newest = _ask(words, query, {"limit": 1}, "listExecutions")
        execution_id = newest[0]["id"] if newest else ""
    query = "query GetExecution($id: String!) { getExecution(execution_id: $id) { node_runs } }"
    found = _ask(words, query, {"id": execution_id}, "getExecution") or {}
    types = {run["label"]: run["type"] for run in found.get("node_runs") or ()}
    yield from types.items()


def _ask(words: list[str], query: str, variables: Json, name: str) -> Any:
    """One field of one query, or None when nobody answers at once."""
    try:
        config = configuration.load(_flags(words))
        url, token = _address(config)
        return _post(url, token, query, variables)["data"][name] if url else None
    except (CliError, OSError, ValueError, KeyError, TypeError):
        return None


def _flags(words: list[str]) -> configuration.Flags:
    """Which gateway the line is about."""
    given = dict(pairwise(words))
    return configuration.Flags(
        project=given.get("-C") or given.get("--project") or "",
        api_url=given.get("--api-url", ""),
        token=given.get("--token", ""),
        context=given.get("--context", ""),
    )


def _address(config: Config) -> tuple[str, str]:
    if config.api_url:
        return config.api_url, config.token
    known = stack.described(config.layout())
    return (known.url, known.token) if known else ("", "")


def _post(url: str, token: str, query: str, variables: Json) -> Any:
    import http.client

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        connection.request("POST", "/graphql", json.dumps({"query": query, "variables": variables}), headers)
        return json.loads(connection.getresponse().read())
    except http.client.HTTPException as error:
        raise ValueError(str(error)) from error
    finally:
        connection.close()
