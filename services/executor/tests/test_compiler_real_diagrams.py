"""The original's own diagrams, where they are at hand: DIPEO_TEST_SHARED names a folder with corpus/. (formats §13)"""

import os
import time
from pathlib import Path

import pytest
from compiling import codes

from dipeo_executor.analysis import nodes_on_cycles, validate
from dipeo_executor.bundle import ProjectSource
from dipeo_executor.compiler import compile_diagram
from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.loading import load

SHARED = os.environ.get("DIPEO_TEST_SHARED", "")
pytestmark = pytest.mark.skipif(not SHARED, reason="DIPEO_TEST_SHARED names no folder with the original's diagrams")
CORPUS = Path(SHARED) / "corpus"

# nodes, arrows, handles, persons; ids of nodes on cycles; what validation says
EXPECTED = {
    "run/debate.light.yaml": ((7, 8, 16, 3), "2 3 5", []),
    "run/simple_iter.light.yaml": ((5, 5, 11, 1), "1 2", []),
    "run/simple_iter_shorthand.light.yaml": ((5, 5, 11, 1), "1 2", []),
    "run/simple_iter.native.json": ((5, 5, 11, 1), "1 2", []),
    "run/user_input_demo.light.yaml": ((5, 5, 9, 1), "", []),
    "diagrams/text_format_pydantic_demo.light.yaml": ((5, 5, 10, 1), "", []),
    "diagrams/simple_data_processing.light.yaml": ((6, 7, 11, 1), "", []),
    "diagrams/simple_iter_code.light.yaml": ((5, 5, 9, 1), "3 2", []),
    "diagrams/debate.native.json": ((7, 8, 16, 3), "0 3 6", []),
    "diagrams/light_debate.native.json": ((7, 8, 16, 3), "0 3 6", []),
    "diagrams/debate.readable.yaml": ((7, 8, 16, 3), "0 3 6", []),
    "diagrams/image_example.readable.yaml": ((3, 2, 5, 1), "", []),
    "diagrams/codegen_generate_all.light.yaml": ((6, 7, 10, 0), "", []),
    "diagrams/codegen_generate_backend_simplified.light.yaml": ((15, 22, 29, 0), "", ["V5"]),
    "diagrams/codegen_generate_strawberry.light.yaml": ((15, 23, 29, 0), "", ["V5"]),
    "diagrams/codegen_parse_typescript_batch_direct.light.yaml": ((5, 5, 8, 0), "", []),
    "diagrams/dipeodipeo_parallel_generator.light.yaml": ((9, 12, 20, 3), "", ["V5"]),
    "diagrams/frontend_enhance_consolidated.light.yaml": ((7, 7, 14, 2), "1 2 3 4", []),
    "diagrams/frontend_enhance_test.light.yaml": ((14, 14, 30, 3), "3 4 6 7 8 9", []),
}


def read(name: str):
    report = Report()
    diagram, _ = load((CORPUS / name).read_text(), path=name, report=report)
    return diagram, report


@pytest.mark.parametrize("name", EXPECTED)
def test_shape_and_warnings(name):
    counts, cycle, problems = EXPECTED[name]
    diagram, report = read(name)
    links = validate(diagram, report)
    parts = (diagram.nodes, diagram.arrows, diagram.handles, diagram.persons)
    assert tuple(map(len, parts)) == counts
    assert [problem.code for problem in report.found] == problems
    assert " ".join(node_id.removeprefix("node_") for node_id in nodes_on_cycles(links)) == cycle


def test_content_types_that_come_through_conditions():
    diagram, _ = read("diagrams/frontend_enhance_test.light.yaml")
    kinds = {(arrow.source, arrow.target): arrow.content_type for arrow in diagram.arrows}
    assert kinds["node_8_condfalse_output", "node_9_default_input"] == "object"
    assert kinds["node_9_condtrue_output", "node_10_default_input"] == "object"


def test_an_upper_case_endpoint_keeps_its_file_name():
    diagram, _ = read("diagrams/simple_data_processing.light.yaml")
    assert any(node.data.get("file_name") for node in diagram.nodes if node.type == "endpoint")


@pytest.mark.parametrize(("name", "code"), [("quicksave", "T2"), ("youtube_webhook", "V8")])
def test_diagrams_the_original_refuses(name, code):
    path = f"diagrams/{name}.native.json"
    assert code in codes(compile_diagram((CORPUS / path).read_text(), path=path, files=ProjectSource(CORPUS)))


@pytest.mark.parametrize("name", ["debate", "simple_iter", "simple_iter_shorthand", "user_input_demo"])
def test_diagrams_that_must_run_compile(name):
    text = (CORPUS / f"run/{name}.light.yaml").read_text()
    result = compile_diagram(text, path=f"{name}.light.yaml", files=ProjectSource(CORPUS / "run"))
    assert result.program is not None
    assert codes(result) == []


def test_the_largest_diagram_compiles_within_50_ms():
    path = max((CORPUS / "diagrams").glob("*.yaml"), key=lambda path: path.stat().st_size)
    text, best = path.read_text(), 1.0
    for _ in range(5):
        begin = time.perf_counter()
        compile_diagram(text, path=path.name, files=ProjectSource(CORPUS))
        best = min(best, time.perf_counter() - begin)
    assert best < 0.05
