"""Python of code jobs -> the body of a function, with the names it reads taken from the inputs first.

Code that a function cannot hold as it stands is kept as text and run as a module of its own.
"""

import ast
import builtins
import symtable
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass

MODULE_ONLY = frozenset({"globals", "locals", "vars", "dir", "exec", "eval", "__name__", "__file__", "NameError"})


@dataclass(frozen=True, slots=True)
class Body:
    """`reads`: names to take from the inputs. `text` is not indented and returns the value."""

    reads: tuple[str, ...]
    text: str


def body_of(source: str, function: str, ports: Collection[str]) -> Body | None:
    """None when the code has to run as a module. `ports`: names of inputs that arrows bring."""
    try:
        tree = ast.parse(source)
        table = symtable.symtable(_as_function(source), "", "exec").get_children()[0]
    except (SyntaxError, IndexError):
        return None
    if _needs_module(tree) or not _is_indentable(tree):
        return None
    reads = _reads(table, ports)
    main = _main(tree, function)
    stored = {it.get_name() for it in table.get_symbols() if it.is_local()}
    early = _read_before_stored(tree)
    if stored & early & set(ports) or stored & {"run", "inputs", "given", "call_main"}:
        return None
    text = source.strip("\n").rstrip()
    if main:
        text += f"\n\nreturn call_main(run, inputs, {main})"
    elif not isinstance(tree.body[-1], ast.Return) if tree.body else True:
        text = _with_result(tree, text, "result" in stored, "result" in ports)
    return Body(reads, text)


def _with_result(tree: ast.Module, text: str, is_stored: bool, is_port: bool) -> str:
    """The value is what `result` is at the end; a code that never sets it has none."""
    last = tree.body[-1]
    if is_stored and isinstance(last, ast.Assign) and _is_result(last.targets) and _count_results(tree) == 1:
        lines = text.splitlines()
        begin = lines[last.lineno - 1 :] if last.col_offset == 0 else []
        if begin and begin[0].startswith("result = "):
            return "\n".join([*lines[: last.lineno - 1], "return " + begin[0].removeprefix("result = "), *begin[1:]])
    always = any(isinstance(it, ast.Assign) and _is_result(it.targets) for it in tree.body)
    if not is_stored and not is_port:
        return f"{text}\nreturn None"
    return f"{text}\nreturn result" if always or is_port else f"result = None\n{text}\nreturn result"


def _is_result(targets: Sequence[ast.expr]) -> bool:
    return len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id == "result"


def _count_results(tree: ast.Module) -> int:
    return sum(isinstance(node, ast.Name) and node.id == "result" for node in ast.walk(tree))


def _as_function(source: str) -> str:
    return "def body():\n" + textwrap.indent(source, "    ", lambda line: True) + "\n    pass\n"


def _is_indentable(tree: ast.Module) -> bool:
    """Texts over several lines would get the indentation into them."""
    return not any(
        isinstance(node, ast.Constant | ast.JoinedStr)
        and (not isinstance(node, ast.Constant) or isinstance(node.value, str | bytes))
        and node.end_lineno != node.lineno
        for node in ast.walk(tree)
    )


def _needs_module(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        star = isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        special = isinstance(node, ast.Name) and node.id in MODULE_ONLY
        if star or future or special or isinstance(node, ast.Global):
            return True
    return False


def _main(tree: ast.Module, wanted: str) -> str:
    defined = [it.name for it in tree.body if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef)]
    return next((name for name in (wanted, "main") if name and name in defined), "")


def _reads(table: symtable.SymbolTable, ports: Collection[str]) -> tuple[str, ...]:
    """Free names that Python does not know, or that an input hides."""
    free: set[str] = set()
    todo = [table]
    while todo:
        inner = todo.pop()
        free |= {it.get_name() for it in inner.get_symbols() if it.is_global() and it.is_referenced()}
        todo += inner.get_children()
    return tuple(sorted(name for name in free - {"inputs"} if name in ports or not hasattr(builtins, name)))


def _read_before_stored(tree: ast.Module) -> set[str]:
    """Names that the top level reads before it gives them a value, or may."""
    stored: set[str] = set()
    early: set[str] = set()

    def read(node: ast.AST) -> None:
        early.update(it.id for it in ast.walk(node) if isinstance(it, ast.Name) and it.id not in stored)

    def bind(node: ast.AST) -> None:
        stored.update(it.id for it in ast.walk(node) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store))

    for it in tree.body:
        if isinstance(it, ast.Assign):
            read(it.value)
            for target in it.targets:
                bind(target)
        elif isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            stored.add(it.name)
        elif isinstance(it, ast.Import | ast.ImportFrom):
            stored.update((alias.asname or alias.name).partition(".")[0] for alias in it.names)
        else:
            read(it)
            bind(it)
    return early
