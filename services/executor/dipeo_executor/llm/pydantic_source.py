"""The source of Pydantic models as a JSON Schema, read and never run. (node contract 6.6, §22 S1)

Understood: classes deriving from BaseModel or from one another, Enum classes, docstrings, fields with annotations of
literals, builtins, typing's containers, unions and other classes of the source, and defaults and Field(...) made of
literals. Methods, validators and model_config are passed over: they check on a machine, a schema tells a model.
"""

import ast
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

SCALARS: Mapping[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "Any": {},
    "object": {},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "UUID": {"type": "string", "format": "uuid"},
    "Decimal": {"type": "number"},
    "dict": {"type": "object"},
    "Dict": {"type": "object"},
    "list": {"type": "array", "items": {}},
    "List": {"type": "array", "items": {}},
    "EmailStr": {"type": "string", "format": "email"},
    "HttpUrl": {"type": "string", "format": "uri"},
}
LISTS = ("list", "List", "Sequence", "Iterable", "set", "Set", "frozenset", "FrozenSet")
MAPS = ("dict", "Dict", "Mapping")
ENUMS = ("Enum", "StrEnum", "IntEnum")
LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
    "description": "description",
    "title": "title",
    "examples": "examples",
}
LENGTHS = {"min_length": ("minLength", "minItems"), "max_length": ("maxLength", "maxItems")}


class SourceUnusable(ValueError):
    """The message names the line and what cannot be read there."""


