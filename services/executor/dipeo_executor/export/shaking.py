"""The definitions a script needs, as they stand in our modules: nothing it does not use, nothing rewritten.

All modules share one namespace: their top-level names differ, or are given another name here.
"""

import ast
import re
import symtable
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

# module below dipeo_executor -> heading of its section in the script; the order of the sections
SECTIONS: dict[str, str] = {
    "export/runtime/kinds.py": "What the nodes speak of",
    "export/runtime/trying.py": "Second tries, limits of time",
    "export/runtime/running.py": "How one node is run",
    "export/runtime/arrows.py": "Arrows, and what they lead to",
    "export/runtime/dag.py": "In which order nodes run",
    "export/runtime/flow.py": "In which order nodes run, loops and all",
    "export/runtime/talking.py": "Talking with persons",
    "export/runtime/recalling.py": "What persons remember",
    "export/runtime/objects.py": "Answers that are JSON objects",
    "export/runtime/tools.py": "Answers with tools",
    "llm/selector.py": "Choosing what to remember",
    "llm/persons.py": "Persons",
    "nodes/person_batch.py": "Items of a batch",
    "llm/mock.py": "Answers by rule, for --mock",
    "nodes/condition.py": "Reading a decision",
    "export/runtime/models.py": "Calls of models",
    "llm/services/ollama.py": "Where Ollama is",
    "export/runtime/texts.py": "Names in texts",
    "templates.py": "The language of prompts",
    "export/runtime/choices.py": "Conditions",
    "export/runtime/coding.py": "Code of nodes",
    "sandbox/dipeo_worker/python_code.py": "Calling functions of code",
    "export/runtime/humans.py": "Questions to a human",
    "export/runtime/filing.py": "Files",
    "nodes/content.py": "Parts of files",
    "export/runtime/filling.py": "Templates",
    "words.py": "Filters of templates",
    "export/runtime/checking.py": "JSON Schemas",
    "nodes/json_schema_validator.py": "Reading what a schema finds wrong",
    "export/runtime/requesting.py": "Requests to other hosts",
    "export/runtime/nesting.py": "Diagrams inside a node",
    "engine/children.py": "Paths into values",
    "export/runtime/command.py": "The command line",
}
NAMES = {  # ours -> in scripts, where it says more, or where two would meet
    ("llm/mock.py", "_resolve"): "resolve_reference",
    ("llm/mock.py", "_YES"): "_ASKS_FOR_YES",
    ("sandbox/dipeo_worker/python_code.py", "_call"): "call_with_what_it_wants",
    ("sandbox/dipeo_worker/python_code.py", "_compiled"): "compiled",
    ("nodes/person_batch.py", "_items"): "batch_items",
    ("nodes/json_schema_validator.py", "_closed"): "closed_schema",
    ("nodes/json_schema_validator.py", "_problems"): "problems_found",
    ("templates.py", "_conversation"): "conversation_of",
    ("engine/children.py", "lookup"): "lookup_path",
    ("llm/selector.py", "question"): "selection_question",
    ("llm/selector.py", "SCHEMA"): "SELECTION",
}
RUNNING = "export/runtime/running.py"
INSTEAD = {  # of ours -> what stands for it in scripts
    ("nodes/content.py", "ContentError"): (RUNNING, "NodeError"),
    ("nodes/base.py", "NodeError"): (RUNNING, "NodeError"),
    ("nodes/base.py", "Message"): ("export/runtime/kinds.py", "Message"),
    ("program.py", "Person"): ("export/runtime/kinds.py", "Person"),
}
FIRST = ("export/runtime/kinds.py", "export/runtime/trying.py")  # stand above the nodes; all else below

SOURCES = re.compile(r" *\([^()\n]*\b(?:decision|contract)s? [\d.]+[^()\n]*\)")  # for readers of our code
LINT = r"# (?:noqa: \w+|type: ignore\[[\w-]+\])"  # for our checkers; a reason after it stays

Key = tuple[str, str]  # path below dipeo_executor, name


@dataclass(frozen=True, slots=True)
class Definition:
    """`text` with its names as in scripts; `imports`: lines."""

    name: str
    text: str
    uses: frozenset[Key]
    imports: frozenset[str]


@dataclass(slots=True)
class Needed:
    """`first` stands above the nodes, the sections below, each with its definitions in order."""

    imports: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    first: list[str] = field(default_factory=list)
    sections: dict[str, list[str]] = field(default_factory=dict)


def needed(roots: Iterable[str], replaced: Mapping[str, str]) -> Needed:
    """Everything that the roots use. `replaced`: texts of this script for definitions of ours, by name in scripts."""
    known = definitions()
    by_name = {it.name: key for key, it in known.items()}
    by_name |= {
        it.name: key for key, it in known.items() if key[0].startswith("export/")
    }  # of two, what scripts are for
    chosen: set[Key] = set()
    todo = [by_name[root] for root in roots if root in by_name]
    while todo:
        key = todo.pop()
        if key in chosen:
            continue
        chosen.add(key)
        instead = replaced.get(known[key].name)
        todo += known[key].uses if instead is None else [by_name[it] for it in global_names(instead) if it in by_name]
    found = Needed()
    for key, it in known.items():
        if key in chosen:
            found.imports |= it.imports
            found.names.add(it.name)
            if it.name in replaced and it.name.isupper():
                continue  # a table of functions, which stands after them
            place = found.first if key[0] in FIRST else found.sections.setdefault(SECTIONS[key[0]], [])
            text = replaced.get(it.name, it.text)
            if text not in place:  # one statement may define several names
                place.append(text)
    return found


