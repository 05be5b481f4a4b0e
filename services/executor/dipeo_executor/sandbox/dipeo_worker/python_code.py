"""A python job. (node contract 7.3, decisions 5 and 6)"""

from __future__ import annotations

import ast
import asyncio
import functools
import inspect
import json
import keyword
import linecache
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from .answers import MODULE, Failed

BODY = "<module>"  # what tracebacks call the top level


def run_python(job: dict[str, Any], config: dict[str, Any]) -> Any:
    """Run the source as a fresh module; the value is that of a top-level return, the function, or `result`."""
    source, filename, ports, variables = job["source"], job["filename"], job["inputs"], job["variables"]
    _enter(job, config["base"], config["path"])
    parsed = {port: _parsed(value) for port, value in ports.items()}
    scope = {"inputs": dict(ports), "node_id": job["node_id"], "globals": variables}
    extra = {"variables": variables, "idempotency_key": job["idempotency_key"]}
    named = {**extra, **parsed, **scope}
    module = sys.modules[MODULE] = ModuleType(MODULE)
    names = module.__dict__
    names.update({name: value for name, value in named.items() if name.isidentifier() and not keyword.iskeyword(name)})
    if job["import_dir"]:
        names["__file__"] = str(Path(config["base"], filename))
    if variables:  # the outermost scope, which shadows neither inputs nor Python's own names (decision 5)
        names["__builtins__"] = {**variables, **vars(sys.modules["builtins"])}
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(_compiled(source, filename), names)
    body = names.pop(BODY, None)
    value = body() if body else ...
    if value is ...:
        function = _function(job, names)
        value = _call(function, {**parsed, **scope}, named) if function else names.get("result")
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


def _enter(job: dict[str, Any], base: str, path: list[str]) -> None:
    """What one job may have bent for the next is set straight."""
    os.chdir(base)
    sys.path[:] = [folder for folder in (job["import_dir"], base) if folder] + path
    sys.argv[:] = [job["filename"]]
    os.environ["DIPEO_IDEMPOTENCY_KEY"] = job["idempotency_key"]


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass
    return value


@functools.lru_cache(maxsize=64)
def _compiled(source: str, filename: str) -> CodeType:
    """The source as a module; if it returns at its top level, one that defines a function of that text, called BODY."""
    try:
        return compile(source, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        if "'return' outside function" not in str(error.msg):
            raise
    tree = ast.parse(source, filename)
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    function = ast.parse("def f(): pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    function.name = BODY
    function.body = [_TopLevel().visit(node) for node in tree.body if node not in future]
    function.body.append(ast.Return(ast.Constant(...)))  # no return was met
    module = ast.fix_missing_locations(ast.Module([*future, function], []))
    outer = compile(module, filename, "exec", dont_inherit=True)
    inner = next(code for code in outer.co_consts if isinstance(code, CodeType) and code.co_name == BODY)
    bound = sorted({*inner.co_varnames, *inner.co_cellvars})
    if bound:  # so that every name lives in the module, where the functions of the source look for it
        function.body.insert(0, ast.Global(bound))
        ast.fix_missing_locations(module)
    return compile(module, filename, "exec", dont_inherit=True)


class _TopLevel(ast.NodeTransformer):
    """Statements a function refuses for a name it declares global; the bodies of functions and classes stay."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        new = ast.Assign([node.target], node.value, lineno=node.lineno) if node.value else ast.Pass()
        return ast.copy_location(new, node)

    def visit_Global(self, node: ast.Global) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def _stay(self, node: ast.AST) -> ast.AST:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _stay


def _function(job: dict[str, Any], names: dict[str, Any]) -> Callable[..., Any] | None:
    wanted = job["function"]
    if wanted and callable(names.get(wanted)):
        return names[wanted]  # type: ignore[no-any-return]
    main = names.get("main") if callable(names.get("main")) else None
    # every exported diagram names "main", also for inline code that only sets `result`
    if wanted and (job["import_dir"] or (wanted != "main" and not main and "result" not in names)):
        raise Failed(f'{job["filename"]} defines no function "{wanted}"', "FunctionMissing")
    return main


def _call(function: Callable[..., Any], context: dict[str, Any], named: dict[str, Any]) -> Any:
    """With the whole map if the signature asks for one thing, else with the inputs it names."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in C
        return function(context)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if not positional:
        takes_map = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    else:
        first = positional[0]
        takes_map = (
            first.kind is first.POSITIONAL_ONLY
            or first.name == "inputs"
            or len(positional) == 1
            or (required == [first.name] and first.name not in named)
        )
    if takes_map:
        return function(context)
    missing = [name for name in required if name not in named]
    if missing:
        raise TypeError(
            f"{getattr(function, '__name__', 'the function')}() wants {', '.join(missing)}, "
            f"but the inputs are {', '.join(context['inputs']) or 'none'}"
        )
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters)
    given = {port: context[port] for port in context["inputs"]} if any_name else {}
    asked = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return function(**{**given, **{name: named[name] for name in asked if name in named}})


async def _awaited(value: Any) -> Any:
    return await value
