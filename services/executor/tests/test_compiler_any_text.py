"""Whatever the text, compiling answers."""

import json

from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo_executor.compiler import Compiled
from dipeo_executor.formats.diagnostics import CODES
from dipeo_executor.formats.model import NODE_TYPES

WORDS = st.sampled_from(
    [
        *(
            "label",
            "type",
            "props",
            "position",
            "nodes",
            "connections",
            "persons",
            "from",
            "to",
            "data",
            "id",
            "arrows",
        ),
        *(
            "handles",
            "metadata",
            "version",
            "light",
            "native",
            "a",
            "b",
            "a_first",
            "b[condtrue]",
            "person",
            "Ann",
            "x.y",
        ),
        *("expression", "code", "file_path", "prompt_file", "diagram_name", "diagram_data", "batch", "max_iteration"),
        *("a_default_output", "b_default_input", "source", "target", "llm_config", "service", "condition_type"),
        *("custom", "llm_decision", "node_indices", "tools", "memorize_to", "content_type", "on_error", "__typename"),
        *NODE_TYPES,
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=5),
    max_leaves=12,
)
NODE = st.fixed_dictionaries(
    {"label": st.sampled_from("abc") | VALUES, "type": st.sampled_from(NODE_TYPES) | VALUES},
    optional={"props": VALUES, "id": SCALARS, "position": VALUES, "person": VALUES, "expression": VALUES,
              "code": VALUES, "diagram_data": VALUES, "diagram_name": VALUES, "data": VALUES, "x.y": VALUES},
)  # fmt: skip
ENDS = st.sampled_from(["a", "b", "c", "a_first", "b[condtrue]", "c_error", "a_default_output", "b_default_input"])
ARROW = st.fixed_dictionaries(
    {"from": ENDS | VALUES, "to": ENDS | VALUES, "source": ENDS | VALUES, "target": ENDS | VALUES},
    optional={"content_type": VALUES, "label": VALUES, "data": VALUES, "id": SCALARS, "execution_priority": VALUES},
)
SECTION = st.sampled_from(["persons", "handles", "metadata", "name", "api_keys"])
DIAGRAMS = st.fixed_dictionaries(
    {"nodes": st.lists(NODE, max_size=5) | st.dictionaries(st.sampled_from("abc"), NODE) | VALUES},
    optional={"connections": st.lists(ARROW, max_size=4) | VALUES, "arrows": st.lists(ARROW, max_size=4) | VALUES,
              "persons": st.dictionaries(st.sampled_from(["Ann", "Bob"]), VALUES) | VALUES,
              "metadata": VALUES, "handles": VALUES, "version": SCALARS},
)  # fmt: skip
PATHS = st.sampled_from(["", "x.yaml", "x.json", "x.light.yaml", "x.native.json", "x.readable.yaml", "/a/x.yml"])
YAML_PIECES = st.lists(
    st.sampled_from(
        [*"abc-:[]{}&*!|>'\"#%@`,? \n\t~<=", "nodes:", "\n  ", "- ", "*a", "&a ", "<<: ", "!!int ", "0b_", "\\u"]
    )
)


def check(result: Compiled) -> None:
    errors = [problem for problem in result.diagnostics if problem.severity == "error"]
    assert (result.program is None) == bool(errors)
    assert all(problem.code in CODES for problem in result.diagnostics)
    for problem in result.diagnostics:  # they travel by gRPC
        problem.message.encode(), problem.suggestion.encode(), problem.label.encode()


@given(text=st.text() | YAML_PIECES.map("".join), path=PATHS)
@settings(max_examples=300, deadline=None)
def test_any_text_compiles_or_is_explained(text, path):
    check(compiled(text, path=path))


@given(diagram=DIAGRAMS | VALUES, path=PATHS, format=st.sampled_from(["", "light", "native"]))
@settings(max_examples=500, deadline=None)
def test_any_value_compiles_or_is_explained(diagram, path, format):
    check(compiled(json.dumps(diagram), path=path, format=format))
