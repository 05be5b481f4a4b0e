"""Expressions of conditions -> Python over `names`. (decision 11: a missing name is None, None is below nothing)"""

import ast
import io
import tokenize

FUNCTIONS_OF_MAPS = ("keys", "values", "items")


def as_python(text: str) -> str:
    """`text` has been checked by the compiler."""
    tree = ast.parse(text.replace("\r", " ").replace("\n", " ").strip(), mode="eval").body
    return _double_quoted(ast.unparse(ast.fix_missing_locations(_Rewriting().visit(tree))))


def _double_quoted(code: str) -> str:
    """ast.unparse writes 'text'; the rest of a script "text"."""
    pieces, end = "", 0
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        text = token.string
        if token.type == tokenize.STRING and text.startswith("'") and not set(text[1:-1]) & set("\"'\\"):
            pieces += code[end : token.start[1]] + f'"{text[1:-1]}"'
            end = token.end[1]
    return pieces + code[end:]


class _Rewriting(ast.NodeTransformer):
    def __init__(self) -> None:
        self._bound: list[set[str]] = []  # names of the comprehensions around

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if any(node.id in bound for bound in self._bound):
            return node
        return ast.Subscript(ast.Name("names", ast.Load()), ast.Constant(node.id), ast.Load())

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return _call("member", self.visit(node.value), ast.Constant(node.attr))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.slice, ast.Slice):
            return ast.Subscript(self.visit(node.value), self.visit(node.slice), ast.Load())
        return _call("item", self.visit(node.value), self.visit(node.slice))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        arguments = [self.visit(argument) for argument in node.args]
        if isinstance(node.func, ast.Name):
            return ast.Call(node.func, arguments, [])
        assert isinstance(node.func, ast.Attribute)  # the compiler lets nothing else through
        made = ast.Call(ast.Attribute(self.visit(node.func.value), node.func.attr, ast.Load()), arguments, [])
        return _call("list", made) if node.func.attr in FUNCTIONS_OF_MAPS else made

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        parts: list[ast.expr] = []
        left = self.visit(node.left)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.visit(comparator)
            parts.append(_compared(left, op, right))
            left = right
        return parts[0] if len(parts) == 1 else ast.BoolOp(ast.And(), parts)

    def _comprehension(self, node: ast.AST) -> ast.AST:
        names: set[str] = set()
        self._bound.append(names)
        for generator in node.generators:  # type: ignore[attr-defined]
            generator.iter = self.visit(generator.iter)
            names |= {it.id for it in ast.walk(generator.target) if isinstance(it, ast.Name)}
            generator.ifs = [self.visit(test) for test in generator.ifs]
        for field in ("elt", "key", "value"):
            if hasattr(node, field):
                setattr(node, field, self.visit(getattr(node, field)))
        self._bound.pop()
        return node

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr) -> ast.expr:
    match op:
        case ast.Lt():
            return _call("below", left, right)
        case ast.LtE():
            return _call("at_most", left, right)
        case ast.Gt():
            return _call("below", right, left)
        case ast.GtE():
            return _call("at_most", right, left)
    return ast.Compare(left, [op], [right])


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
