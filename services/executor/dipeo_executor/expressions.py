"""The expression language of conditions: a safe subset of Python. (node contract 8.1, decision 11)

`parse` refuses everything outside the subset with a column, so a mistake is a compile-time diagnostic. At run time a
missing name is null, a member of null is null, ordering against null is false; every other error is an ExpressionError.

Own walker rather than simpleeval: there `d.items` on a map yields the method instead of the key, and every step walks
the whole value it touched.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_LENGTH = 4096  # characters of an expression
MAX_DEPTH = 60
MAX_STEPS = 500_000  # parts evaluated, so that nested comprehensions end; 500 items or characters made count as one
MAX_SIZE = 100_000  # characters of a text that * or a method may make
MAX_BITS = 4096  # of an integer made by ** or *

Scopes = Sequence[Mapping[str, Any]]


class ExpressionError(Exception):
    """The expression is malformed, outside the subset, or fails on the values at hand. `column` is from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"{message} (column {column})")
        self.column = column


@dataclass(frozen=True, slots=True)
class Expression:
    text: str
    tree: ast.expr | None  # None: nothing was written

    def evaluate(self, scopes: Scopes) -> Any:
        """The value. Names are looked up in `scopes`, nearest first. An empty expression is False."""
        return False if self.tree is None else _Evaluation(self.text, scopes).value(self.tree)


