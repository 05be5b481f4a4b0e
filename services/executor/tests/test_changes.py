"""Properties that a caller sets for one run."""

import pytest
from compiling import Files, program_of

from dipeo_executor.bundle import Bundle
from dipeo_executor.compiler import compile_bundle, compile_diagram
from dipeo_kit.errors import BadInput

TEXT = """version: light
nodes:
  - {label: Start, type: start, custom_data: {a: 1, b: 2}}
  - {label: v1.5 model, type: code_job, code: result = 1}
connections:
  - {from: Start, to: v1.5 model}
"""


def props(changes: dict[str, object], node: int) -> object:
    result = compile_diagram(TEXT, path="x.light.yaml", files=Files(), changes=changes)
    return program_of(result).nodes[node].props


def test_a_property_is_set_by_label_or_id_even_where_the_label_holds_dots() -> None:
    assert props({"v1.5 model.code": "result = 2"}, 1).code == "result = 2"  # type: ignore[attr-defined]
    assert props({"node_1.code": "result = 3"}, 1).code == "result = 3"  # type: ignore[attr-defined]


def test_a_part_of_a_property_leaves_its_other_parts() -> None:
    assert props({"Start.custom_data.b": 3}, 0).custom_data == {"a": 1, "b": 3}  # type: ignore[attr-defined]


def test_an_unknown_node_is_refused_and_an_unknown_property_a_warning() -> None:
    with pytest.raises(BadInput, match=r"Nobody\.code: there is no such node; there are Start, v1\.5 model"):
        props({"Nobody.code": "x"}, 0)
    result = compile_diagram(TEXT, files=Files(), changes={"node_1.cod": "x"})
    assert "T12" in [it.code for it in result.diagnostics]


def test_a_recovered_run_has_them_too() -> None:
    bundle = Bundle(TEXT, "x.light.yaml", "light", {}, changes={"node_1.code": "result = 4"})
    again = Bundle.from_bytes(bundle.to_bytes())
    assert program_of(compile_bundle(again)).nodes[1].props.code == "result = 4"  # type: ignore[attr-defined]