def schema_of(source: str) -> Schema:
    """Of the first class named Response or ...Response, else of the last model. Raises SourceUnusable."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise SourceUnusable(f"line {error.lineno}: {error.msg}") from error
    except ValueError as error:  # a null character
        raise SourceUnusable(str(error)) from error
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    reader = _Reader(classes)
    models = [name for name in classes if reader.is_model(name)]
    if not models:
        raise SourceUnusable("it defines no class that derives from BaseModel")
    chosen = next((name for name in models if name.endswith("Response")), models[-1])
    return reader.document(chosen)


class _Reader:
    def __init__(self, classes: Mapping[str, ast.ClassDef]) -> None:
        self._classes = classes
        self._definitions: dict[str, Schema] = {}

    def document(self, name: str) -> Schema:
        self._define(name)
        root = self._definitions[name]
        others = {key: value for key, value in self._definitions.items() if key != name or _refers(value, name)}
        if name in others or any(_refers(value, name) for value in others.values()):
            return {"$ref": f"#/$defs/{name}", "$defs": dict(self._definitions)}
        return {**root, "$defs": others} if others else root

    def is_model(self, name: str, seen: tuple[str, ...] = ()) -> bool:
        bases = [_name(base) for base in self._classes[name].bases]
        return "BaseModel" in bases or any(
            base in self._classes and base not in (*seen, name) and self.is_model(base, (*seen, name)) for base in bases
        )

    def _define(self, name: str) -> None:
        if name in self._definitions:
            return
        self._definitions[name] = {}  # a class that names itself
        node = self._classes[name]
        if any(_name(base) in ENUMS for base in node.bases):
            values = [_literal(it.value) for it in node.body if isinstance(it, ast.Assign)]
            self._definitions[name] = {"title": name, "enum": values}
        elif self.is_model(name):
            self._definitions[name] = self._model(node)
        else:
            raise SourceUnusable(f"line {node.lineno}: class {name} is neither a BaseModel nor an Enum")

    def _model(self, node: ast.ClassDef) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for base in node.bases:
            parent = _name(base)
            if parent in self._classes:
                self._define(parent)
                properties |= self._definitions[parent].get("properties", {})
                required += self._definitions[parent].get("required", [])
        for statement in node.body:
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            name = statement.target.id
            if name.startswith("_") or _name(statement.annotation) == "ClassVar":
                continue
            schema, must = self._field(statement)
            properties[name] = schema
            required = [it for it in required if it != name] + ([name] if must else [])
        made: Schema = {"title": node.name, "type": "object", "properties": properties, "required": required}
        about = ast.get_docstring(node)
        return {**made, "description": about} if about else made

    def _field(self, statement: ast.AnnAssign) -> tuple[Schema, bool]:
        """(schema, whether it is required)."""
        schema, value = self._type(statement.annotation), statement.value
        if value is None:
            return schema, True
        if not (isinstance(value, ast.Call) and _name(value.func) == "Field"):
            return {**schema, "default": _literal(value)}, False
        return self._limited(schema, value)

    def _limited(self, schema: Schema, call: ast.Call) -> tuple[Schema, bool]:
        """A schema with what Field(...) says, and whether a value must be given."""
        must, made = True, dict(schema)
        given = {it.arg: it.value for it in call.keywords if it.arg}
        if call.args:
            given.setdefault("default", call.args[0])
        for key, value in given.items():
            if key == "default" and not (isinstance(value, ast.Constant) and value.value is ...):
                made["default"], must = _literal(value), False
            elif key == "default_factory":
                must = False
            elif key in LIMITS:
                made[LIMITS[key]] = _literal(value)
            elif key in LENGTHS:
                made[LENGTHS[key][made.get("type") == "array"]] = _literal(value)
        return made, must

    def _type(self, node: ast.expr) -> Schema:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._type(_parsed(node))  # a forward reference
        if isinstance(node, ast.Constant) and node.value is None:
            return dict(SCALARS["None"])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._any_of([node.left, node.right])
        if isinstance(node, ast.Subscript):
            return self._generic(_name(node.value), node)
        name = _name(node)
        if name in self._classes:
            self._define(name)
            return {"$ref": f"#/$defs/{name}"}
        if name in SCALARS:
            return dict(SCALARS[name])
        raise SourceUnusable(f"line {node.lineno}: {ast.unparse(node)} is not a type that can be read")

    def _generic(self, name: str, node: ast.Subscript) -> Schema:
        arguments = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Literal":
            return {"enum": [_literal(it) for it in arguments]}
        if name == "Optional":
            return self._any_of([*arguments, ast.Constant(None)])
        if name == "Union":
            return self._any_of(arguments)
        if name == "Annotated":
            schema = self._type(arguments[0])
            for it in arguments[1:]:
                if isinstance(it, ast.Call) and _name(it.func) == "Field":
                    schema = self._limited(schema, it)[0]
            return schema
        if name in LISTS:
            return {"type": "array", "items": self._type(arguments[0])}
        if name in ("tuple", "Tuple"):
            if len(arguments) == 2 and isinstance(arguments[1], ast.Constant) and arguments[1].value is ...:
                return {"type": "array", "items": self._type(arguments[0])}
            kinds = [self._type(it) for it in arguments]
            return {"type": "array", "prefixItems": kinds, "minItems": len(kinds), "maxItems": len(kinds)}
        if name in MAPS and len(arguments) == 2:
            return {"type": "object", "additionalProperties": self._type(arguments[1])}
        raise SourceUnusable(f"line {node.lineno}: {ast.unparse(node)} is not a type that can be read")

    def _any_of(self, nodes: list[ast.expr]) -> Schema:
        kinds: list[Schema] = []
        for node in nodes:
            schema = self._type(node)
            kinds += schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
        return {"anyOf": kinds}


def _refers(schema: Any, name: str) -> bool:
    if isinstance(schema, dict):
        return schema.get("$ref") == f"#/$defs/{name}" or any(_refers(it, name) for it in schema.values())
    return isinstance(schema, list) and any(_refers(it, name) for it in schema)


def _parsed(node: ast.Constant) -> ast.expr:
    try:
        return ast.parse(str(node.value), mode="eval").body
    except SyntaxError as error:
        raise SourceUnusable(f"line {node.lineno}: {node.value!r} is not a type that can be read") from error


def _name(node: ast.expr) -> str:
    """The last part of a dotted name; of a generic, the name before the bracket; "" for anything else."""
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise SourceUnusable(f"line {node.lineno}: {ast.unparse(node)} is not a plain value") from None