@lru_cache(maxsize=1)
def definitions() -> dict[Key, Definition]:
    """In the order of the sections, and as they stand in their files."""
    found: dict[Key, Definition] = {}
    modules = [_Module(path) for path in SECTIONS]
    known = {(module.path, name) for module in modules for name in module.own}
    for module in modules:
        for name, statement in module.own.items():
            found[module.path, name] = module.definition(name, statement, known)
    return found


class _Module:
    def __init__(self, path: str) -> None:
        self.path = path
        text = (files("dipeo_executor") / path).read_text("utf-8")
        self.lines = text.splitlines()
        self.own: dict[str, ast.stmt] = {}
        self.ours: dict[str, Key] = {}  # names imported from other modules of ours
        self.imports: dict[str, str] = {}  # name -> the line that imports it from elsewhere
        for it in ast.parse(text).body:
            self.own |= dict.fromkeys(_defined(it), it)
            if isinstance(it, ast.Import):
                self.imports |= {alias.name.partition(".")[0]: f"import {alias.name}" for alias in it.names}
            elif isinstance(it, ast.ImportFrom) and it.module and it.module.startswith("dipeo_executor."):
                place = it.module.removeprefix("dipeo_executor.").replace(".", "/") + ".py"
                self.ours |= {alias.name: (place, alias.name) for alias in it.names}
            elif isinstance(it, ast.ImportFrom) and it.module and not it.level:
                self.imports |= {alias.name: f"from {it.module} import {alias.name}" for alias in it.names}

    def definition(self, name: str, it: ast.stmt, known: set[Key]) -> Definition:
        begin = min([it.lineno, *(node.lineno for node in getattr(it, "decorator_list", []))]) - 1
        while begin and self.lines[begin - 1].startswith("#") and not self.lines[begin - 1].startswith("# ---"):
            begin -= 1
        own = self.lines[begin : it.end_lineno]
        words = global_names("\n".join(own)) | _quoted(it)
        meant = {word: self._meant(word) for word in words}
        through = {  # module.name, where the module is one of ours
            node: (self._module(node.value.id), node.attr)
            for node in ast.walk(it)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and self._module(node.value.id)
        }
        called = {word: _name(key) for word, key in meant.items() if key and _name(key) != word}
        if _name((self.path, name)) != name:
            called[name] = _name((self.path, name))
        places = [
            (node.lineno - 1 - begin, node.col_offset, node.id)
            for node in ast.walk(it)
            if isinstance(node, ast.Name) and node.id in called
        ]
        changes = [(line, column, word, called[word]) for line, column, word in places]
        for node, key in through.items():
            changes.append(
                (node.lineno - 1 - begin, node.col_offset, f"{key[0].rpartition('/')[2][:-3]}.{key[1]}", _name(key))
            )
        for line, column, word, new_word in sorted(changes, reverse=True):
            prefix = own[line].encode()[:column].decode()
            own[line] = prefix + new_word + own[line][len(prefix) + len(word) :]
        text = SOURCES.sub("", "\n".join(own))
        text = re.sub(f"{LINT} +(?:# )?(?=\\S)", "# ", re.sub(f" *{LINT} *$", "", text, flags=re.MULTILINE))
        new = _name((self.path, name))
        if new != name:
            text = text.replace(f"def {name}(", f"def {new}(", 1)
        uses = {key for key in (*meant.values(), *through.values()) if key in known and key != (self.path, name)}
        imports = {self.imports[word] for word in words if word in self.imports and not meant[word]}
        return Definition(new, text, frozenset(key for key in uses if key), frozenset(imports))

    def _module(self, word: str) -> str:
        """The path of a module of ours that is imported whole, else ""."""
        place, _ = self.ours.get(word, ("", ""))
        path = f"{place.removesuffix('.py')}/{word}.py"
        return path if place and path in SECTIONS else ""

    def _meant(self, word: str) -> Key | None:
        key = (self.path, word) if word in self.own else self.ours.get(word)
        return INSTEAD.get(key, key) if key else None


def _name(key: Key) -> str:
    return NAMES.get(key, key[1])


def _defined(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=[ast.Tuple(elts=names)]):
            return [it.id for it in names if isinstance(it, ast.Name)]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def global_names(text: str) -> set[str]:
    """Names that a text uses and does not bind itself, inside its functions and classes or at its top."""
    table = symtable.symtable(text, "", "exec")
    used = {it.get_name() for it in table.get_symbols() if it.is_referenced()}
    todo = list(table.get_children())
    while todo:
        inner = todo.pop()
        used |= {it.get_name() for it in inner.get_symbols() if it.is_global() and it.is_referenced()}
        todo += inner.get_children()
    return used


def _quoted(it: ast.AST) -> set[str]:
    """First words of annotations that are written as text."""
    texts = [node.value for node in ast.walk(it) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    found = (re.match(r"(\w+)[.\[]?[\w.\[\]]*$", text) for text in texts)
    return {match[1] for match in found if match}
