"""Jinja2 in a sandbox, for template_job and provider manifests. (node contract 3.3, 13)

Import this module at first use: Jinja2 takes a while to load. Templates are filled inside the executor, so what they
may compute is bounded: rounds of loops, sizes of products, length of the text.
"""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from functools import lru_cache
from types import CodeType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from dipeo_executor import words
from dipeo_executor.nodes.base import Files, NodeError
from dipeo_executor.templates import MAX_OUTPUT, MAX_ROUNDS

MAX_BITS = 4096  # of a whole number made by * or **
FILTERS: dict[str, Callable[[str], str]] = {
    name: getattr(words, name)
    for name in (
        *("snake_case", "pascal_case", "camel_case", "kebab_case", "pluralize", "singularize", "humanize"),
        *("escape_js", "strip_inline_comments"),
    )
}
_rounds_left: ContextVar[list[int]] = ContextVar("rounds left of this rendering")


class TemplateMistake(NodeError):
    """The template cannot be filled. The message names the template and the line."""


def render(
    source: str, context: Mapping[str, Any], *, name: str, strict: bool = True, files: Files | None = None
) -> str:
    """Fill a template. `name` is what messages call it; a file's name lets it include its neighbours from `files`.

    `strict`: an undefined name is a mistake, else it is empty. Raises TemplateMistake.
    """
    if not source:
        return ""
    _rounds_left.set([MAX_ROUNDS])
    try:
        return _joined(_template(source, name, strict, files).generate(context))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateMistake(f"{error.filename or name}, line {error.lineno}: {error.message}") from None
    except jinja2.TemplateNotFound as error:
        problem = f'there is no template "{error}" beside it or in the project root'
        raise TemplateMistake(f"{_place(error, name)}: {problem}") from None
    except RecursionError:
        raise TemplateMistake(f"{name}: it includes or calls itself without an end") from None
    except Exception as error:  # noqa: BLE001  # whatever the template's own expressions raise, such as 1/0
        kind = error.kind if isinstance(error, NodeError) else type(error).__name__
        raise TemplateMistake(f"{_place(error, name)}: {error}", kind=kind) from None


def _joined(chunks: Iterable[str]) -> str:
    parts: list[str] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_OUTPUT:
            raise TemplateMistake(f"the filled template is longer than {MAX_OUTPUT:,} characters")
        parts.append(chunk)
    return "".join(parts)


def _place(error: BaseException, name: str) -> str:
    """The innermost line of a template that the error went through; Jinja2 has put those lines into the traceback."""
    place, trace = name, error.__traceback__
    while trace is not None:
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            place = f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


class _Loader(jinja2.BaseLoader):
    """Templates named by other templates: beside the one that names them first, then from the project root."""

    def __init__(self, name: str, files: Files | None) -> None:
        self._folder, self._files = posixpath.dirname(name), files

    def load(
        self, environment: jinja2.Environment, name: str, globals: MutableMapping[str, Any] | None = None
    ) -> jinja2.Template:
        files = self._files
        places = dict.fromkeys((posixpath.join(self._folder, name), name))
        found = next((place for place in places if files and files.exists(place)), None)
        if files is None or found is None:
            raise jinja2.TemplateNotFound(name)
        return jinja2.Template.from_code(environment, _code(files.read_text(found), found), globals or {})


class _Sandbox(SandboxedEnvironment):
    """Loops are counted and products are measured, besides what Jinja2's own sandbox refuses."""

    intercepted_binops = frozenset(("*", "**"))

    def _generate(self, source: nodes.Template, *args: Any, **more: Any) -> str:
        for loop in source.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno)
        return super()._generate(source, *args, **more)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if _size(operator, left, right) > (
            MAX_BITS if isinstance(left, int) and isinstance(right, int) else MAX_OUTPUT
        ):
            raise SecurityError(f"the result of {operator} is too large")
        return super().call_binop(context, operator, left, right)


def _size(operator: str, left: Any, right: Any) -> int:
    """Bits of a number, items of anything else; 0 when it does not matter."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        return bits * max(right, 0) if operator == "**" else bits + right.bit_length()
    count, repeated = (left, right) if isinstance(left, int) else (right, left)
    return count * len(repeated) if isinstance(count, int) and isinstance(repeated, str | list | tuple) else 0


def _counted(items: Iterable[Any]) -> Iterator[Any]:
    left = _rounds_left.get()
    for item in items:
        left[0] -= 1
        if left[0] < 0:
            raise SecurityError(f"the loops of the template go round more than {MAX_ROUNDS:,} times")
        yield item


@lru_cache(maxsize=2)
def _environment(strict: bool) -> _Sandbox:
    """Full Jinja2: no trimming, the last newline stays, nothing is escaped. Our filters are functions as well."""
    undefined = jinja2.StrictUndefined if strict else jinja2.ChainableUndefined
    environment = _Sandbox(undefined=undefined, keep_trailing_newline=True, autoescape=False)
    environment.filters |= {**FILTERS, "_counted": _counted}
    environment.globals |= FILTERS
    return environment


@lru_cache(maxsize=256)
def _template(source: str, name: str, strict: bool, files: Files | None) -> jinja2.Template:
    """Kept whole: an environment of its own costs ten times as much as filling it. Includes are read each time."""
    environment = _environment(strict).overlay(loader=_Loader(name, files), cache_size=0)
    return jinja2.Template.from_code(environment, _code(source, name), environment.make_globals(None))


@lru_cache(maxsize=256)
def _code(source: str, name: str) -> CodeType:
    """Compiled once per text: that costs fifty times as much as filling it."""
    code: CodeType = _environment(True).compile(source, name, name)
    return code