def parse(text: str) -> Expression:
    """Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression may have {MAX_LENGTH} characters, this one has {len(text)}", MAX_LENGTH)
    line = text.replace("\r", " ").replace("\n", " ").lstrip()
    offset = len(text) - len(line)
    if not line.strip():
        return Expression(text, None)
    try:
        tree = ast.parse(line, mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(_syntax_hint(line, error), (error.offset or len(line) + 1) + offset) from None
    except (RecursionError, MemoryError, ValueError) as error:  # ValueError: a null character, an endless number
        raise ExpressionError(f"cannot be read: {error or type(error).__name__}", 1) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            node.col_offset = len(line.encode()[: node.col_offset].decode(errors="ignore")) + offset
    _check(tree, 0)
    return Expression(text, tree)


def _syntax_hint(line: str, error: SyntaxError) -> str:
    if "{{" in line:
        return NO_BRACES
    if "=" in line.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", ""):
        return "an assignment is not an expression; to compare write =="
    return f"is not an expression: {error.msg}"


BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (len, min, max, sum, any, all, str, int, float, abs, round, sorted, bool, list, tuple, set, dict)
}
STRING_METHODS = frozenset([
    "upper", "lower", "title", "capitalize", "casefold", "swapcase", "strip", "lstrip", "rstrip", "removeprefix",
    "removesuffix", "split", "rsplit", "splitlines", "join", "replace", "startswith", "endswith", "count", "find",
    "rfind", "index", "isdigit", "isalpha", "isalnum", "isnumeric", "isspace", "islower", "isupper",
])  # fmt: skip
METHODS: dict[type, frozenset[str]] = {
    str: STRING_METHODS,
    dict: frozenset({"get", "keys", "values", "items"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
}
METHOD_NAMES = frozenset().union(*METHODS.values())
WORDS = {"true": True, "false": False, "null": None}  # when no scope has the name
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
PLAIN = (
    *(ast.Name, ast.BoolOp, ast.Compare, ast.IfExp, ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Set, ast.Dict),
    *COMPREHENSIONS,
)
NO_BRACES = "names stand without braces here: write name, not {{name}}"
NAMES_OF_FORMS = {
    "Lambda": "lambda",
    "JoinedStr": "an f-string",
    "NamedExpr": "an assignment (:=)",
    "Await": "await",
    "Yield": "yield",
    "Starred": "unpacking with *",
}


def _check(node: ast.AST, depth: int) -> None:
    """Refuse what is not in the subset."""
    if depth > MAX_DEPTH:
        raise ExpressionError(f"is nested more than {MAX_DEPTH} deep", 1)
    refused = _refusal(node)
    if refused:
        raise ExpressionError(refused, getattr(node, "col_offset", 0) + 1)
    children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    for child in children:
        _check(child, depth + 1)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        _check(node.func.value, depth + 1)


def _refusal(node: ast.AST) -> str:
    """Why this one node is outside the subset, or ""."""
    match node:
        case ast.Constant(value=value):
            return "" if value is None or isinstance(value, str | int | float) else f"{value!r} is not a JSON value"
        case ast.BinOp(op=op):
            return "" if type(op) in BINARY else f"{type(op).__name__} is not an operator of this language"
        case ast.UnaryOp(op=op):
            return "" if type(op) in UNARY else f"{type(op).__name__} is not an operator of this language"
        case ast.Attribute(attr=attr) | ast.Name(id=attr) if attr.startswith("__"):
            return f"{attr} is not accessible"
        case ast.Attribute():
            return ""
        case ast.Call(keywords=[_, *_]):
            return "functions take plain arguments here, without name="
        case ast.Call(func=ast.Name(id=name)):
            return "" if name in FUNCTIONS else f"there is no function {name}; there are {', '.join(FUNCTIONS)}"
        case ast.Call(func=ast.Attribute(attr=name)):
            return "" if name in METHOD_NAMES else f"there is no method .{name}()"
        case ast.Call():
            return "only a named function or method can be called"
        case ast.comprehension(is_async=is_async):
            return "async is not available" if is_async else ""
        case ast.Set(elts=[ast.Set()]):
            return NO_BRACES
        case ast.Dict(keys=keys):
            return "unpacking with ** is not available" if None in keys else ""
        case ast.expr() if not isinstance(node, PLAIN):
            name = type(node).__name__
            return f"{NAMES_OF_FORMS.get(name, name)} is not available in expressions"
    return ""


class _Evaluation:
    """One walk over one expression's tree."""

    def __init__(self, text: str, scopes: Scopes) -> None:
        self.text = text
        self.scopes = list(scopes)
        self.steps = 0

    def value(self, node: ast.expr) -> Any:
        try:
            result = self._value(node)
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise ExpressionError(_plain(error), node.col_offset + 1) from error
        made = isinstance(node, ast.BinOp | ast.Call) and isinstance(result, str | list | tuple)
        self.steps += 1 + (len(result) // 500 if made else 0)
        if self.steps > MAX_STEPS:
            raise ExpressionError(f"takes more than {MAX_STEPS} steps", node.col_offset + 1)
        return result

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return next((scope[name] for scope in self.scopes if name in scope), WORDS.get(name))
            case ast.Attribute(value=target, attr=attr):
                return _member(self.value(target), attr)
            case ast.Subscript(value=target, slice=key):
                return _item(self.value(target), self.value(key))
            case ast.Slice(lower=low, upper=high, step=step):
                return slice(*(part and self.value(part) for part in (low, high, step)))
            case ast.BoolOp(op=op, values=values):
                return self._bool_op(values, stop_at=isinstance(op, ast.Or))
            case ast.UnaryOp(op=unary, operand=operand):
                return UNARY[type(unary)](self.value(operand))
            case ast.BinOp(op=binary, left=left, right=right):
                return _binary(binary, self.value(left), self.value(right))
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test) else orelse)
            case ast.Call(func=ast.Name(id=name), args=args):
                return FUNCTIONS[name](*map(self.value, args))
            case ast.Call(func=ast.Attribute(value=target, attr=attr), args=args):
                return _call_method(self.value(target), attr, [self.value(arg) for arg in args])
            case ast.List(elts=items):
                return [self.value(item) for item in items]
            case ast.Tuple(elts=items):
                return tuple(self.value(item) for item in items)
            case ast.Set(elts=items):
                return {self.value(item) for item in items}
            case ast.Dict(keys=keys, values=values):
                return {self.value(k): self.value(v) for k, v in zip(keys, values, strict=True) if k is not None}
            case ast.DictComp(key=key, value=value, generators=generators):
                return {self.value(key): self.value(value) for _ in self._loop(generators)}
            case ast.SetComp(elt=item, generators=generators):
                return {self.value(item) for _ in self._loop(generators)}
            case ast.ListComp(elt=item, generators=generators) | ast.GeneratorExp(elt=item, generators=generators):
                return [self.value(item) for _ in self._loop(generators)]
        raise AssertionError(f"parse let {type(node).__name__} through")

    def _bool_op(self, values: list[ast.expr], *, stop_at: bool) -> Any:
        result: Any = None
        for operand in values:
            result = self.value(operand)
            if bool(result) is stop_at:
                break
        return result

    def _compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator)
            if type(op) in ORDER:
                holds = left is not None and right is not None and ORDER[type(op)](left, right)
            else:
                holds = COMPARE[type(op)](left, right)
            if not holds:
                return False
            left = right
        return True

    def _loop(self, generators: list[ast.comprehension]) -> Any:
        """Yield once per round of the loops, with their names bound in the innermost scope."""
        first, *rest = generators
        for item in self.value(first.iter):
            bound: dict[str, Any] = {}
            _bind(first.target, item, bound)
            self.scopes.insert(0, bound)
            try:
                if all(self.value(test) for test in first.ifs):
                    if rest:
                        yield from self._loop(rest)
                    else:
                        yield None
            finally:
                self.scopes.pop(0)


