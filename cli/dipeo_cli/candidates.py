"""What may stand at a place of a command line: words, files of diagrams, and what a running gateway knows.

It must be there within a tenth of a second: only a gateway that runs already is asked, by http.client; none is started.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dipeo_cli import config as configuration
from dipeo_cli import contexts, lookup, settings, stack
from dipeo_cli.config import Config
from dipeo_cli.errors import CliError

Json = dict[str, Any]
Candidate = tuple[str, str]  # what is inserted, what it means
PATIENCE_S = 0.25
RECENT = 20
MAX_FILES = 200

_SERVICES = ("openai", "anthropic", "gemini", "ollama", "openai-compatible", "deepseek", "groq", "openrouter")
_FORMATS = ("light", "native", "readable")
WORDS: Mapping[str, Sequence[str]] = {  # option, or "command option", or kind of argument -> what it takes
    "--progress": ("auto", "tty", "plain", "json", "none"),
    "--color": ("auto", "always", "never"),
    "--outputs": ("final", "all", "none"),
    "--level": ("debug", "info", "warning", "error"),
    "--template": ("hello", "code", "branch", "ask"),
    "--status": ("pending", "running", "paused", "completed", "failed", "aborted", "maxiter_reached"),
    "--from-format": _FORMATS,
    "--to-format": _FORMATS,
    "list --format": _FORMATS,
    "results --format": ("json", "yaml", "text"),
    "graph --format": ("ascii", "mermaid", "dot", "svg"),
    "compile --format": ("text", "github"),
    "logs --output": ("text", "ndjson"),
    "dipeo --output": ("text", "json", "yaml", "ndjson", "raw"),
    "--service": _SERVICES,
    "SERVICE": _SERVICES,
    "TOPIC": ("formats", "inputs", "exit-codes", "environment"),
    "SHELL": ("bash", "zsh", "fish"),
    "CLIENT": ("claude-desktop", "claude-code", "chatgpt", "cursor", "vscode"),
}


def of(kind: str, command: str, parameter: Any, given: Sequence[str], words: list[str]) -> Iterator[Candidate]:
    """Values for a parameter of a kind (ID, DIAGRAM, NODE …); `given` are the command's positional words so far."""
    names = [kind, *parameter.opts, *(f"{command} {option}" for option in parameter.opts)]
    for name in names:
        if name in WORDS:
            return ((word, "") for word in WORDS[name])
    sources: dict[str, Callable[[], Iterator[Candidate]]] = {
        "ID": lambda: _executions(words),
        "ID ID": lambda: _executions(words),
        "ID|DIAGRAM": lambda: iter([*_executions(words), *_diagrams()]),
        "DIAGRAM": _diagrams,
        "FILE": _diagrams if parameter.param_type_name == "argument" else _nothing,
        "IN": _diagrams,
        "NODE": lambda: _labels(given[0] if given else dict(pairwise(words)).get("--rerun", ""), words),
        "NODE] [TEXT": lambda: _labels(given[0], words) if len(given) == 1 else _nothing(),
        "SETTING": lambda: ((name, known.help) for name, known in settings.KNOWN.items()),
        "CONTEXT": _contexts if command != "add" else _nothing,
        "KEY": lambda: _keys(words) if command != "add" else _nothing(),
        "PROVIDER": lambda: _providers(words),
        "OPERATION": lambda: _operations(given[0], words) if given else _nothing(),
        "TYPE": lambda: _node_types(words),
    }
    return sources.get(kind, _nothing)()  # a path, as far as we know: the shell offers files


def _nothing() -> Iterator[Candidate]:
    return iter(())


def _contexts() -> Iterator[Candidate]:
    yield contexts.LOCAL, "the project's own stack"
    yield from ((name, each.url) for name, each in contexts.load().contexts.items())


def _diagrams() -> Iterator[Candidate]:
    """Diagram files of the folders a bare name is looked for in."""
    base, here = configuration.load().base, Path.cwd()
    endings = tuple(ending for known in lookup.EXTENSIONS.values() for ending in known if ending.count(".") == 2)
    for folder in dict.fromkeys([here, *(base / name for name in lookup.FOLDERS)]):
        if folder.is_dir():
            names = (path for path in sorted(folder.iterdir()) if path.name.endswith(endings) and path.is_file())
            for path in islice(names, MAX_FILES):
                shown = path.relative_to(here) if path.is_relative_to(here) else path
                yield str(shown), ""


def _keys(words: list[str]) -> Iterator[Candidate]:
    for each in _ask(words, "query { getApiKeys }", {}, "getApiKeys") or ():
        yield each["label"], each["service"]


def _providers(words: list[str]) -> Iterator[Candidate]:
    query = "query { listProviders { name metadata { description } } }"
    for each in _ask(words, query, {}, "listProviders") or ():
        yield each["name"], each["metadata"]["description"] or ""


def _operations(provider: str, words: list[str]) -> Iterator[Candidate]:
    query = "query GetProvider($name: String!) { getProvider(name: $name) { operations { name description } } }"
    found = _ask(words, query, {"name": provider}, "getProvider") or {"operations": ()}
    yield from ((each["name"], each["description"] or "") for each in found["operations"])


def _node_types(words: list[str]) -> Iterator[Candidate]:
    found = _ask(words, "query { getNodeTypes }", {}, "getNodeTypes") or {"types": ()}
    yield from ((each["name"], each["summary"]) for each in found["types"])


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