def _bind(target: ast.expr, item: Any, bound: dict[str, Any]) -> None:
    if isinstance(target, ast.Tuple | ast.List):
        for part, value in zip(target.elts, item, strict=True):
            _bind(part, value, bound)
    elif isinstance(target, ast.Name):
        bound[target.id] = item
    else:
        raise TypeError("a loop name must be a plain name")


def _member(value: Any, name: str) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return value.get(name)
    raise TypeError(f".{name} needs a map, not {kind(value)}")


def _item(value: Any, key: Any) -> Any:
    if value is None:
        return None
    try:
        return value[key]
    except KeyError:
        raise KeyError(f"the map has no key {key!r}") from None
    except IndexError:
        raise IndexError(f"the list has {len(value)} items, there is no [{key}]") from None


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(op, ast.Mult):
        if isinstance(left, list | tuple) or isinstance(right, list | tuple):
            raise TypeError("a list cannot be multiplied")
        text, times = (left, right) if isinstance(left, str) else (right, left)
        if isinstance(text, str) and isinstance(times, int) and len(text) * times > MAX_SIZE:
            raise ValueError(f"the text would have more than {MAX_SIZE} characters")
    if isinstance(op, ast.Mod) and isinstance(left, str):
        raise TypeError("formatting with % is not available")
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * right if isinstance(op, ast.Pow) else left.bit_length() + right.bit_length()
        if isinstance(op, ast.Pow | ast.Mult) and bits > MAX_BITS:
            raise ValueError(f"the number would have more than {MAX_BITS} bits")
    return BINARY[type(op)](left, right)


def _call_method(value: Any, name: str, args: list[Any]) -> Any:
    allowed = METHODS.get(type(value), frozenset())
    if name not in allowed:
        raise TypeError(f"{kind(value)} has no method .{name}()")
    if name == "replace" and len(args) >= 2 and value.count(args[0]) * len(args[1]) > MAX_SIZE:
        raise ValueError(f"the text would have more than {MAX_SIZE} characters")
    if name == "join" and args and len(value) * len(args[0]) > MAX_SIZE:
        raise ValueError(f"the text would have more than {MAX_SIZE} characters")
    result = getattr(value, name)(*args)
    return list(result) if isinstance(value, Mapping) and name != "get" else result


def kind(value: Any) -> str:
    """A value's type in plain words."""
    words = {type(None): "null", bool: "true or false", str: "text", dict: "a map", list: "a list"}
    return words.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def _plain(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error) or type(error).__name__
